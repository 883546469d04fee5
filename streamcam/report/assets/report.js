"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const colors = bytes(data.colors);
  const element = (id) => document.getElementById(id);
  const slider = element("position"), canvas = element("frame"), showHeat = element("heat");
  const percent = (value) => value === null ? "" : value >= 0 && value <= 1 ? `${Math.round(100 * value)} %` : value.toPrecision(4);
  const clock = (seconds) => {
    const hundredths = Math.round(seconds * 100);
    const rest = hundredths % 6000;
    return `${Math.floor(hundredths / 6000)}:${String(Math.floor(rest / 100)).padStart(2, "0")}.${String(rest % 100).padStart(2, "0")}`;
  };
  slider.max = data.times.length - 1;
  let chosen = 0, charts = [];

  const nearest = (seconds) => {
    let best = 0;
    data.times.forEach((time, at) => { if (Math.abs(time - seconds) < Math.abs(data.times[best] - seconds)) best = at; });
    return best;
  };

  const images = data.pictures.map((url) => { const image = new Image(); image.src = url; return image; });

  const heatImage = (frame) => {
    const [rows, columns] = frame.shape, values = bytes(frame.heat);
    const small = document.createElement("canvas");
    small.width = columns; small.height = rows;
    const context = small.getContext("2d"), pixels = context.createImageData(columns, rows);
    values.forEach((value, at) => {
      const share = value / 255;
      pixels.data.set([colors[3 * value], colors[3 * value + 1], colors[3 * value + 2], 255 * 0.6 * share * (2 - share)], 4 * at);
    });
    context.putImageData(pixels, 0, 0);
    return small;
  };

  const trail = (context, at, number, width, height) => {
    context.beginPath();
    for (let before = at; before >= 0 && at - before < 100; before -= 1) {
      const box = data.frames[before].boxes.find((one) => one[0] === number);
      if (box) context.lineTo((box[2] + box[4]) / 2 * width, (box[3] + box[5]) / 2 * height);
    }
    context.stroke();
  };

  const drawBoxes = (context, at, width, height) => {
    context.font = "16px system-ui, sans-serif";
    data.frames[at].boxes.forEach(([number, label, left, top, right, bottom]) => {
      const path = data.paths.find((one) => one.number === number), text = `${label} #${number}`;
      context.strokeStyle = "#000"; context.lineWidth = 4;
      context.strokeRect(left * width, top * height, (right - left) * width, (bottom - top) * height);
      context.strokeStyle = path ? `color-mix(in srgb, ${path.color} 45%, white)` : "#fff"; context.lineWidth = 2;
      context.strokeRect(left * width, top * height, (right - left) * width, (bottom - top) * height);
      trail(context, at, number, width, height);
      const above = Math.max(0, top * height - 22), long = context.measureText(text).width + 8;
      const begin = Math.max(0, Math.min(left * width, width - long));
      context.fillStyle = "#000b"; context.fillRect(begin, above, long, 22);
      context.fillStyle = "#fff"; context.fillText(text, begin + 4, above + 16);
    });
  };

  const screen = element("screen"), film = element("player"), choice = element("choice");
  const plays = () => screen.classList.contains("plays");
  const played = () => choice.selectedOptions[0].dataset;

  const draw = async (at) => {
    const frame = data.frames[at], isFilm = plays();
    const image = isFilm || frame.picture === null ? null : images[frame.picture];
    if (image && !image.complete) await image.decode();
    if (at !== chosen || isFilm !== plays()) return;
    const ratio = isFilm ? film.videoHeight / film.videoWidth : image ? image.naturalHeight / image.naturalWidth : 9 / 16;
    const width = 640, height = Math.round(width * ratio);
    canvas.width = width; canvas.height = height;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    canvas.dataset.row = frame.row;
    if (isFilm && played().heat === "1") return;
    if (image) context.drawImage(image, 0, 0, width, height);
    if (showHeat.checked && frame.heat) {
      const [left, top, right, bottom] = frame.region;
      context.drawImage(heatImage(frame), left * width, top * height, (right - left) * width, (bottom - top) * height);
    }
    drawBoxes(context, at, width, height);
  };

  const choose = (at, seeks = true) => {
    chosen = at;
    slider.value = at;
    const frame = data.frames[at], time = clock(data.times[at]);
    const [first] = frame.labels;
    slider.setAttribute("aria-valuetext", time + (first ? `, ${first[0]} ${percent(first[1])}` : ""));
    element("moment-text").textContent = `${time}: ` + (first ? `${first[0]} ${percent(first[1])}` : "no label") + (frame.target ? `. Heat: ${frame.target}.` : ".");
    element("moment-labels").tBodies[0].replaceChildren(...frame.labels.map(([label, value]) => {
      const row = document.createElement("tr"), name = document.createElement("th"), number = document.createElement("td");
      name.scope = "row"; name.textContent = label; number.textContent = percent(value);
      row.append(name, number);
      return row;
    }));
    canvas.setAttribute("aria-label", `The moment ${time}` + (showHeat.checked ? " with heat" : ""));
    document.querySelectorAll("#strip button").forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.picture) === frame.picture)));
    charts.forEach((chart) => chart.setCursor({ left: chart.valToPos(data.times[at], "x"), top: 0 }, false));
    if (seeks && plays()) film.currentTime = Math.max(0, data.times[at] - Number(played().begins));
    draw(at);
  };

  const follow = () => {
    // The last explained frame that is not after the one shown.
    const now = film.currentTime + Number(played().begins) + 0.001;
    let at = data.times.findIndex((time) => time > now) - 1;
    if (at < -1) at = data.times.length - 1;
    if (Math.max(0, at) !== chosen) choose(Math.max(0, at), false);
  };
  const followFrames = () => {
    if (film.paused || film.ended) return;
    follow();
    requestAnimationFrame(followFrames);
  };
  if (film) {
    film.addEventListener("loadedmetadata", () => { screen.classList.add("plays"); choose(chosen); });
    film.addEventListener("play", followFrames);
    film.addEventListener("seeked", follow);
    film.addEventListener("error", () => { screen.classList.remove("plays"); element("problem").hidden = false; draw(chosen); });
    choice.addEventListener("change", () => { film.src = choice.value; element("problem").hidden = true; showHeat.disabled = played().heat === "1"; });
    showHeat.disabled = played().heat === "1";
  }

  const strip = element("strip");
  data.pictures.forEach((url, picture) => {
    const at = data.frames.findIndex((frame) => frame.picture === picture);
    if (at < 0) return;
    const button = document.createElement("button"), image = document.createElement("img");
    button.type = "button"; button.dataset.picture = picture;
    image.src = url; image.alt = clock(data.times[at]);
    button.append(image);
    button.addEventListener("click", () => choose(at));
    strip.append(button);
  });

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const chart = (id, height, names, values, colors, range) => {
    const text = printing ? "#000" : style("--text"), line = printing ? "#bbb" : style("--line");
    const axis = { stroke: text, grid: { stroke: line }, ticks: { stroke: line } };
    const options = {
      width: element(id).clientWidth, height,
      scales: { x: { time: false }, y: { range } },
      cursor: { sync: { key: "streamcam" }, drag: { x: true, y: false } },
      axes: [{ ...axis, space: 70, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => range[1] <= 1 ? percent(tick) : tick) }],
      series: [{ label: "Time", value: (_, value) => value === null ? "" : clock(value) },
        ...names.map((label, at) => ({ label, stroke: colors[at], width: 2, spanGaps: false, points: { show: values[at].filter((value) => value !== null).length < 2 }, value: (_, value) => value === null ? "" : percent(value) }))],
    };
    const made = new uPlot(options, [data.times, ...values], element(id));
    made.over.addEventListener("click", () => { if (made.cursor.idx !== null && made.cursor.idx !== undefined) choose(made.cursor.idx); });
    return made;
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const lighter = (color) => dark.matches && !printing ? `color-mix(in srgb, ${color} 55%, white)` : color;
  const build = () => {
    charts.forEach((one) => one.destroy());
    const all = data.series.flatMap((one) => one.values).filter((value) => value !== null);
    const low = Math.min(0, ...all), top = Math.max(0, ...all), high = top > 1 ? top : Math.min(1, Math.max(0.1, 1.2 * top));
    charts = [
      chart("confidence", 260, data.series.map((one) => one.label), data.series.map((one) => one.values), data.series.map((one) => lighter(one.color)), [low, high]),
      chart("center", 180, ["From the left", "From the top"], data.centers, [lighter("#0b6bcb"), lighter("#c2410c")], [0, 1]),
    ];
    if (data.paths.length) charts.push(chart("paths", 220, data.paths.map((one) => one.label), data.paths.map((one) => one.values), data.paths.map((one) => lighter(one.color)), [0, 1]));
    choose(chosen, false);
  };
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => charts.forEach((one) => one.setSize({ width: one.root.parentElement.clientWidth, height: one.height })), 100);
  });
  dark.addEventListener("change", build);
  let playedBefore = false;
  const print = (starts) => {
    printing = starts;
    if (film) {
      film.controls = !starts;
      if (starts) playedBefore = plays();
      screen.classList.toggle("plays", !starts && playedBefore);
      draw(chosen); // a video is not printed: the moment's own picture takes its place
    }
    build();
  };
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  slider.addEventListener("input", () => choose(Number(slider.value)));
  showHeat.addEventListener("change", () => choose(chosen));
  document.querySelectorAll("[data-row]").forEach((button) => button.tagName === "BUTTON" && button.addEventListener("click", () => {
    choose(data.frames.findIndex((frame) => frame.row === Number(button.dataset.row)));
    element("timeline-title").scrollIntoView({ block: "start" });
  }));
  addEventListener("pageshow", () => draw(chosen));
  build();
})();
