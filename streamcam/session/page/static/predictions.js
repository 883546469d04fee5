// @ts-check
/** The predictions of this moment, as a list with bars. */

/** @typedef {{label: string, probability: number | null, value: number | null, explained: boolean, color: string | null}} Prediction */

/**
 * @param {HTMLElement} list
 * @param {Prediction[]} predictions
 */
export function showPredictions(list, predictions) {
  list.style.setProperty("--count", String(Math.max(3, predictions.length)));
  while (list.children.length > predictions.length) list.lastElementChild?.remove();
  predictions.forEach((prediction, index) => {
    const item = list.children[index] ?? list.appendChild(newItem());
    const [label, number, track] = /** @type {any} */ (item.children);
    const share = prediction.probability;
    item.classList.toggle("explained", prediction.explained);
    item.classList.toggle("colored", prediction.color !== null);
    item.style.setProperty("--own", prediction.color);
    label.textContent = prediction.label;
    number.textContent = describe(share, prediction.value);
    track.hidden = share === null;
    track.firstChild.style.transform = `scaleX(${share ?? 0})`;
  });
}

/**
 * @param {number | null} share from 0 to 1
 * @param {number | null} value what a regressor answers
 */
function describe(share, value) {
  if (share === null) return value === null ? "" : value.toPrecision(3);
  return share > 0 && share < 0.01 ? "<1 %" : `${Math.floor(100 * share + 0.5)} %`;
}

function newItem() {
  const item = document.createElement("li");
  item.innerHTML = '<span class="label"></span><span class="number"></span><span class="track"><span class="fill"></span></span>';
  return item;
}
