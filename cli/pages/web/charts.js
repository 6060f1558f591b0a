"use strict";
/* Axes, legends, bars and lines. Colours are Okabe and Ito's, which colour-blind readers can tell apart. */
const MARGIN = { top: 12, right: 14, bottom: 40, left: 54 };

function niceTicks(low, high, wanted = 5) {
  const raw = (high - low || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / size - 1e-9); i * size <= high + size * 1e-9; i += 1) ticks.push(Number((i * size).toPrecision(12)));
  return ticks;
}
const tickText = (value) => (Math.abs(value) >= 10000 ? value.toLocaleString("en", { notation: "compact" }) : Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 }));
const numbers = (values) => values.filter((value) => typeof value === "number" && Number.isFinite(value));
function bounds(values, { zero = false, pad = 0 } = {}) {
  let low = zero ? 0 : Infinity, high = zero ? 0 : -Infinity;
  for (const value of numbers(values)) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low > high) return [0, 1];
  if (low === high) return zero ? [Math.min(0, low), Math.max(1, high)] : [low - 0.5, high + 0.5];
  return [low - (high - low) * pad, high + (high - low) * pad];
}
const linear = ([low, high], [from, to]) => (value) => from + ((value - low) / (high - low)) * (to - from);
const colourClass = (name, index) => (VERDICTS.includes(name) ? `colour-${name}` : `colour-${index % 8}`);
const clip = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

function legend(names, toggle) {
  if (names.length < 2) return null;
  return make("div", { class: "legend" }, ...names.map((name, index) => {
    const swatch = make("i", { class: `${colourClass(name, index)} shape-${index % 4}` });
    if (!toggle) return make("span", {}, swatch, name);
    return make("button", { "aria-pressed": "true", title: "Show or hide", onclick: (event) => {
      const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", on);
      toggle(index, on);
    } }, swatch, name);
  }));
}

