"use strict";
/* Reading what the file carries: columns of rows, tables of texts, scores by model, thumbnails in pieces. */
const VERDICTS = ["accept", "review", "reject", "error"];
const CHUNK = 250;
const EMPTY = { header: { title: "", gate: "", models: [], counts: [], unread: [] }, rows: { path: [] }, scores: [], strings: [""], panels: [] };

function readReport() {
  try {
    return { ...EMPTY, ...JSON.parse(byId("data").textContent) };
  } catch (error) {
    byId("broken").textContent = `This report is damaged and cannot be shown (${error.message}). Make it again with keepers scan … --report.`;
    byId("broken").hidden = false;
    return EMPTY;
  }
}
const report = readReport();
const count = report.rows.path.length;
const everyRow = Array.from({ length: count }, (_, row) => row);

const verdictOf = (row) => VERDICTS[report.rows.verdict[row]];
const textOf = (column, row) => report.strings[report.rows[column][row]];
const separators = report.header.separator === "\\" ? /[/\\]/ : /\//;
const nameOf = (row) => report.rows.path[row].split(separators).pop() || report.rows.path[row];
const labelOf = (set, row) => report.strings[set.words[row]];
const real = (value) => (typeof value === "string" ? Number(value.replace("inf", "Infinity").replace("nan", "NaN")) : value);

/* Addresses come from file names; only those that lead to a file are followed. */
function hrefOf(row) {
  const href = report.rows.href[row];
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(href);
  return !scheme || /^(file|https?)$/i.test(scheme[1]) ? href : "";
}

const chunks = new Map();
function thumbnailOf(row) {
  const place = Math.floor(row / CHUNK);
  if (!chunks.has(place)) {
    const found = byId(`thumbnails-${place}`);
    if (!found || (document.readyState === "loading" && !found.nextElementSibling)) return null;
    let values = [];
    try { values = JSON.parse(found.textContent); } catch { /* cut off: the images themselves are shown */ }
    chunks.set(place, values);
    found.remove();
  }
  return chunks.get(place)[row % CHUNK] || "";
}

/* One column per score: `at(row)` is a number, or null if the model was not asked or gave none. */
const MOST_TAGS = 60;
function denseColumn(set, index) {
  const values = set.values[index];
  return (row) => { const value = real(values[row]); return Number.isNaN(value) ? null : value; };
}
function sparseColumn(set, index) {
  let found = null;
  return (row) => {
    if (!found) {
      found = new Map();
      set.values.forEach((pairs, r) => { for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === index) found.set(r, real(pairs[i + 1])); });
    }
    const value = found.get(row);
    return value === undefined || Number.isNaN(value) ? null : value;
  };
}
function offered(set) {
  const all = set.labels.map((_, index) => index);
  if (set.dense) return all;
  const times = new Uint32Array(set.labels.length);
  for (const pairs of set.values) for (let i = 0; i < pairs.length; i += 2) times[pairs[i]] += 1;
  return all.sort((a, b) => times[b] - times[a]).slice(0, MOST_TAGS);
}
function extent(at, [low, high]) {
  if (low !== null && high !== null) return [low, high];
  let least = Infinity, most = -Infinity;
  for (let row = 0; row < count; row += 1) {
    const value = at(row);
    if (value === null || !Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) return [low ?? 0, high ?? 1];
  const [from, to] = [low ?? least, high ?? most];
  return from < to ? [from, to] : [from - 0.5, from + 0.5];
}
const columns = new Map();
for (const set of report.scores) {
  for (const index of offered(set)) {
    const at = (set.dense ? denseColumn : sparseColumn)(set, index);
    const column = { key: `${set.model}.${set.labels[index]}`, model: set.model, label: set.labels[index], unit: set.ranges[index][2], at };
    let ends = null;
    Object.defineProperty(column, "ends", { get: () => (ends ||= extent(at, set.ranges[index])) });
    columns.set(column.key, column);
  }
}

/* A model's values for one row: [label, value, range], largest first; null if it was not asked. */
function scoresOf(set, row) {
  let found = [];
  if (set.dense) found = set.labels.map((label, i) => [label, set.values[i][row], i]).filter(([, value]) => value !== null);
  else for (let i = 0, pairs = set.values[row]; i < pairs.length; i += 2) found.push([set.labels[pairs[i]], pairs[i + 1], pairs[i]]);
  const list = found.map(([label, value, i]) => ({ label, value: real(value), unit: set.ranges[i][2], ends: () => columns.get(`${set.model}.${label}`)?.ends ?? [0, 1] }));
  return list.length > 12 || !set.dense ? list.sort((a, b) => b.value - a.value) : list;
}

const rowOfPath = new Map(report.rows.path.map((path, row) => [path, row]));
const answered = report.scores
  .map((set) => {
    const words = new Map();
    for (const index of set.words) if (index) words.set(report.strings[index], (words.get(report.strings[index]) || 0) + 1);
    return { set, words: [...words.keys()].sort((a, b) => words.get(b) - words.get(a)) };
  })
  .filter(({ words }) => words.length > 0);
