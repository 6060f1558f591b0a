"use strict";
/* Points that are images: on a canvas, because ten thousand of them must follow the pointer. */
const REACH = 9;

function scatterColours(data) {
  if (data.names.length) return { names: data.names, group: (i) => data.groups[i] };
  const present = VERDICTS.filter((_, v) => data.rows.some((row) => report.rows.verdict[row] === v));
  return { names: present, group: (i) => present.indexOf(verdictOf(data.rows[i])) };
}
const cssColour = (name, index) => getComputedStyle(document.documentElement).getPropertyValue(`--${colourClass(name, index)}`).trim();

/* Each group has a shape as well as a colour. */
const SHAPES = [
  (pen, x, y, r) => { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); },
  (pen, x, y, r) => { pen.moveTo(x, y - r * 1.25); pen.lineTo(x + r * 1.15, y + r * 0.8); pen.lineTo(x - r * 1.15, y + r * 0.8); pen.closePath(); },
  (pen, x, y, r) => { pen.rect(x - r * 0.88, y - r * 0.88, r * 1.76, r * 1.76); },
  (pen, x, y, r) => { pen.moveTo(x, y - r * 1.3); pen.lineTo(x + r * 1.3, y); pen.lineTo(x, y + r * 1.3); pen.lineTo(x - r * 1.3, y); pen.closePath(); },
];

function drawScatter({ title, data }, box, width) {
  const height = Math.round(Math.max(320, Math.min(560, width * 0.62)));
  const xRange = bounds(data.x, { pad: 0.03 }), yRange = bounds(data.y, { pad: 0.03 });
  const x = linear(xRange, [MARGIN.left, width - MARGIN.right]), y = linear(yRange, [height - MARGIN.bottom, MARGIN.top]);
  const colours = scatterColours(data), hidden = new Set();
  const points = data.x.map((value, i) => ({ i, value, other: data.y[i], group: colours.group(i) }))
    .filter(({ value, other }) => Number.isFinite(value) && Number.isFinite(other) && value !== null && other !== null)
    .map(({ i, value, other, group }) => ({ i, group, row: data.rows[i], x: x(value), y: y(other) }));
  const frame = picture2d(width, height, `${title}: ${several(points.length, "image")}`, axes({ width, height, x, y, xTicks: niceTicks(...xRange, Math.min(8, width / 90)), yTicks: niceTicks(...yRange), xLabel: data.xLabel, yLabel: data.yLabel }));
  const canvas = make("canvas", { class: "points", tabindex: "0", role: "img", "aria-label": `${title}. Arrow keys walk along the points, Enter opens the image.` });
  const chart = { points, colours, hidden, canvas, width, height, at: -1 };
  sizeCanvas(chart);
  paintPoints(chart);
  listen(chart);
  box.append(make("div", { class: "plot" }, frame, canvas));
  return { toggle: (index, on) => { if (on) hidden.delete(index); else hidden.add(index); paintPoints(chart); }, names: colours.names, repaint: () => paintPoints(chart) };
}
function sizeCanvas({ canvas, width, height }) {
  const scale = devicePixelRatio || 1;
  Object.assign(canvas, { width: width * scale, height: height * scale });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  canvas.getContext("2d").scale(scale, scale);
}
function paintPoints({ points, colours, hidden, canvas, width, height, at }) {
  const pen = canvas.getContext("2d"), r = points.length > 3000 ? 2.6 : points.length > 600 ? 3.4 : 5;
  const visible = filtered() ? new Set(shown) : null;
  pen.clearRect(0, 0, width, height);
  for (const pale of visible ? [true, false] : [false]) {
    colours.names.forEach((name, g) => {
      if (hidden.has(g)) return;
      pen.beginPath();
      for (const point of points) if (point.group === g && (visible ? visible.has(point.row) !== pale : true)) SHAPES[g % 4](pen, point.x, point.y, r);
      pen.globalAlpha = pale ? 0.12 : 0.8;
      pen.fillStyle = cssColour(name, g);
      pen.fill();
    });
  }
  pen.globalAlpha = 1;
  if (at >= 0) {
    pen.beginPath();
    pen.arc(points[at].x, points[at].y, r + 4, 0, 7);
    pen.lineWidth = 2;
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    pen.stroke();
  }
}
function nearest({ points, hidden }, x, y, reach) {
  let best = -1, least = reach * reach;
  points.forEach((point, k) => {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance <= least && !hidden.has(point.group)) { best = k; least = distance; }
  });
  return best;
}
function listen(chart) {
  const { canvas, points } = chart;
  const spot = (event) => { const box = canvas.getBoundingClientRect(); return nearest(chart, event.clientX - box.left, event.clientY - box.top, REACH); };
  const mark = (at, tip) => {
    if (at !== chart.at) { chart.at = at; paintPoints(chart); }
    canvas.classList.toggle("over", at >= 0);
    if (at < 0) { hideTip(); return; }
    const box = canvas.getBoundingClientRect();
    pointTip(points[at].row, tip?.clientX ?? box.left + points[at].x, tip?.clientY ?? box.top + points[at].y);
  };
  canvas.addEventListener("pointermove", (event) => mark(spot(event), event));
  canvas.addEventListener("pointerleave", () => mark(-1));
  canvas.addEventListener("blur", () => mark(-1));
  canvas.addEventListener("click", (event) => { const at = spot(event); if (at >= 0) { hideTip(); openDetail(points[at].row); } });
  const order = points.map((_, k) => k).sort((a, b) => points[a].x - points[b].x);
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 10, ArrowDown: -10 }[event.key];
    if (by) { mark(order[Math.max(0, Math.min(order.length - 1, order.indexOf(chart.at) + by))] ?? -1); event.preventDefault(); }
    else if (event.key === "Enter" && chart.at >= 0) { hideTip(); openDetail(points[chart.at].row); event.preventDefault(); }
  });
}
function pointTip(row, x, y) {
  const small = thumbnailOf(row);
  showTip(x, y, small ? make("img", { src: small, alt: "" }) : "", make("b", {}, readable(nameOf(row))), make("span", {}, textOf("reason", row) || verdictOf(row)));
}