/* The frame that bars, lines and points share: grid lines, tick texts and the names of the axes. */
function axes({ width, height, x, y, xTicks = [], yTicks = [], xLabel = "", yLabel = "", left = MARGIN.left, under = MARGIN.bottom }) {
  const inner = { left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - under };
  return draw("g", { class: "axes" },
    ...yTicks.map((tick) => draw("line", { class: "rule", x1: inner.left, x2: inner.right, y1: y(tick), y2: y(tick) })),
    ...yTicks.map((tick) => draw("text", { x: inner.left - 8, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick))),
    ...xTicks.map((tick) => draw("line", { class: "rule faint", x1: x(tick), x2: x(tick), y1: inner.top, y2: inner.bottom })),
    ...xTicks.map((tick) => draw("text", { x: x(tick), y: inner.bottom + 17, "text-anchor": "middle" }, tickText(tick))),
    draw("line", { class: "base", x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom }),
    xLabel ? draw("text", { class: "axis", x: (inner.left + inner.right) / 2, y: height - 5, "text-anchor": "middle" }, xLabel) : null,
    yLabel ? draw("text", { class: "axis", transform: `translate(13 ${(inner.top + inner.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel) : null);
}
const picture2d = (width, height, told, ...children) => draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told }, ...children);

function barTip(event, data, i) {
  showTip(event.clientX, event.clientY, make("b", {}, data.categories[i]), ...data.series.map((one) =>
    make("span", {}, data.series.length > 1 ? `${one.name}: ` : "", one.values[i] === null ? "none" : shortNumber(one.values[i]), data.unit ? ` ${data.unit}` : "")));
}
function barParts(data) {
  const sums = data.categories.map((_, i) => data.series.map((one) => one.values[i] || 0));
  const high = sums.map((list) => (data.stacked ? list.filter((v) => v > 0).reduce((a, b) => a + b, 0) : Math.max(...list)));
  const low = sums.map((list) => (data.stacked ? list.filter((v) => v < 0).reduce((a, b) => a + b, 0) : Math.min(...list)));
  return { range: bounds([...high, ...low], { zero: true }) };
}
/* Long or numerous names are turned on their side to stay readable. */
function drawBars(panel, box, width) {
  const { data } = panel;
  const longest = Math.max(0, ...data.categories.map((name) => name.length));
  const room = width / Math.max(1, data.categories.length);
  const lying = longest > 3 && longest * 7 > room;
  box.append((lying ? lyingBars : standingBars)(panel, width, longest));
}
function barsOf(data, i, along, across, thick) {
  const each = data.stacked ? thick : thick / data.series.length;
  let above = 0, below = 0;
  return data.series.map((one, s) => {
    const value = one.values[i];
    if (value === null || !Number.isFinite(value)) return null;
    const start = data.stacked ? (value < 0 ? below : above) : 0;
    if (value < 0) below += value; else above += value;
    const [a, b] = [along(start), along(start + value)];
    return { from: Math.min(a, b), size: Math.max(value ? 1 : 0, Math.abs(b - a)), at: across + (data.stacked ? 0 : s * each), thick: Math.max(1, each - (data.stacked ? 0 : 1)), class: colourClass(one.name, s) };
  }).filter(Boolean);
}
function standingBars({ title, data }, width) {
  const height = 250, under = 26, { range } = barParts(data);
  const y = linear(range, [height - under, MARGIN.top]);
  const slot = (width - MARGIN.left - MARGIN.right) / Math.max(1, data.categories.length);
  const every = Math.ceil((Math.max(1, ...data.categories.map((c) => c.length)) * 7 + 8) / slot);
  const parts = data.categories.map((name, i) => {
    const left = MARGIN.left + i * slot;
    return draw("g", { class: "slot", onpointermove: (event) => barTip(event, data, i), onpointerleave: hideTip },
      draw("rect", { class: "hit", x: left, y: MARGIN.top, width: slot, height: height - MARGIN.top - under }),
      ...barsOf(data, i, y, left + slot * 0.12, slot * 0.76).map((bar) => draw("rect", { class: bar.class, x: bar.at, y: bar.from, width: bar.thick, height: bar.size, rx: 1.5 })),
      i % every ? null : draw("text", { x: left + slot / 2, y: height - under + 17, "text-anchor": "middle" }, name));
  });
  return picture2d(width, height, title, axes({ width, height, y, under, yTicks: niceTicks(...range), yLabel: data.unit }), ...parts);
}
function lyingBars({ title, data }, width, longest) {
  const line = data.stacked || data.series.length === 1 ? 24 : 10 + 13 * data.series.length;
  const left = Math.min(width * 0.4, 16 + longest * 7.2), { range } = barParts(data);
  const height = data.categories.length * line + MARGIN.top + MARGIN.bottom;
  const x = linear(range, [left, width - MARGIN.right - 44]);
  const parts = data.categories.map((name, i) => {
    const top = MARGIN.top + i * line;
    const bars = barsOf(data, i, x, top + 4, line - 8);
    const end = Math.max(...bars.map((bar) => bar.from + bar.size), left);
    const alone = data.series.length === 1 ? data.series[0].values[i] : null;
    return draw("g", { class: "slot", onpointermove: (event) => barTip(event, data, i), onpointerleave: hideTip },
      draw("rect", { class: "hit", x: 0, y: top, width, height: line }),
      ...bars.map((bar) => draw("rect", { class: bar.class, x: bar.from, y: bar.at, width: bar.size, height: bar.thick, rx: 1.5 })),
      draw("text", { x: left - 8, y: top + line / 2 + 4, "text-anchor": "end" }, clip(name, Math.floor((left - 12) / 7.2))),
      alone === null ? null : draw("text", { class: "strong", x: end + 6, y: top + line / 2 + 4 }, shortNumber(alone)));
  });
  return picture2d(width, height, title, axes({ width, height, x, xTicks: niceTicks(...range, 4), xLabel: data.unit, left }), ...parts);
}

function drawLines({ title, data }, box, width) {
  const height = 280, hidden = new Set();
  const holder = make("div", { class: "holder" });
  const redraw = () => holder.replaceChildren(linePicture(title, data, width, height, hidden));
  redraw();
  box.append(holder);
  return (index, on) => { if (on) hidden.delete(index); else hidden.add(index); redraw(); };
}
function linePicture(title, data, width, height, hidden) {
  const visible = data.series.map((one, s) => ({ ...one, s })).filter(({ s }) => !hidden.has(s));
  const xRange = bounds(data.x), yRange = bounds(visible.flatMap((one) => one.values), { pad: 0.04 });
  const x = linear(xRange, [MARGIN.left, width - MARGIN.right]), y = linear(yRange, [height - MARGIN.bottom, MARGIN.top]);
  const paths = visible.map((one) => {
    let pen = "M", path = "";
    one.values.forEach((value, i) => {
      if (value === null || !Number.isFinite(value)) { pen = "M"; return; }
      path += `${pen}${x(data.x[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    return draw("path", { class: `curve ${colourClass(one.name, one.s)} dash-${one.s % 4}`, d: path });
  });
  const cursor = draw("g", { class: "cursor" });
  const svg = picture2d(width, height, title, axes({ width, height, x, y, xTicks: niceTicks(...xRange, Math.min(8, width / 80)), yTicks: niceTicks(...yRange), xLabel: data.xLabel, yLabel: data.yLabel }), ...paths, cursor);
  svg.addEventListener("pointermove", (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left;
    const i = data.x.reduce((best, value, k) => (Math.abs(x(value) - at) < Math.abs(x(data.x[best]) - at) ? k : best), 0);
    cursor.replaceChildren(draw("line", { class: "base", x1: x(data.x[i]), x2: x(data.x[i]), y1: MARGIN.top, y2: height - MARGIN.bottom }),
      ...visible.filter((one) => one.values[i] !== null).map((one) => draw("circle", { class: colourClass(one.name, one.s), cx: x(data.x[i]), cy: y(one.values[i]), r: 4 })));
    showTip(event.clientX, event.clientY, make("b", {}, `${data.xLabel ? `${data.xLabel} ` : ""}${shortNumber(data.x[i])}`),
      ...visible.map((one) => make("span", {}, `${one.name}: ${one.values[i] === null ? "none" : shortNumber(one.values[i])}`)));
  });
  svg.addEventListener("pointerleave", () => { cursor.replaceChildren(); hideTip(); });
  return svg;
}
