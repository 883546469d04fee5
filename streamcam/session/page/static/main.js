// @ts-check
/** The page: what the session is, shown; what a person does, sent. */

import { Film } from "./attract.js";
import { Awake } from "./awake.js";
import { Camera } from "./camera.js";
import { connect } from "./connection.js";
import { Controls } from "./controls.js";
import { find, showRows } from "./dom.js";
import { History } from "./history.js";
import { Images } from "./images.js";
import { OwnTile } from "./own.js";
import { showPredictions } from "./predictions.js";
import { language, text } from "./texts.js";
import { bestOfEach, watchClicks } from "./tiles.js";

const isKiosk = new URLSearchParams(location.search).has("kiosk");

/** @type {(message: object) => void} */
let send = () => {};
/** @type {any} */
let state = null;

const controls = new Controls((command) => send(command));
const history = new History(find("history"));
const ownTile = new OwnTile();
const awake = new Awake();
const film = new Film(find("film"), find("film-caption"));

/** @param {any} next */
function withoutHeat({ deletion_shown: isShown, is_wall: isWall, deletion }) {
  if (!isShown || isWall) return "";
  if (!deletion) return text("removingHeat") ?? "";
  return [text("withoutHeat", deletion), deletion.age].filter(Boolean).join(" · ");
}

/** @type {"gone" | "noKey" | null} why there is no connection to the session */
let problem = null;
let keepsImages = false;
let invitation = text("invite") ?? "";

/** Show the film where there is nothing else to see in a kiosk, unless somebody has to do something. */
function attract() {
  const isEmpty = state === null || state.lost || (find("image").hidden && find("video").hidden);
  const isShown = isKiosk && isEmpty && problem !== "noKey";
  find("attract").hidden = !isShown;
  find("invitation").textContent = problem ? text(problem) : invitation;
  find("attract-share").hidden = problem !== null || !find("share-link").textContent;
  film.run(isShown);
}

/** @param {any} next */
function showState(next) {
  state = next;
  find("waiting").textContent = find("image").hidden && find("video").hidden ? text("noImage") : "";
  const source = state.is_wall ? (text("streams", { count: String(state.tiles.length) }) ?? "") : state.source;
  find("source").textContent = source;
  document.title = `streamcam: ${source}`;
  find("network").textContent = state.model ? `${state.model} · ${state.method} · ${state.layer}` : text("loading");
  find("messages").textContent = state.messages.join("\n");
  find("messages").classList.toggle("trouble", state.trouble);
  find("recording").textContent = state.recording ?? "";
  find("deletion").textContent = withoutHeat(state);
  find("recorded").textContent = state.recording === null ? "" : text("recorded");
  find("kiosk-caption").textContent = text(state.model ? "aboutText" : "loading");
  find("frozen").textContent = state.frozen ? text("frozen") : "";
  const own = ownTile.show(state);
  const predictions = own?.predictions ?? (state.is_wall ? bestOfEach(state.tiles) : state.predictions);
  showPredictions(find("predictions"), predictions);
  document.body.style.setProperty("--label-size", String(state.label_size));
  document.body.classList.toggle("labelled", !state.has_labels_beside);
  if (!isKiosk) history.add(predictions);
  if (find("figures").open) {
    const rows = state.statistics.map((/** @type {string[]} */ [name, value]) => [text(`figure_${name}`) ?? name, value]);
    showRows(find("statistics"), rows);
  }
  if (state.model) find("method-text").textContent = text("methodText", state) ?? "";
  controls.update(state);
  attract();
}

/**
 * Take over what does not change, and begin to show images.
 * @param {import("./connection.js").Hello} hello
 */
function begin({ choices, role, camera: lends, webrtc, share }) {
  find("image").alt = text("image");
  find("video").setAttribute("aria-label", text("image"));
  find("waiting").textContent = text("noImage");
  /** @type {string[]} */
  const beside = choices.beside;
  find("beside").textContent = beside.map((name) => text(`beside_${name}`)).join(" ");
  keepsImages = beside.includes("evidence");
  images.start(webrtc);
  camera.configuration = webrtc;
  ownTile.isWanted = role === "camera";
  problem = null;
  find("camera").hidden = !lends || isKiosk;
  if (share) showShare(share);
  if (role === "control" && !isKiosk) {
    controls.begin(choices);
    for (const id of ["image", "video"]) watchClicks(find(id), () => state, (command) => send(command));
  }
  attract();
}

/**
 * Show the link that others may use.
 * @param {{link: string, code: string, lends: boolean}} share the code is an image, as a data URL
 */
function showShare({ link, code, lends }) {
  const words = text(lends ? "shareCamera" : "shareView") ?? "";
  for (const image of document.querySelectorAll("img.code")) {
    const picture = /** @type {HTMLImageElement} */ (image);
    picture.src = code;
    picture.alt = words;
  }
  for (const line of document.querySelectorAll(".share-text")) line.textContent = words;
  find("share-link").textContent = link;
  find("share").hidden = find("kiosk-share").hidden = false;
  invitation = text(lends ? "inviteCamera" : "invite") ?? "";
}

const images = new Images(find("video"), find("image"), {
  send: (message) => send(message),
  onShown: () => {
    find("waiting").textContent = "";
    attract();
  },
  onTransport: (name, reason) => {
    document.body.dataset.transport = name;
    find("transport").textContent = reason ? (text(`without_${reason}`) ?? "") : "";
  },
});
const onPlace = (/** @type {string | null} */ place) => {
  ownTile.place = place;
  if (state) ownTile.show(state);
};
const camera = new Camera((state, transport) => {
  find("lend").setAttribute("aria-pressed", String(state === "on"));
  find("lend").textContent = text(state === "on" ? "stopLending" : "lend");
  find("flip").hidden = state !== "on" || !camera.hasOthers;
  awake.set(isKiosk || state === "on");
  const how = transport === "jpeg" && camera.configuration ? text("cameraJpeg") : "";
  const kept = state === "on" && !keepsImages ? text("notKept") : "";
  find("camera-state").textContent = [text(`camera_${state}`), kept, how].filter(Boolean).join(" ");
}, onPlace);
find("lend").onclick = () => (camera.isWanted ? camera.stop() : camera.start());
find("flip").onclick = () => camera.flip();

document.documentElement.lang = language;
document.body.classList.toggle("kiosk", isKiosk);
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? "") ?? "";
}
find("waiting").textContent = text("connecting");
document.onfullscreenchange = () => document.body.classList.toggle("alone", !isKiosk && document.fullscreenElement !== null);
awake.set(isKiosk);
addEventListener("hashchange", () => location.reload()); // the link of another start, opened in this tab
attract();
send = await connect({
  onHello: begin,
  onState: showState,
  onReply: (reply) => images.take(reply),
  onPeople: ({ controlling }) => {
    find("people").textContent = controlling > 1 ? (text("controlling", { count: String(controlling) }) ?? "") : "";
  },
  onProblem: (name) => {
    images.stop();
    find("waiting").textContent = text(name);
    problem = name;
    document.body.classList.toggle("stopped", name === "noKey");
    attract();
  },
});
