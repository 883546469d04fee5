// @ts-check
/** A film for a kiosk that nobody uses: things drawn with a few lines, and where a network would look. */

import { text } from "./texts.js";

const SCENE_S = 5;

/** @typedef {{name: string, outline: string, heat: [number, number, number][]}} Scene outline in a square of 100;
 *   heat as (x, y, radius), which the film goes through */

/** @type {Scene[]} */
const SCENES = [
  {
    name: "cat",
    outline: "M25 85 Q15 55 22 15 L40 30 Q50 26 60 30 L78 15 Q85 55 75 85 Q50 98 25 85 M35 50 a2 3 0 1 0 4 0 a2 3 0 1 0 -4 0 M61 50 a2 3 0 1 0 4 0 a2 3 0 1 0 -4 0 M46 66 L50 69 L54 66 M50 69 v6 M30 66 L10 62 M30 71 L10 73 M70 66 L90 62 M70 71 L90 73",
    heat: [[30, 24, 16], [70, 24, 16], [50, 52, 26], [50, 68, 20]],
  },
  {
    name: "cup",
    outline: "M22 30 H68 L63 84 H27 Z M68 40 Q92 40 88 56 Q84 70 65 68 M34 20 Q30 14 36 8 M46 20 Q42 14 48 8 M58 20 Q54 14 60 8",
    heat: [[45, 58, 26], [82, 54, 16], [78, 58, 18], [46, 30, 20]],
  },
  {
    name: "banana",
    outline: "M18 20 Q14 82 78 84 Q90 84 88 76 Q40 78 30 20 Q28 12 18 20 M24 30 Q32 74 80 80",
    heat: [[22, 28, 16], [32, 62, 22], [56, 78, 20], [82, 80, 14]],
  },
];

/**
 * A film that runs on a canvas while it is shown.
 */
export class Film {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} caption where the name of what is drawn stands
   */
  constructor(canvas, caption) {
    this.canvas = canvas;
    this.caption = caption;
    this.isRunning = false;
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** @param {boolean} isWanted */
  run(isWanted) {
    if (isWanted === this.isRunning) return;
    this.isRunning = isWanted;
    if (isWanted) requestAnimationFrame((now) => this.draw(now));
  }

  /** @param {number} now in milliseconds */
  draw(now) {
    if (!this.isRunning) return;
    const time = this.isStill ? 2 : now / 1000;
    const scene = SCENES[Math.floor(time / SCENE_S) % SCENES.length];
    const part = (time % SCENE_S) / SCENE_S;
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    context.setTransform(side / 100, 0, 0, side / 100, 0, 0);
    context.clearRect(0, 0, 100, 100);
    drawHeat(context, scene.heat, part);
    context.strokeStyle = "#eef1f5";
    context.lineWidth = 1.6;
    context.lineCap = context.lineJoin = "round";
    context.globalAlpha = Math.min(1, 8 * part, 8 * (1 - part));
    context.stroke(new Path2D(scene.outline));
    context.globalAlpha = 1;
    this.caption.textContent = `${text(`film_${scene.name}`)} · ${Math.round(40 + 55 * Math.min(1, 1.6 * part))} %`;
    if (!this.isStill) requestAnimationFrame((next) => this.draw(next));
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number, number][]} spots
 * @param {number} part of the scene, from 0 to 1
 */
function drawHeat(context, spots, part) {
  const place = part * (spots.length - 1);
  const index = Math.min(Math.floor(place), spots.length - 2);
  const [from, to] = [spots[index], spots[index + 1]];
  const share = (1 - Math.cos(Math.PI * (place - index))) / 2;
  const [x, y, radius] = from.map((value, axis) => value + share * (to[axis] - value));
  const heat = context.createRadialGradient(x, y, 0, x, y, 1.5 * radius);
  const strength = Math.min(1, 6 * part, 6 * (1 - part));
  heat.addColorStop(0, `rgb(220 40 30 / ${0.85 * strength})`);
  heat.addColorStop(0.4, `rgb(250 160 40 / ${0.7 * strength})`);
  heat.addColorStop(0.7, `rgb(90 210 120 / ${0.35 * strength})`);
  heat.addColorStop(1, "rgb(50 90 220 / 0)");
  context.fillStyle = heat;
  context.fillRect(0, 0, 100, 100);
}
