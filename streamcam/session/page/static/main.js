// @ts-check
/** The page: what the session is, shown; what a person does, sent. */

import { Camera } from "./camera.js";
import { connect, fetchLabels } from "./connection.js";
import { Images } from "./images.js";
import { language, text } from "./texts.js";

/** Commands that have a button, in its order; the others are chosen from lists or are keys only. */
const BUTTONS = ["freeze", "overlay", "lock", "save_image", "record", "full_screen", "quit"];

/** The page's lists: each stands for a command, and holds names that the session gives. */
const LISTS = { method: "methods", layer: "layers" };

const isKiosk = new URLSearchParams(location.search).has("kiosk");

/** @type {(message: object) => void} */
let send = () => {};
/** @type {any} */
let state = null;
let labelsOf = "";

/** @param {string} id @returns {any} */
const find = (id) => document.getElementById(id);

/**
 * Fill a list, if it has other entries by now.
 * @param {HTMLSelectElement} list
 * @param {[string, string][]} entries value and words
 */
function fill(list, entries) {
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
function show(control, value) {
  if (document.activeElement !== control || control instanceof HTMLSelectElement) control.value = value;
}

/** @param {any[]} predictions */
function showPredictions(predictions) {
  const list = find("predictions");
  while (list.children.length > predictions.length) list.lastChild.remove();
  predictions.forEach((prediction, index) => {
    const item = list.children[index] ?? list.appendChild(newPrediction());
    const [label, number, track] = item.children;
    const share = prediction.probability;
    item.classList.toggle("explained", prediction.explained);
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

function newPrediction() {
  const item = document.createElement("li");
  item.innerHTML = '<span class="label"></span><span class="number"></span><span class="track"><span class="fill"></span></span>';
  return item;
}

/**
 * Show pairs of names and values.
 * @param {HTMLElement} list
 * @param {[string, string][]} rows
 */
function showRows(list, rows) {
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

/** @param {any} next */
function showState(next) {
  state = next;
  find("waiting").textContent = find("image").hidden && find("video").hidden ? text("noImage") : "";
  find("source").textContent = state.source;
  document.title = `streamcam: ${state.source}`;
  find("network").textContent = state.model ? `${state.model} · ${state.method} · ${state.layer}` : text("loading");
  find("messages").textContent = state.messages.join("\n");
  find("messages").classList.toggle("trouble", state.trouble);
  find("recording").textContent = state.recording ?? "";
  find("frozen").textContent = state.frozen ? text("frozen") : "";
  showPredictions(state.predictions);
  if (find("figures").open) showRows(find("statistics"), state.statistics);
  if (state.model) find("method-text").textContent = text("methodText", state) ?? "";
  for (const [id, names] of Object.entries(LISTS)) {
    fill(find(id), state[names].map((/** @type {string} */ name) => [name, name]));
    show(find(id), state[id]?.split(":")[0] ?? "");
  }
  show(find("layout"), state.layout);
  show(find("colormap"), state.colormap);
  show(find("smoothing"), String(state.smoothing_s));
  show(find("opacity"), String(state.opacity));
  show(find("class"), state.locked ? (state.predictions.find((/** @type {any} */ each) => each.explained)?.label ?? "") : "");
  press("freeze", state.frozen);
  press("overlay", state.heat_shown);
  press("lock", state.locked);
  press("record", state.recording !== null);
  if (state.model && labelsOf !== state.model) {
    labelsOf = state.model;
    fetchLabels().then((labels) => {
      find("classes").replaceChildren(...labels.map((label) => new Option(label)));
      find("class").placeholder = text("followBest");
    });
  }
}

/** @param {string} name @param {boolean} isOn */
function press(name, isOn) {
  find("buttons").querySelector(`[data-command="${name}"]`)?.setAttribute("aria-pressed", String(isOn));
}

/** @param {string} name */
function run(name) {
  if (name === "full_screen") toggleFullScreen();
  else if (name !== "quit" || confirm(text("quitQuestion"))) send({ name });
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

/**
 * Take over what does not change, and begin to show images.
 * @param {{choices: any, role: string, camera: boolean, webrtc: RTCConfiguration | null}} hello
 *   `camera` tells whether this browser may lend its camera
 */
function begin({ choices, role, camera: lends, webrtc }) {
  find("image").alt = text("image");
  find("video").setAttribute("aria-label", text("image"));
  find("waiting").textContent = text("noImage");
  images.start(webrtc);
  camera.configuration = webrtc;
  find("camera").hidden = !lends || isKiosk;
  if (role !== "control" || isKiosk) return;
  find("controls").hidden = find("shortcuts").hidden = false;
  fill(find("layout"), choices.layouts.map((/** @type {string} */ name) => [name, name]));
  fill(find("colormap"), choices.colormaps.map((/** @type {string} */ name) => [name, name]));
  fill(
    find("smoothing"),
    choices.smoothings_s.map((/** @type {number} */ seconds) => [String(seconds), seconds ? `${seconds} s` : text("noSmoothing")]),
  );
  const commands = new Map(choices.commands.map((/** @type {any} */ command) => [command.name, command]));
  find("buttons").replaceChildren(
    ...BUTTONS.filter((name) => commands.has(name)).map((name) => {
      const button = document.createElement("button");
      button.textContent = text(name) ?? commands.get(name).words;
      button.title = commands.get(name).key_label;
      button.dataset.command = name;
      button.onclick = () => run(name);
      return button;
    }),
  );
  showRows(
    find("keys"),
    choices.commands.filter((/** @type {any} */ each) => each.keys.length).map((/** @type {any} */ each) => [each.key_label, text(each.name) ?? each.words]),
  );
  document.onkeydown = (event) => {
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLButtonElement) return;
    const command = choices.commands.find((/** @type {any} */ each) => each.keys.includes(event.key));
    if (!command) return;
    event.preventDefault();
    if (["full_screen", "quit"].includes(command.name)) run(command.name);
    else if (command.name === "type_class") find("class").focus();
    else if (command.name === "help") find("shortcuts").open = !find("shortcuts").open;
    else if (command.name === "statistics") find("figures").open = !find("figures").open;
    else send({ key: event.key });
  };
}

const images = new Images(find("video"), find("image"), {
  send: (message) => send(message),
  onShown: () => {
    find("waiting").textContent = "";
  },
  onTransport: (name, reason) => {
    document.body.dataset.transport = name;
    find("transport").textContent = reason ? text(`without_${reason}`) : "";
  },
});
const camera = new Camera((state, transport) => {
  find("lend").setAttribute("aria-pressed", String(state === "on"));
  find("lend").textContent = text(state === "on" ? "stopLending" : "lend");
  find("flip").hidden = state !== "on";
  const how = transport === "jpeg" && camera.configuration ? text("cameraJpeg") : "";
  find("camera-state").textContent = [text(`camera_${state}`), how].filter(Boolean).join(" ");
});
find("lend").onclick = () => (camera.isWanted ? camera.stop() : camera.start());
find("flip").onclick = () => camera.flip();

document.documentElement.lang = language;
document.body.classList.toggle("kiosk", isKiosk);
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? "") ?? "";
}
find("waiting").textContent = text("connecting");
document.onfullscreenchange = () => document.body.classList.toggle("alone", !isKiosk && document.fullscreenElement !== null);
for (const name of ["method", "layer", "layout", "colormap"]) {
  find(name).onchange = () => send({ name, argument: find(name).value });
}
find("smoothing").onchange = () => send({ name: "smoothing", argument: Number(find("smoothing").value) });
find("opacity").oninput = () => {
  if (state) send({ name: "opacity", argument: Number(find("opacity").value) - state.opacity });
};
find("class").onchange = () => {
  const label = find("class").value.trim();
  if (label) send({ name: "class", argument: label });
  else if (state?.locked) send({ name: "lock" });
};
send = await connect({
  onHello: begin,
  onState: showState,
  onReply: (reply) => images.take(reply),
  onProblem: (name) => {
    images.stop();
    find("waiting").textContent = text(name);
  },
});
