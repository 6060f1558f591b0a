"use strict";
/* The left side: verdict buttons, the score with its histogram and slider, answers, and the chips above the images. */
const BINS = 36;
const STEPS = 1000;

function drawVerdicts() {
  const most = Math.max(1, ...facets.verdicts);
  const total = facets.verdicts.reduce((a, b) => a + b, 0);
  byId("verdicts").replaceChildren(
    verdictButton("all", total, null, "0", !state.verdicts.size),
    ...VERDICTS.map((name, v) => {
      const present = report.rows.verdict?.includes(v);
      return name === "error" && !present ? null : verdictButton(name, facets.verdicts[v], facets.verdicts[v] / most, `${v + 1}`, state.verdicts.has(v));
    }).filter(Boolean),
  );
}
function verdictButton(name, number, share, key, pressed) {
  const bar = share === null ? "" : make("i", { class: "share" });
  if (bar) bar.style.setProperty("--share", share);
  return make("button", { class: `verdict ${name}`, "aria-pressed": pressed, "data-verdict": name, title: name === "all" ? "All verdicts (0)" : `Only ${name} (${key}); with Shift: ${name} as well`,
    "aria-label": `${name}: ${several(number, "image")}`, onclick: (event) => pickVerdict(name, event.shiftKey || event.ctrlKey || event.metaKey) },
  name === "all" ? make("span", { class: "mark" }) : make("span", { class: `mark ${name}` }, icon(ICONS[name])),
  make("span", {}, name === "all" ? "All" : name), make("b", {}, whole(number)), bar);
}
/* A plain click shows only one verdict; with Shift, Ctrl or Cmd it is added to those shown. */
function pickVerdict(name, add = false) {
  const v = VERDICTS.indexOf(name);
  const alone = state.verdicts.size === 1 && state.verdicts.has(v);
  if (v < 0 || (alone && !add)) state.verdicts.clear();
  else if (!add) state.verdicts = new Set([v]);
  else if (!state.verdicts.delete(v)) state.verdicts.add(v);
  const focused = document.activeElement?.dataset.verdict;
  update();
  if (focused) document.querySelector(`[data-verdict="${focused}"]`)?.focus({ preventScroll: true });
}

function scoreOptions(extra) {
  const groups = new Map();
  for (const column of columns.values()) groups.set(column.model, [...(groups.get(column.model) || []), column]);
  return [...extra, ...[...groups].map(([model, list]) => make("optgroup", { label: model },
    ...list.map((column) => make("option", { value: column.key }, column.key))))];
}
function setUpFilters() {
  byId("scores").hidden = columns.size === 0;
  byId("score").append(...scoreOptions([]));
  byId("sort").append(...scoreOptions(Object.entries(ORDERS).map(([key, [name]]) => make("option", { value: key }, name))));
  byId("gate-box").hidden = !report.header.gate;
  byId("gate").textContent = report.header.gate;
  byId("score").addEventListener("change", (event) => { state.score = event.target.value; saveHash(); drawScore(); });
  for (const id of ["low", "high"]) byId(id).addEventListener("input", slide);
  for (const id of ["from", "to"]) byId(id).addEventListener("change", typeRange);
  byId("search").addEventListener("input", (event) => { state.query = event.target.value; update(); });
}

const place = (value, [low, high]) => Math.round(((Math.min(high, Math.max(low, value)) - low) / (high - low)) * STEPS);
const valueAt = (step, [low, high]) => Number((low + (step / STEPS) * (high - low)).toPrecision(4));

function slide(event) {
  const { ends } = columns.get(state.score);
  let [low, high] = [Number(byId("low").value), Number(byId("high").value)];
  if (low > high) {
    if (event.target.id === "low") low = high; else high = low;
    event.target.value = event.target.id === "low" ? low : high;
  }
  setRange(low === 0 ? -Infinity : valueAt(low, ends), high === STEPS ? Infinity : valueAt(high, ends));
}
function typeRange() {
  const from = byId("from").value === "" ? -Infinity : Number(byId("from").value);
  const to = byId("to").value === "" ? Infinity : Number(byId("to").value);
  setRange(Math.min(from, to), Math.max(from, to));
}
function setRange(low, high) {
  if (low === -Infinity && high === Infinity) state.ranges.delete(state.score);
  else state.ranges.set(state.score, [low, high]);
  update();
}

