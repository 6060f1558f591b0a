"use strict";
/* The charts that Python adds, each as a card with title, note, legend and its numbers as CSV; and the page about the run. */
const csvCell = (value) => {
  if (value === null || value === undefined) return "";
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const csv = (rows) => rows.map((row) => row.map(csvCell).join(",")).join("\n");
const CSV = {
  bars: ({ categories, series }) => [["", ...series.map((one) => one.name)], ...categories.map((name, i) => [name, ...series.map((one) => one.values[i])])],
  lines: ({ x, xLabel, series }) => [[xLabel || "x", ...series.map((one) => one.name)], ...x.map((value, i) => [value, ...series.map((one) => one.values[i])])],
  scatter: ({ x, y, rows, names, groups, xLabel, yLabel }) => [["path", xLabel || "x", yLabel || "y", "group"], ...rows.map((row, i) => [report.rows.path[row], x[i], y[i], names.length ? names[groups[i]] : verdictOf(row)])],
  table: ({ columns: heads, rows }) => [heads, ...rows],
};
const FIRST_LINES = 200;

function drawTable(heads, rows) {
  let sortBy = -1, down = false, all = false;
  const body = make("tbody"), more = make("button", { class: "quiet", onclick: () => { all = true; render(); } });
  const numeric = heads.map((_, c) => rows.some((row) => typeof row[c] === "number") && rows.every((row) => row[c] === null || typeof row[c] === "number"));
  const render = () => {
    const list = sortBy < 0 ? rows : [...rows].sort((a, b) => {
      const [p, q] = [a[sortBy], b[sortBy]];
      if (p === null || q === null) return (p === null) - (q === null);
      return (down ? -1 : 1) * (numeric[sortBy] ? p - q : collator.compare(String(p), String(q)));
    });
    body.replaceChildren(...(all ? list : list.slice(0, FIRST_LINES)).map((row) => make("tr", {}, ...row.map((cell, c) =>
      make("td", { class: numeric[c] ? "numeric" : "" }, cell === null ? "" : numeric[c] ? shortNumber(cell) : readable(String(cell)))))));
    more.hidden = all || list.length <= FIRST_LINES;
    more.textContent = `Show all ${whole(list.length)} rows`;
    heading.forEach((cell, c) => cell.setAttribute("aria-sort", c === sortBy ? (down ? "descending" : "ascending") : "none"));
  };
  const heading = heads.map((name, c) => make("th", { scope: "col", class: numeric[c] ? "numeric" : "" }, make("button", { onclick: () => {
    down = sortBy === c ? !down : numeric[c];
    sortBy = c;
    render();
  } }, name)));
  render();
  return make("div", { class: "table", tabindex: "0" }, make("table", {}, make("thead", {}, make("tr", {}, ...heading)), body), more);
}

const repainting = [];
function drawPanel(panel) {
  const body = make("div", { class: "body" });
  const tools = make("div", { class: "card-tools" });
  const makeCsv = CSV[panel.kind];
  if (makeCsv) tools.append(make("button", { class: "quiet", title: "Copy the numbers as CSV", onclick: () => copyText(csv(makeCsv(panel.data)), "Copied as CSV") }, "Copy CSV"));
  const card = make("section", { class: `card ${panel.kind}` }, make("header", {}, make("h2", {}, panel.title), tools), panel.note ? make("p", { class: "note" }, panel.note) : "", body);
  const render = (width) => {
    if (panel.kind === "bars") { drawBars(panel, body, width); body.prepend(legend(panel.data.series.map((one) => one.name)) || ""); }
    else if (panel.kind === "lines") { const toggle = drawLines(panel, body, width); body.prepend(legend(panel.data.series.map((one) => one.name), toggle) || ""); }
    else if (panel.kind === "scatter") { const plot = drawScatter(panel, body, width); body.prepend(legend(plot.names, plot.toggle) || ""); card.repaint = plot.repaint; }
  };
  if (panel.kind === "table") body.append(drawTable(panel.data.columns, panel.data.rows));
  else if (panel.kind === "text") body.append(...panel.data.paragraphs.map((text) => make("p", { class: "prose" }, text)));
  else if (["bars", "lines", "scatter"].includes(panel.kind)) {
    let drawn = 0;
    const fit = () => {
      const width = Math.floor(body.clientWidth);
      if (width < 40 || width === drawn) return;
      drawn = width;
      body.replaceChildren();
      render(width);
    };
    new ResizeObserver(fit).observe(body);
  } else body.append(make("p", { class: "prose" }, `This page is older than the chart (“${panel.kind}”).`));
  repainting.push(() => card.repaint?.());
  return card;
}
let drawnPanels = false;
function drawPanels() {
  if (drawnPanels) { repainting.forEach((repaint) => repaint()); return; }
  drawnPanels = true;
  byId("charts").replaceChildren(...report.panels.map(drawPanel));
}

function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
function verdictTotals() {
  const totals = [0, 0, 0, 0];
  for (const v of report.rows.verdict || []) totals[v] += 1;
  return totals;
}
function drawRun() {
  const { header } = report, totals = header.totals || verdictTotals();
  const all = totals.reduce((a, b) => a + b, 0);
  const date = header.date && !Number.isNaN(Date.parse(header.date)) ? new Date(header.date).toLocaleString() : header.date;
  const pairs = [["Images", whole(all)], ["Shown here", all === count ? "" : whole(count)], ...VERDICTS.map((name, v) => [name, whole(totals[v])]).filter(([name], v) => totals[v] || name !== "error"), ...header.counts.map(([name, number]) => [name, whole(number)]),
    ["Could not be read", all === count ? whole(header.unread.length) : ""], ["Time", header.duration ? duration(header.duration) : ""], ["Date", date], ["Keepers", header.version]].filter(([, value]) => value);
  const card = (title, ...children) => make("section", { class: "card" }, make("header", {}, make("h2", {}, title)), make("div", { class: "body" }, ...children));
  const unread = header.unread.map(([path, code, reason]) => [readable(path), code, reason]);
  const copy = make("div", { class: "card-tools" }, make("button", { class: "quiet", onclick: () => copyText(csv([["path", "code", "reason"], ...header.unread]), "Copied as CSV") }, "Copy CSV"));
  byId("run").replaceChildren(...[
    unread.length ? make("section", { class: "card wide" }, make("header", {}, make("h2", {}, `${several(unread.length, "file")} could not be read`), copy), make("div", { class: "body" }, drawTable(["File", "What", "Reason"], unread))) : null,
    make("div", { class: "column" }, card("Summary", make("dl", { class: "pairs" }, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])))),
    make("div", { class: "column" }, header.gate ? card("Gate", make("pre", {}, header.gate)) : null,
      header.models.length ? card("Models", ...header.models.map(([id, title, fingerprint]) => make("div", { class: "model" }, make("h3", {}, id), title && title !== id ? make("p", {}, title) : "",
      fingerprint ? make("p", { class: "print", title: "Weights, preprocessing and options: equal fingerprints give equal values" }, make("code", {}, fingerprint), make("button", { class: "quiet", onclick: () => copyText(fingerprint, "Fingerprint copied") }, "Copy")) : ""))) : null),
  ].filter(Boolean));
}
