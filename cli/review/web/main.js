"use strict";
/* Keys and buttons. */
const KEYS = [
  ["K, →", "keep"], ["R, ←", "reject"], ["S, ↓, Space", "skip for now"], ["U, Backspace", "take the last one back"], [", .", "look at the previous and next one"],
  ["Z", "fit or full size"], ["B", "blind: hide what the models say"], ["T", "light or dark"], ["?", "this help"],
];

function decide(mark) {
  const index = current();
  if (index === undefined) return;
  const seen = review.labels[index]?.id || 0;
  review.labels[index] = { mark, id: seen };
  review.skipped.delete(index);
  keepSkipped();
  const entry = [index, 0];
  review.history.push(entry);
  flash(mark);
  review.at = firstOpen(review.at + 1);
  show();
  queue(async () => {
    const answer = await ask("label", { index, mark, seen });
    entry[1] = answer.id;
    setLabel(answer);
    showProgress();
    if (answer.contradicts) toast(`Another page or session had said ${answer.contradicts}; this one counts now.`);
  });
}
function undo() {
  const entry = review.history.pop();
  if (!entry) { toast("There is nothing to take back."); return; }
  review.labels[entry[0]] = null;
  const place = review.order.indexOf(entry[0]);
  if (place >= 0) review.at = place; else reorder(entry[0]);
  show();
  queue(async () => {
    if (!entry[1]) return;
    setLabel(await ask("undo", { id: entry[1] }));
    show();
  });
}
function skip() {
  if (current() === undefined) return;
  if (!markOf(current())) review.skipped.add(current());
  keepSkipped();
  review.at = review.filter === "open" ? firstOpen(review.at + 1) : Math.min(review.at + 1, review.order.length);
  show();
}
function walk(step) {
  review.at = Math.max(0, Math.min(review.order.length - 1, review.at + step));
  show();
}
function flash(mark) {
  const frame = byId("frame");
  frame.classList.remove("flash-keep", "flash-reject");
  void frame.offsetWidth;
  frame.classList.add(`flash-${mark}`);
}
function setBlind(blind) {
  review.blind = blind;
  byId("blind").setAttribute("aria-pressed", String(blind));
  keep("blind", blind ? "1" : "0");
  show();
}
const zoom = () => byId("frame").classList.toggle("full");

/* What survives a reload of this page, but not the review. */
function keep(name, value) { try { sessionStorage.setItem(`keepers-${name}`, value); } catch { /* not kept */ } }
function kept(name) { try { return sessionStorage.getItem(`keepers-${name}`); } catch { return null; } }
const keepSkipped = () => keep("skipped", JSON.stringify([...review.skipped]));

const ACTS = {
  k: () => decide("keep"), ArrowRight: () => decide("keep"), r: () => decide("reject"), ArrowLeft: () => decide("reject"),
  s: skip, ArrowDown: skip, " ": skip, u: undo, Backspace: undo, ",": () => walk(-1), ".": () => walk(1), z: zoom, b: () => setBlind(!review.blind), t: theme.toggle, "?": () => byId("keys").showModal(),
};
function onKey(event) {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || event.repeat) return;
  if (event.target.closest("button") && ["Enter", " "].includes(event.key)) return;
  const act = ACTS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function choices(data) {
  const options = [["date", "date"], ...(data.items.some((item) => item.uncertain !== null) ? [["uncertain", "most uncertain first"]] : [])];
  for (const name of data.scores) options.push([name, `${name}, lowest first`], [`-${name}`, `${name}, highest first`]);
  byId("order").append(...options.map(([value, text]) => make("option", { value }, text)));
}
function setUp() {
  document.addEventListener("keydown", onKey);
  for (const [id, act] of [["keep", ACTS.k], ["reject", ACTS.r], ["skip", skip], ["undo", undo], ["blind", ACTS.b], ["theme", theme.toggle], ["help", ACTS["?"]]]) byId(id).addEventListener("click", (event) => { event.currentTarget.blur(); act(); });
  byId("frame").addEventListener("click", zoom);
  byId("picture").addEventListener("load", () => byId("picture").classList.remove("waiting"));
  byId("picture").addEventListener("error", pictureFailed);
  byId("order").addEventListener("change", () => { review.orderBy = byId("order").value; keep("order", review.orderBy); byId("order").blur(); reorder(); show(); });
  byId("filter").addEventListener("change", () => { review.filter = byId("filter").value; byId("filter").blur(); reorder(); show(); });
  byId("skipped").addEventListener("click", () => { review.skipped.clear(); keepSkipped(); review.filter = "open"; byId("filter").value = "open"; reorder(); show(); });
  byId("key-list").append(...KEYS.flatMap(([keys, text]) => [make("dt", {}, ...keys.split(/, | (?=\.)/).flatMap((part, i) => [i ? " " : "", make("kbd", {}, part)])), make("dd", {}, text)]));
  addEventListener("focus", () => queue(sync));
  let asking = false; // one poll waiting for a busy store is enough
  setInterval(() => { if (!document.hidden && !asking) { asking = true; queue(sync).then(() => { asking = false; }); } }, 2000);
}
async function start() {
  const data = await ask("start");
  Object.assign(review, { items: data.items, scores: data.scores, history: data.recent, orderBy: kept("order") || data.order, blind: kept("blind") === null ? data.blind : kept("blind") === "1" });
  takeLabels(data);
  review.skipped = new Set(JSON.parse(kept("skipped") || "[]").filter((index) => index < data.items.length));
  byId("title").textContent = readable(data.title);
  document.title = `${readable(data.title)} – Keepers review`;
  choices(data);
  byId("order").value = review.orderBy;
  byId("blind").setAttribute("aria-pressed", String(review.blind));
  setUp();
  reorder();
  show();
}
start().catch((error) => { byId("lost").textContent = error.message || "The review cannot be reached."; byId("lost").hidden = false; });