function drawScore() {
  const column = columns.get(state.score);
  if (!column) return;
  const { ends } = column;
  const [low, high] = state.ranges.get(state.score) || [-Infinity, Infinity];
  byId("score").value = state.score;
  const active = document.activeElement;
  const [first, last] = [low === -Infinity ? 0 : place(low, ends), high === Infinity ? STEPS : place(high, ends)];
  byId("low").value = first;
  byId("high").value = last;
  byId("low").setAttribute("aria-valuetext", low === -Infinity ? "no lower limit" : shortNumber(low));
  byId("high").setAttribute("aria-valuetext", high === Infinity ? "no upper limit" : shortNumber(high));
  byId("low").classList.toggle("above", first > STEPS / 2);
  byId("slider").style.setProperty("--low", first / STEPS);
  byId("slider").style.setProperty("--high", last / STEPS);
  for (const [id, value, end] of [["from", low, ends[0]], ["to", high, ends[1]]]) {
    if (byId(id) === active) continue;
    byId(id).value = Number.isFinite(value) ? value : "";
    byId(id).placeholder = shortNumber(end);
  }
  drawHistogram(column, low, high);
}
function drawHistogram({ at, ends, key, unit }, low, high) {
  const bins = Array.from({ length: BINS }, () => [0, 0, 0, 0]);
  let unscored = 0;
  for (const row of passing(`range ${key}`)) {
    const value = at(row);
    if (value === null) { unscored += 1; continue; }
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor(((value - ends[0]) / (ends[1] - ends[0])) * BINS)));
    bins[bin][report.rows.verdict[row]] += 1;
  }
  const totals = bins.map((bin) => bin.reduce((a, b) => a + b, 0));
  const most = Math.max(1, ...totals);
  const bars = bins.flatMap((bin, i) => {
    const from = ends[0] + (i / BINS) * (ends[1] - ends[0]), to = ends[0] + ((i + 1) / BINS) * (ends[1] - ends[0]);
    // A square root keeps bins with one image visible beside bins with thousands.
    const scale = totals[i] ? Math.max(2.5, Math.sqrt(totals[i] / most) * 60) / totals[i] : 0;
    let y = 62;
    return bin.map((n, v) => {
      if (!n) return null;
      y -= n * scale;
      return draw("rect", { class: `fill-${VERDICTS[v]}${to <= low || from >= high ? " out" : ""}`, x: i * 7 + 0.5, y, width: 6, height: n * scale });
    });
  }).filter(Boolean);
  const told = `Histogram of ${key}: ${several(count - unscored, "image")} with this score`;
  const svg = draw("svg", { viewBox: `0 0 ${BINS * 7} 62`, preserveAspectRatio: "none", role: "img", "aria-label": told }, ...bars);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const i = Math.min(BINS - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * BINS)));
    const [from, to] = [i, i + 1].map((step) => shortNumber(ends[0] + (step / BINS) * (ends[1] - ends[0])));
    showTip(event.clientX, event.clientY, make("b", {}, `${from} to ${to}`), ...bins[i].map((n, v) => (n ? make("span", {}, `${whole(n)} ${VERDICTS[v]}`) : "")));
  });
  svg.addEventListener("pointerleave", hideTip);
  byId("histogram").replaceChildren(svg);
  byId("unit").textContent = unscored ? `${unit}, ${several(unscored, "image")} without it` : unit;
}

function drawAnswers() {
  byId("answers").replaceChildren(...answered.map(({ set, words }) => {
    const chosen = state.words.get(set.model) || new Set();
    const found = facets.words.get(set.model) || new Map();
    const buttons = words.slice(0, 24).map((word) => make("button", { class: "chip", "aria-pressed": chosen.has(word), onclick: () => {
      if (!chosen.delete(word)) chosen.add(word);
      state.words.set(set.model, chosen);
      update();
      [...document.querySelectorAll("#answers .chip")].find((button) => button.firstChild.data === word)?.focus({ preventScroll: true });
    } }, word, make("b", {}, whole(found.get(word) || 0))));
    return make("section", {}, make("h2", {}, set.model), make("div", { class: "chips", role: "group", "aria-label": `Answer of ${set.model}` }, ...buttons));
  }));
}

function drawChips() {
  const chips = [];
  const chip = (text, remove) => chips.push(make("button", { class: "chip on", title: "Remove this filter", onclick: () => { remove(); update(); } }, text, icon("M6 6l8 8M14 6l-8 8")));
  if (state.query.trim()) chip(`“${state.query.trim()}”`, () => { state.query = ""; });
  for (const v of state.verdicts) chip(VERDICTS[v], () => state.verdicts.delete(v));
  for (const [key, [low, high]] of state.ranges) {
    const text = low === -Infinity ? `${key} ≤ ${shortNumber(high)}` : high === Infinity ? `${key} ≥ ${shortNumber(low)}` : `${shortNumber(low)} ≤ ${key} ≤ ${shortNumber(high)}`;
    chip(text, () => state.ranges.delete(key));
  }
  for (const [model, chosen] of state.words) for (const word of chosen) chip(`${model}: ${word}`, () => chosen.delete(word));
  if (chips.length > 1) chips.push(make("button", { class: "quiet", onclick: clearFilters }, "Clear all"));
  byId("chips").replaceChildren(...chips);
}

function drawFilters() {
  if (document.activeElement !== byId("search")) byId("search").value = state.query;
  byId("status").replaceChildren(make("b", {}, whole(shown.length)), shown.length === count ? ` ${count === 1 ? "image" : "images"}` : ` of ${several(count, "image")}`);
  byId("sort").value = state.sort;
  byId("down").setAttribute("aria-pressed", state.down);
  byId("copy-list").disabled = shown.length === 0;
  drawVerdicts();
  drawScore();
  drawAnswers();
  drawChips();
}
