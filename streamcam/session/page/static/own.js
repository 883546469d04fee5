// @ts-check
/** The tile of the camera that this device lends, cut out of the picture that all are shown. */

import { find } from "./dom.js";
import { text } from "./texts.js";

/** @typedef {import("./tiles.js").Tile} Tile */

/**
 * Return the shape of a part of an image, as width by height; 0 while that is not known.
 * @param {Tile} tile
 * @param {{width: number, height: number}} image
 */
export function shapeOf(tile, image) {
  return image.height ? ((tile.right - tile.left) * image.width) / ((tile.bottom - tile.top) * image.height) : 0;
}

export class OwnTile {
  constructor() {
    /** @type {string | null} the name of the tile, while this device lends a camera */
    this.place = null;
    this.isWanted = false;
    /** @type {any} */
    this.state = null;
    find("own").onclick = () => {
      this.isWanted = !this.isWanted;
      if (this.state) this.show(this.state);
    };
  }

  /**
   * Show this device's tile alone, or all.
   * @param {any} state of the session
   * @returns {Tile | null} the tile, where it is shown alone
   */
  show(state) {
    this.state = state;
    const tile = state.tiles.find((/** @type {Tile} */ each) => each.name === this.place);
    const isOne = !!tile && state.is_wall;
    find("own").hidden = !isOne;
    find("own").textContent = text(this.isWanted ? "everybody" : "own");
    const video = /** @type {HTMLVideoElement} */ (find("video"));
    const image = /** @type {HTMLImageElement} */ (find("image"));
    const size = video.hidden
      ? { width: image.naturalWidth, height: image.naturalHeight }
      : { width: video.videoWidth, height: video.videoHeight };
    const shape = isOne && this.isWanted ? shapeOf(tile, size) : 0;
    const picture = find("picture");
    picture.classList.toggle("cropped", shape > 0);
    if (!shape) return null;
    const values = { shape, left: tile.left, top: tile.top, width: tile.right - tile.left, height: tile.bottom - tile.top };
    for (const [name, value] of Object.entries(values)) picture.style.setProperty(`--${name}`, String(value));
    return tile;
  }
}
