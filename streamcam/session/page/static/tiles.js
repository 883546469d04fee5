// @ts-check
/** The tiles of several streams: a click shows one alone, another click all again. */

/** @typedef {import("./predictions.js").Prediction} Prediction */
/** @typedef {{name: string, predictions: Prediction[], left: number, top: number, right: number, bottom: number}} Tile */

/**
 * Find where in an image a click was, which lies in the middle of its element.
 * @param {{x: number, y: number}} point in the element, in pixels
 * @param {{width: number, height: number}} element
 * @param {{width: number, height: number}} image
 * @returns {{x: number, y: number}} fractions of the image
 */
export function locate(point, element, image) {
  const scale = Math.min(element.width / image.width, element.height / image.height);
  const left = (element.width - scale * image.width) / 2;
  const top = (element.height - scale * image.height) / 2;
  return { x: (point.x - left) / (scale * image.width), y: (point.y - top) / (scale * image.height) };
}

/**
 * Return the command that a click stands for; null where it is beside all tiles, or there are none.
 * @param {Tile[]} tiles
 * @param {boolean} isWall whether all are shown
 * @param {{x: number, y: number}} at fractions of the image
 * @returns {{name: string, argument?: string} | null}
 */
export function commandAt(tiles, isWall, at) {
  if (!tiles.length) return null;
  if (!isWall) return { name: "wall" };
  const tile = tiles.find((each) => each.left <= at.x && at.x < each.right && each.top <= at.y && at.y < each.bottom);
  return tile ? { name: "stream", argument: tile.name } : null;
}

/**
 * Return what is seen in each of several tiles: the prediction that is explained, or the best one.
 * @param {Tile[]} tiles
 * @returns {Prediction[]} each with the name of its tile before its label
 */
export function bestOfEach(tiles) {
  return tiles.flatMap(({ name, predictions }) => {
    const best = predictions.find((each) => each.explained) ?? predictions[0];
    return best ? [{ ...best, label: `${name}: ${best.label}` }] : [];
  });
}

/**
 * Call back with the command of every click on an element that shows the images.
 * @param {HTMLImageElement | HTMLVideoElement} element
 * @param {() => {tiles: Tile[], is_wall: boolean} | null} stateOf
 * @param {(command: {name: string, argument?: string}) => void} send
 */
export function watchClicks(element, stateOf, send) {
  element.addEventListener("click", (event) => {
    const state = stateOf();
    const { width, height } = element.getBoundingClientRect();
    const isImage = element instanceof HTMLImageElement;
    const size = {
      width: isImage ? element.naturalWidth : element.videoWidth,
      height: isImage ? element.naturalHeight : element.videoHeight,
    };
    if (!state || !size.width) return;
    const at = locate({ x: event.offsetX, y: event.offsetY }, { width, height }, size);
    const command = commandAt(state.tiles, state.is_wall, at);
    if (command) send(command);
  });
}
