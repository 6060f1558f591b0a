"use strict";
/* From the state to the page. */
const AROUND = 6, AHEAD = 3;
const ahead = new Map();
const current = () => review.order[review.at];

function show() {
  const index = current(), over = index === undefined;
  byId("review").hidden = over;
  byId("done").hidden = !over;
  showProgress();
  if (over) { showDone(); return; }
  showPicture(index);
  showFacts(index);
  showStrip();
  byId("undo").disabled = review.history.length === 0;
}

function showProgress() {
  const { keep, reject, all } = counts(), total = review.items.length;
  byId("kept").style.setProperty("--share", keep / total);
  byId("rejected").style.setProperty("--share", reject / total);
  byId("meter").setAttribute("aria-valuemax", total);
  byId("meter").setAttribute("aria-valuenow", all);
  const short = [["keeps", LEAST - keep], ["rejects", LEAST - reject]].filter(([, n]) => n > 0).map(([what, n]) => `${n} ${what}`);
  const next = short.length ? `; to learn: ${short.join(", ")} more` : "";
  byId("progress-text").replaceChildren(make("b", {}, whole(all)), ` of ${whole(total)}: ${whole(keep)} kept, ${whole(reject)} rejected${next}`);
}

function showPicture(index) {
  const picture = byId("picture"), address = `picture/large/${index}`;
  if (picture.dataset.index === String(index)) return;
  picture.dataset.index = String(index);
  byId("missing").hidden = true;
  byId("frame").classList.remove("full");
  const ready = ahead.get(index)?.complete;
  picture.classList.toggle("waiting", !ready);
  picture.alt = readable(review.items[index].name);
  picture.src = address;
  for (let step = 1; step <= AHEAD; step += 1) {
    const next = review.order[review.at + step];
    if (next !== undefined && !ahead.has(next)) ahead.set(next, Object.assign(new Image(), { src: `picture/large/${next}` }));
  }
  while (ahead.size > 12) ahead.delete(ahead.keys().next().value);
}
async function pictureFailed() {
  const index = Number(byId("picture").dataset.index);
  let why = "it cannot be shown";
  try { await ask(`picture/large/${index}`); } catch (error) { if (error.message) why = error.message; }
  if (index !== current()) return;
  byId("missing").textContent = readable(why);
  byId("missing").hidden = false;
  byId("picture").classList.add("waiting");
}

function showFacts(index) {
  const item = review.items[index], mark = markOf(index), hide = review.blind && !mark;
  byId("place").textContent = `${whole(review.at + 1)} of ${whole(review.order.length)}`;
  byId("said").replaceChildren(mark ? sign(mark, mark === "keep" ? "you keep it" : "you reject it") : review.skipped.has(index) ? "skipped" : "");
  byId("name").textContent = hide ? "" : readable(item.name);
  byId("hidden-note").hidden = !hide;
  byId("keep").classList.toggle("on", mark === "keep");
  byId("reject").classList.toggle("on", mark === "reject");
  byId("told").replaceChildren(...(hide ? [] : told(item)));
}
const sign = (mark, text) => make("span", { class: `badge ${mark === "keep" ? "accept" : "reject"}` }, icon(ICONS[mark === "keep" ? "accept" : "reject"]), text);

function told(item) {
  const parts = [make("div", { class: "verdict-line" }, badge(item.verdict), make("span", {}, readable(item.reason.replace(/^\w+: /, ""))))];
  const models = [...new Set(item.scores.map(([model]) => model))];
  for (const model of models) {
    const rows = item.scores.filter(([other]) => other === model);
    const strongest = rows.length > 12 ? [...rows].sort((a, b) => (b[2] ?? -1e9) - (a[2] ?? -1e9)).slice(0, 12) : rows;
    parts.push(make("section", { class: "block" }, make("h3", {}, model, make("span", { class: "word" }, readable(item.words[model] || ""))), ...strongest.map(score)));
  }
  if (item.prompt) parts.push(textBlock("Prompt", item.prompt));
  if (item.negative) parts.push(textBlock("Negative prompt", item.negative));
  const rest = [["Size", item.width ? `${item.width} × ${item.height}` : ""], ["Seed", item.seed], ["Made by", item.generator], ["Folder", readable(item.folder)]].filter(([, text]) => text);
  parts.push(make("dl", { class: "pairs" }, ...rest.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])));
  return parts;
}
const textBlock = (title, text) => make("section", { class: "block" }, make("h3", {}, title), make("p", { class: "prose" }, text.split("\n").map(readable).join("\n")));
function score([, label, value, low, high]) {
  const bar = make("i");
  if (value !== null && low !== null && high !== null && high > low) bar.style.setProperty("--share", Math.min(1, Math.max(0, (value - low) / (high - low))));
  const shown = bar.style.length > 0;
  return make("div", { class: "score" }, make("span", {}, readable(label)), make("span", { class: shown ? "meter" : "" }, shown ? bar : ""), make("b", {}, value === null ? "–" : shortNumber(value)));
}

function showStrip() {
  const cells = [];
  for (let place = review.at - AROUND; place <= review.at + AROUND; place += 1) {
    const index = review.order[place];
    if (index === undefined) { cells.push(make("span", { class: "gap" })); continue; }
    cells.push(stripCell(index, place));
  }
  byId("strip").replaceChildren(...cells.filter((cell) => cell.className !== "gap"));
}
const thumbs = new Map();
function stripCell(index, place) {
  let cell = thumbs.get(index);
  if (!cell) {
    cell = make("button", { tabindex: "-1", onclick: () => { review.at = review.order.indexOf(index); show(); } }, make("img", { src: `picture/small/${index}`, alt: "", decoding: "async" }));
    thumbs.set(index, cell);
    if (thumbs.size > 200) thumbs.delete(thumbs.keys().next().value);
  }
  cell.className = place === review.at ? "now" : "";
  cell.setAttribute("aria-label", `Image ${place + 1}`);
  cell.querySelector(".mark")?.remove();
  const mark = markOf(index);
  if (mark) cell.append(make("span", { class: `mark ${mark === "keep" ? "accept" : "reject"}` }, icon(ICONS[mark === "keep" ? "accept" : "reject"])));
  return cell;
}

function showDone() {
  const { keep, reject, all } = counts(), left = review.skipped.size, total = review.items.length;
  const empty = review.filter !== "open" && review.order.length === 0;
  byId("done-title").textContent = empty ? "There are none" : all === total ? "All done" : review.filter !== "open" ? "That was the last one" : "Nothing left to decide";
  const short = Math.min(keep, reject) < LEAST ? `At least ${LEAST} of each kind are needed to learn from them.` : "Now: keepers tune faramir, or keepers tune taste --on siglip";
  byId("done-text").textContent = `${whole(keep)} kept, ${whole(reject)} rejected, ${whole(left)} skipped. ${short}`;
  byId("skipped").hidden = left === 0;
}
