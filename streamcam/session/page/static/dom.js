// @ts-check
/** Small helpers for the page's elements. */

/** @param {string} id @returns {any} */
export const find = (id) => document.getElementById(id);

/**
 * Fill a list, if it has other entries by now.
 * @param {HTMLSelectElement} list
 * @param {[string, string][]} entries value and words
 */
export function fill(list, entries) {
  const key = JSON.stringify(entries);
  if (list.dataset.entries === key) return;
  list.dataset.entries = key;
  list.replaceChildren(...entries.map(([value, words]) => new Option(words, value)));
}

/**
 * Show a choice, unless somebody is making it right now.
 * @param {HTMLSelectElement | HTMLInputElement} control
 * @param {string} value
 */
export function show(control, value) {
  if (document.activeElement !== control || control instanceof HTMLSelectElement) control.value = value;
}

/**
 * Show pairs of names and values.
 * @param {HTMLElement} list
 * @param {[string, string][]} rows
 */
export function showRows(list, rows) {
  list.replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = name;
      description.textContent = value;
      return [term, description];
    }),
  );
}
