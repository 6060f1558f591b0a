"use strict";
/* What is shown: filters and order, also kept in the address, so that a view can be bookmarked. */
const state = {
  tab: "images", verdicts: new Set(), query: "", ranges: new Map(), words: new Map(),
  sort: "order", down: false, view: "grid", size: 170, score: columns.keys().next().value || "", cursor: 0, open: -1,
};
let shown = everyRow;
let facets = { verdicts: [0, 0, 0, 0], words: new Map() };

const haystacks = new Array(count);
const haystack = (row) => (haystacks[row] ??= [nameOf(row), textOf("prompt", row), textOf("reason", row), textOf("unjudged", row)].join("\n").toLowerCase());
const terms = (query) => (query.toLowerCase().match(/"[^"]+"|\S+/g) || []).map((term) => term.replaceAll('"', "")).filter(Boolean);

/* One test per filter, so that each filter's own counts can leave it out. */
function tests() {
  const wanted = terms(state.query);
  const list = [];
  if (wanted.length) list.push(["query", (row) => wanted.every((term) => haystack(row).includes(term))]);
  if (state.verdicts.size) list.push(["verdicts", (row) => state.verdicts.has(report.rows.verdict[row])]);
  for (const [key, [low, high]] of state.ranges) {
    const { at } = columns.get(key);
    list.push([`range ${key}`, (row) => { const value = at(row); return value !== null && value >= low && value <= high; }]);
  }
  for (const { set } of answered) {
    const chosen = state.words.get(set.model);
    if (chosen && chosen.size) list.push([`words ${set.model}`, (row) => chosen.has(labelOf(set, row))]);
  }
  return list;
}
function passing(without) {
  const list = tests().filter(([name]) => name !== without).map(([, test]) => test);
  return list.length ? everyRow.filter((row) => list.every((test) => test(row))) : everyRow;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
let nameRanks = null;
function nameRank(row) {
  if (!nameRanks) {
    const names = everyRow.map(nameOf);
    nameRanks = new Uint32Array(count);
    [...everyRow].sort((a, b) => collator.compare(names[a], names[b])).forEach((r, rank) => { nameRanks[r] = rank; });
  }
  return nameRanks[row];
}
const ORDERS = {
  order: ["As scanned", (row) => row], name: ["Name", nameRank],
  date: ["Date", (row) => report.rows.time[row] || null], verdict: ["Verdict", (row) => report.rows.verdict[row]],
};
function sorted(rows) {
  const key = columns.get(state.sort)?.at || ORDERS[state.sort][1];
  const sign = state.down ? -1 : 1;
  const keyed = rows.map((row) => [key(row), row]);
  keyed.sort(([a, i], [b, j]) => (a === null || b === null ? (a === null) - (b === null) || i - j : sign * (a - b) || i - j));
  return keyed.map(([, row]) => row);
}

function update() {
  facets = { verdicts: [0, 0, 0, 0], words: new Map() };
  for (const row of passing("verdicts")) facets.verdicts[report.rows.verdict[row]] += 1;
  for (const { set } of answered) {
    const found = new Map();
    for (const row of passing(`words ${set.model}`)) found.set(labelOf(set, row), (found.get(labelOf(set, row)) || 0) + 1);
    facets.words.set(set.model, found);
  }
  shown = sorted(passing());
  state.cursor = Math.max(0, shown.indexOf(state.open));
  saveHash();
  document.dispatchEvent(new Event("shown"));
}
const filtered = () => Boolean(state.verdicts.size || state.query.trim() || state.ranges.size || [...state.words.values()].some((set) => set.size));
function clearFilters() {
  state.verdicts.clear(); state.ranges.clear(); state.words.clear(); state.query = "";
  update();
}

let written = "";
function saveHash() {
  const parts = new URLSearchParams();
  if (state.tab !== "images") parts.set("tab", state.tab);
  if (state.verdicts.size) parts.set("v", [...state.verdicts].sort().map((v) => VERDICTS[v]).join(","));
  if (state.query.trim()) parts.set("q", state.query);
  for (const [key, ends] of state.ranges) parts.append("r", `${ends.join("~")}~${key}`);
  for (const [model, chosen] of state.words) for (const word of chosen) parts.append("l", `${model}=${word}`);
  if (state.sort !== "order") parts.set("sort", state.sort);
  if (state.down) parts.set("down", "1");
  if (state.view !== "grid") parts.set("view", state.view);
  if (state.size !== 170) parts.set("size", state.size);
  if (state.score !== columns.keys().next().value) parts.set("score", state.score);
  if (state.open >= 0) parts.set("open", state.open);
  written = parts.toString();
  try { history.replaceState(null, "", `#${written}`); } catch { /* some browsers refuse this for files */ }
}
function readHash() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const known = (value, values, otherwise) => (values.includes(value) ? value : otherwise);
  state.tab = known(parts.get("tab"), ["images", "charts", "run"], "images");
  state.verdicts = new Set((parts.get("v") || "").split(",").map((v) => VERDICTS.indexOf(v)).filter((v) => v >= 0));
  state.query = parts.get("q") || "";
  state.ranges = new Map();
  for (const part of parts.getAll("r")) {
    const [, low, high, key] = /^([^~]*)~([^~]*)~(.*)$/s.exec(part) || [];
    if (columns.has(key) && Number(low) <= Number(high)) state.ranges.set(key, [Number(low), Number(high)]);
  }
  state.words = new Map();
  for (const part of parts.getAll("l")) {
    const cut = part.indexOf("=");
    const found = answered.find(({ set }) => set.model === part.slice(0, cut));
    if (found?.words.includes(part.slice(cut + 1))) state.words.set(found.set.model, (state.words.get(found.set.model) || new Set()).add(part.slice(cut + 1)));
  }
  state.sort = known(parts.get("sort"), [...Object.keys(ORDERS), ...columns.keys()], "order");
  state.down = parts.get("down") === "1";
  state.view = known(parts.get("view"), ["grid", "list"], "grid");
  state.size = Math.min(340, Math.max(110, Number(parts.get("size")) || 170));
  state.score = known(parts.get("score"), [...columns.keys()], [...state.ranges.keys()][0] || state.score);
  state.open = /^\d+$/.test(parts.get("open") || "") && Number(parts.get("open")) < count ? Number(parts.get("open")) : -1;
}
