// @ts-check
/** What a person can do: buttons, lists, fields and keys, each a command of the session. */

import { fetchLabels } from "./connection.js";
import { fill, find, show, showRows } from "./dom.js";
import { text } from "./texts.js";

/** Commands that have a button, in its order; the others are chosen from lists or are keys only. */
const BUTTONS = ["freeze", "overlay", "lock", "deletion", "save_image", "record", "full_screen", "defaults", "quit"];

/** The page's lists: each stands for a command, and holds names that the session gives. */
const LISTS = { method: "methods", layer: "layers" };

/**
 * Find the class that somebody means.
 * @param {string[]} labels
 * @param {string} typed a name, a word of it, its beginning or a part
 * @returns {string | undefined}
 */
export function search(labels, typed) {
  const part = typed.toLowerCase();
  const ranks = [
    (/** @type {string} */ label) => label === part,
    (/** @type {string} */ label) => ` ${label} `.includes(` ${part} `),
    (/** @type {string} */ label) => label.startsWith(part),
    (/** @type {string} */ label) => ` ${label}`.includes(` ${part}`),
    (/** @type {string} */ label) => label.includes(part),
  ];
  for (const isMeant of ranks) {
    const found = labels.find((label) => isMeant(label.toLowerCase()));
    if (found !== undefined) return found;
  }
  return undefined;
}

export function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

/**
 * The controls of one session.
 */
export class Controls {
  /** @param {(command: {name: string, argument?: string | number} | {key: string}) => void} send */
  constructor(send) {
    this.send = send;
    /** @type {any} */
    this.state = null;
    /** @type {string[]} */
    this.labels = [];
    this.labelsOf = null;
    for (const name of ["method", "layer", "layout", "colormap"]) {
      find(name).onchange = () => send({ name, argument: find(name).value });
    }
    find("smoothing").onchange = () => send({ name: "smoothing", argument: Number(find("smoothing").value) });
    find("opacity").oninput = () => {
      if (this.state) send({ name: "opacity", argument: Number(find("opacity").value) - this.state.opacity });
    };
    find("class").onchange = () => this.chooseClass(find("class").value.trim());
    find("prompts").onsubmit = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const argument = find("prompt").value.trim();
      if (argument) send({ name: /** @type {HTMLButtonElement} */ (event.submitter).value, argument });
      find("prompt").value = "";
    };
  }

  /** @param {string} typed */
  chooseClass(typed) {
    if (!typed) {
      if (this.state?.locked) this.send({ name: "lock" });
      return;
    }
    const label = search(this.labels, typed);
    find("class-state").textContent = label === undefined ? text("noClass", { typed }) : "";
    if (label !== undefined) this.send({ name: "class", argument: label });
  }

  /**
   * Show what there is to do.
   * @param {any} choices
   */
  begin(choices) {
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
        button.onclick = () => this.run(name);
        return button;
      }),
    );
    showRows(
      find("keys"),
      choices.commands.filter((/** @type {any} */ each) => each.keys.length).map((/** @type {any} */ each) => [each.key_label, text(each.name) ?? each.words]),
    );
    document.onkeydown = (event) => this.press(event, choices.commands);
  }

  /** @param {any} state */
  update(state) {
    this.state = state;
    for (const [id, names] of Object.entries(LISTS)) {
      fill(find(id), state[names].map((/** @type {string} */ name) => [name, name]));
      show(find(id), state[id]?.split(":")[0] ?? "");
    }
    show(find("layout"), state.layout);
    show(find("colormap"), state.colormap);
    show(find("smoothing"), String(state.smoothing_s));
    show(find("opacity"), String(state.opacity));
    show(find("class"), state.locked ? (state.predictions.find((/** @type {any} */ each) => each.explained)?.label ?? "") : "");
    find("prompts").hidden = !state.takes_prompts;
    this.mark("freeze", state.frozen);
    this.mark("overlay", state.heat_shown);
    this.mark("lock", state.locked);
    this.mark("deletion", state.deletion_shown);
    this.mark("record", state.recording !== null);
    if (state.model && this.labelsOf !== state.labels_key) {
      this.labelsOf = state.labels_key;
      fetchLabels().then((labels) => {
        this.labels = labels;
        find("classes").replaceChildren(...labels.map((label) => new Option(label)));
        find("class").placeholder = text("followBest");
      });
    }
  }

  /** @param {string} name @param {boolean} isOn */
  mark(name, isOn) {
    find("buttons").querySelector(`[data-command="${name}"]`)?.setAttribute("aria-pressed", String(isOn));
  }

  /** @param {string} name */
  run(name) {
    if (name === "full_screen") toggleFullScreen();
    else if (name !== "quit" || confirm(text("quitQuestion"))) this.send({ name });
  }

  /**
   * @param {KeyboardEvent} event
   * @param {any[]} commands
   */
  press(event, commands) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isTyping = target.matches("input:not([type=range]), select");
    const isPressing = [" ", "Enter"].includes(event.key) && target.matches("button, summary");
    if (isTyping || isPressing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && this.state?.tiles.length && !this.state.is_wall) this.send({ name: "wall" });
    const command = commands.find((each) => each.keys.includes(event.key));
    if (!command) return;
    event.preventDefault();
    if (["full_screen", "quit"].includes(command.name)) this.run(command.name);
    else if (command.name === "type_class") find(this.state?.takes_prompts ? "prompt" : "class").focus();
    else if (command.name === "help") find("shortcuts").open = !find("shortcuts").open;
    else if (command.name === "statistics") find("figures").open = !find("figures").open;
    else this.send({ key: event.key });
  }
}
