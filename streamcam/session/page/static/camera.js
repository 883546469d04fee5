// @ts-check
/** This device's camera, lent to the session: its newest image, as soon as the one before has arrived. */

const WIDTH = 960;
const QUALITY = 0.8;
const TAKEN_OVER = 4000;
const WAIT_MS = 1000;

/**
 * A camera that is lent until `stop`.
 */
export class Camera {
  /**
   * @param {(state: "on" | "off" | "takenOver" | "denied" | "none" | "insecure") => void} onChange
   */
  constructor(onChange) {
    this.onChange = onChange;
    this.facing = "environment";
    this.isWanted = false;
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.isWanted && !this.socket) this.start();
    });
  }

  async start() {
    this.isWanted = true;
    if (!navigator.mediaDevices) return this.end("insecure");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: this.facing, width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      return this.end(/** @type {Error} */ (error).name === "NotAllowedError" ? "denied" : "none");
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    this.connect();
  }

  connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/camera`);
    this.socket = socket;
    socket.onopen = () => {
      this.onChange("on");
      this.send();
    };
    socket.onmessage = () => this.send();
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      if (event.code === TAKEN_OVER) this.end("takenOver");
      else if (this.isWanted) setTimeout(() => this.isWanted && !this.socket && this.connect(), WAIT_MS);
    };
  }

  /** Send the image of this moment. */
  send() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.isWanted || !width) {
      setTimeout(() => this.socket && this.send(), 50);
      return;
    }
    const scale = Math.min(1, WIDTH / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d")?.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.toBlob((blob) => blob && this.socket?.readyState === WebSocket.OPEN && this.socket.send(blob), "image/jpeg", QUALITY);
  }

  /** Use the camera on the other side. */
  async flip() {
    this.facing = this.facing === "user" ? "environment" : "user";
    this.stop();
    await this.start();
  }

  stop() {
    this.end("off");
  }

  /** @param {"off" | "takenOver" | "denied" | "none" | "insecure"} state */
  end(state) {
    this.isWanted = false;
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.onChange(state);
  }
}
