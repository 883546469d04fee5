"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const holder = document.getElementById("chart");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chart = null, printing = false;
  const build = () => {
    if (chart) chart.destroy();
    const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const text = printing ? "#000" : style("--text"), line = printing ? "#bbb" : style("--line");
    const axis = { stroke: text, grid: { stroke: line }, ticks: { stroke: line } };
    const color = (plain) => dark.matches && !printing ? `color-mix(in srgb, ${plain} 55%, white)` : plain;
    const shown = (_, value) => value === null ? "" : value.toFixed(2);
    chart = new uPlot({
      width: holder.clientWidth, height: 280,
      scales: { x: { time: false } },
      axes: [{ ...axis, space: 70, values: (_, ticks) => ticks.map((tick) => `${tick} s`) }, { ...axis, size: 56 }],
      series: [{ label: "Time", value: (_, value) => value === null ? "" : `${value.toFixed(2)} s` },
        { label: "Correlation of the heat", stroke: color("#0b6bcb"), width: 2, value: shown },
        { label: "Confidence of A", stroke: color("#c2410c"), width: 2, value: shown },
        { label: "Confidence of B", stroke: color("#15803d"), width: 2, value: shown }],
    }, [data.times, ...data.series], holder);
  };
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => chart.setSize({ width: holder.clientWidth, height: 280 }), 100); });
  dark.addEventListener("change", build);
  addEventListener("beforeprint", () => { printing = true; build(); });
  addEventListener("afterprint", () => { printing = false; build(); });
  build();
})();
