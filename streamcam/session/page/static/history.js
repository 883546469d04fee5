// @ts-check
/** The predictions of the last minute, as a chart by uPlot (a script of its own, shared with streamcam report). */

const SPAN_S = 60;
const STEP_S = 0.25;
const MOST = 5;
const HEIGHT = 150;

/** @typedef {import("./predictions.js").Prediction} Prediction */
/** @typedef {{time: number, shares: Map<string, number>}} Moment */

/**
 * A minute of predictions.
 */
export class Record {
  constructor() {
    /** @type {Moment[]} */
    this.moments = [];
    /** @type {string[]} the labels that are drawn, each in a place that it keeps */
    this.labels = [];
  }

  /**
   * Add a moment, unless the last one is close.
   * @param {number} time in seconds
   * @param {Prediction[]} predictions
   * @returns {boolean} whether it was added
   */
  add(time, predictions) {
    if (time - (this.moments.at(-1)?.time ?? -Infinity) < STEP_S) return false;
    const known = predictions.filter((each) => each.probability !== null);
    this.moments.push({ time, shares: new Map(known.map((each) => [each.label, each.probability ?? 0])) });
    while (this.moments[0].time < time - SPAN_S) this.moments.shift();
    this.choose();
    return true;
  }

  /** Choose the labels that were most probable within the minute; those that stay keep their places. */
  choose() {
    /** @type {Map<string, number>} */
    const best = new Map();
    for (const { shares } of this.moments) {
      for (const [label, share] of shares) best.set(label, Math.max(share, best.get(label) ?? 0));
    }
    const top = [...best].sort((a, b) => b[1] - a[1]).slice(0, MOST).map(([label]) => label);
    const added = top.filter((label) => !this.labels.includes(label));
    const places = this.labels.map((label) => (top.includes(label) ? label : (added.shift() ?? "")));
    this.labels = [...places, ...added].filter(Boolean);
  }

  /** @returns {(number | null)[][]} seconds before now, then a row for each label */
  rows() {
    const now = this.moments.at(-1)?.time ?? 0;
    return [this.moments.map((each) => each.time - now), ...this.labels.map((label) => this.moments.map((each) => each.shares.get(label) ?? null))];
  }
}

/**
 * The chart of a record.
 */
export class History {
  /** @param {HTMLElement} element where it is drawn */
  constructor(element) {
    this.element = element;
    this.record = new Record();
    this.drawn = "";
    new ResizeObserver(() => this.chart?.setSize(this.size())).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.drawn = ""));
  }

  /** @param {Prediction[]} predictions */
  add(predictions) {
    if (!this.record.add(performance.now() / 1000, predictions)) return;
    const { labels } = this.record;
    if (!labels.length || !this.element.clientWidth) return;
    if (this.drawn !== JSON.stringify(labels)) {
      this.drawn = JSON.stringify(labels);
      this.draw(labels);
    }
    this.chart.setData(this.record.rows());
  }

  size() {
    return { width: this.element.clientWidth, height: HEIGHT };
  }

  /** @param {string[]} labels */
  draw(labels) {
    this.chart?.destroy();
    const style = getComputedStyle(this.element);
    const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
    const lines = labels.map((label, index) => ({ label, stroke: color(`--series-${index + 1}`), width: 2, spanGaps: false, points: { show: false } }));
    // @ts-ignore a script of its own defines it
    this.chart = new uPlot(
      {
        ...this.size(),
        cursor: { show: false },
        legend: { live: false },
        scales: { x: { time: false, range: [-SPAN_S, 0] }, y: { range: [0, 1] } },
        axes: [
          { ...axis, size: 24, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((tick) => `${tick} s`) },
          { ...axis, size: 44, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((tick) => `${Math.round(100 * tick)} %`) },
        ],
        series: [{}, ...lines],
      },
      this.record.rows(),
      this.element,
    );
  }
}
