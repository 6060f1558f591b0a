"use strict";
/* What the page knows and what it asks the server. The server has the last word on labels; the page shows it at once. */
const review = { items: [], scores: [], labels: [], order: [], at: 0, history: [], skipped: new Set(), version: "", blind: false, orderBy: "date", filter: "open", busy: Promise.resolve() };
const LEAST = 20, PAUSE = 1000;

/* While another program is writing to the store (503), the request is repeated, and the page says so. */
async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  for (let waited = false; ; waited = true) {
    const answer = await fetch(path, { cache: "no-store", ...options });
    const found = await answer.json();
    if (waited && answer.ok) byId("lost").hidden = true;
    if (answer.ok) return found;
    if (answer.status !== 503) throw Object.assign(new Error(found.error), { status: answer.status });
    byId("lost").textContent = found.error;
    byId("lost").hidden = false;
    await new Promise((go) => setTimeout(go, PAUSE));
  }
}

/* The labels as the server has them, and those still on their way to it. */
function takeLabels(state) {
  const waiting = review.history.filter(([, id]) => !id).map(([index]) => [index, review.labels[index]]);
  review.version = state.version;
  review.labels = review.items.map(() => null);
  for (const [index, mark, id] of state.labels) review.labels[index] = { mark, id };
  for (const [index, label] of waiting) review.labels[index] = label;
}
function setLabel({ index, mark, id }) { review.labels[index] = mark ? { mark, id } : null; }
const markOf = (index) => (review.labels[index] ? review.labels[index].mark : "");

/* Orders. Images without a value come last, in either direction. */
function sortKey() {
  if (review.orderBy === "date") return (item) => item.time;
  if (review.orderBy === "uncertain") return (item) => item.uncertain;
  const [name, down] = [review.orderBy.replace(/^-/, ""), review.orderBy.startsWith("-") ? -1 : 1];
  const column = review.scores.indexOf(name);
  return (item) => (item.sort[column] === null || column < 0 ? null : down * item.sort[column]);
}
function reorder(stay) {
  const key = sortKey();
  const keys = review.items.map(key);
  const all = review.items.map((_, index) => index);
  all.sort((a, b) => (keys[a] === null ? 1 : 0) - (keys[b] === null ? 1 : 0) || (keys[a] ?? 0) - (keys[b] ?? 0) || a - b);
  review.order = all.filter((index) => wanted(index) || index === stay);
  const place = stay === undefined ? -1 : review.order.indexOf(stay);
  review.at = place >= 0 ? place : firstOpen(0);
}
function wanted(index) {
  if (review.filter === "all") return true;
  return review.filter === "open" ? !markOf(index) || review.history.some(([other]) => other === index) : markOf(index) === review.filter;
}
/* The next image without a label from a place on, then from the start; the end of the order if all have one. */
function firstOpen(from) {
  if (review.filter !== "open") return Math.min(from, review.order.length);
  const open = (place) => !markOf(review.order[place]) && !review.skipped.has(review.order[place]);
  for (let place = from; place < review.order.length; place += 1) if (open(place)) return place;
  for (let place = 0; place < Math.min(from, review.order.length); place += 1) if (open(place)) return place;
  return review.order.length;
}
function counts() {
  let keep = 0, reject = 0;
  for (const label of review.labels) if (label) { if (label.mark === "keep") keep += 1; else reject += 1; }
  return { keep, reject, all: keep + reject };
}
/* Requests are sent one by one, so that an undo never overtakes the label it takes back. */
function queue(work) {
  review.busy = review.busy.then(work).catch((error) => {
    byId("lost").textContent = error.status ? error.message : "The review was ended in the terminal. What you said is stored; start keepers review again to go on.";
    byId("lost").hidden = error.status === 409;
    if (error.status === 409) toast(error.message);
    review.version = ""; // what could not be stored must not be shown as if it were
    review.history = review.history.filter(([, id]) => id);
    return sync();
  }).catch(() => {});
  return review.busy;
}
async function sync() {
  const state = await ask(`changes/${review.version || "0"}`);
  byId("lost").hidden = true;
  if (state.labels) { takeLabels(state); show(); }
}
