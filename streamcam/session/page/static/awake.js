// @ts-check
/** A screen that stays on: of a phone that lends its camera, and of a kiosk. */

/**
 * Keeps the screen on while that is wanted, where the browser lets a page do so.
 */
export class Awake {
  constructor() {
    this.isWanted = false;
    /** @type {WakeLockSentinel | null} */
    this.lock = null;
    // Browsers take the lock away while the page is out of sight.
    document.addEventListener("visibilitychange", () => this.hold());
  }

  /** @param {boolean} isWanted */
  set(isWanted) {
    this.isWanted = isWanted;
    return this.hold();
  }

  async hold() {
    if (!this.isWanted) {
      const lock = this.lock;
      this.lock = null;
      await lock?.release();
    } else if (document.visibilityState === "visible" && (!this.lock || this.lock.released)) {
      // A device that saves its battery says no: then its screen goes off as ever.
      this.lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
      if (!this.isWanted) await this.hold();
    }
  }
}
