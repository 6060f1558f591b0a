"use strict";
/* One image, large, with everything that is known about it. */
function openDetail(row) {
  if (row !== state.open) byId("dropped").replaceChildren();
  state.open = row;
  if (shown.includes(row)) state.cursor = shown.indexOf(row);
  saveHash();
  drawDetail(row);
  if (!byId("detail").open) byId("detail").showModal();
  byId("detail").focus({ preventScroll: true });
}
function closeDetail() {
  state.open = -1;
  saveHash();
  if (byId("detail").open) byId("detail").close();
  moveTo(state.cursor);
  byId("gallery").focus({ preventScroll: true });
}
function step(by) {
  const at = shown.indexOf(state.open);
  const to = at < 0 ? state.cursor : at + by;
  if (to >= 0 && to < shown.length && shown[to] !== state.open) openDetail(shown[to]);
}

function drawDetail(row) {
  const at = shown.indexOf(row);
  byId("place").textContent = at < 0 ? "Not among the images shown" : `${whole(at + 1)} of ${whole(shown.length)}`;
  byId("previous").disabled = at <= 0;
  byId("next").disabled = at < 0 || at === shown.length - 1;
  drawLarge(row);
  byId("facts").replaceChildren(...facts(row));
  byId("facts").parentElement.scrollTop = 0;
}
function drawLarge(row) {
  const image = make("img", { alt: readable(nameOf(row)), decoding: "async" });
  const small = thumbnailOf(row);
  byId("frame").className = "frame";
  byId("frame").style.backgroundImage = small ? `url("${small}")` : "";
  byId("frame").classList.toggle("behind", Boolean(small));
  byId("frame").replaceChildren(image);
  image.addEventListener("load", () => { byId("frame").classList.remove("behind"); byId("frame").style.backgroundImage = ""; });
  image.addEventListener("error", () => {
    const text = verdictOf(row) === "error" ? "This file cannot be shown." : "The original is not where it was, or the browser cannot show it.";
    byId("frame").append(make("p", { class: small ? "missing" : "missing alone" }, text));
    if (small) byId("frame").classList.remove("behind");
    if (small && image.getAttribute("src") !== small) image.src = small; else image.remove();
  });
  if (hrefOf(row)) image.src = hrefOf(row); else image.dispatchEvent(new Event("error"));
}
function toggleZoom() {
  const frame = byId("frame");
  const on = frame.classList.toggle("full");
  if (on) frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 2);
}

function facts(row) {
  const verdict = verdictOf(row), path = report.rows.path[row];
  const w = report.rows.width[row], h = report.rows.height[row], time = report.rows.time[row];
  const parts = [
    make("h2", { class: "filename" }, readable(nameOf(row))),
    make("p", { class: "verdict-line" }, badge(verdict), make("span", {}, withoutVerdict(textOf("reason", row), verdict))),
    make("div", { class: "actions" },
      hrefOf(row) ? make("a", { class: "button", href: hrefOf(row), target: "_blank", rel: "noopener" }, "Open file") : "",
      make("button", { onclick: () => copyText(copyable(path), "Path copied") }, "Copy path"),
      textOf("prompt", row) ? make("button", { onclick: () => copyText(textOf("prompt", row), "Prompt copied") }, "Copy prompt") : ""),
    ...report.scores.map((set) => scoreBlock(set, row)).filter(Boolean),
    textBlock("Prompt", textOf("prompt", row)), textBlock("Negative prompt", textOf("negative", row)),
    make("dl", { class: "pairs" }, ...[
      ["Size", w && h ? `${w} × ${h}` : ""], ["Program", textOf("source", row)], ["Seed", textOf("seed", row)], ["Model", textOf("generator", row)],
      ["Date", time ? new Date(time * 1000).toLocaleString() : ""], ["Notes", textOf("notes", row)], ["Not judged", textOf("unjudged", row)], ["Path", readable(path)],
    ].filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
  ];
  const twin = textOf("duplicate_of", row);
  if (twin) {
    const other = rowOfPath.get(twin);
    parts.splice(3, 0, make("p", { class: "twin" }, "Repeats ", other === undefined ? make("span", {}, readable(twin))
      : make("button", { class: "link", onclick: () => openDetail(other) }, readable(nameOf(other)))));
  }
  return parts.filter(Boolean);
}
function textBlock(title, text) {
  return text ? make("section", { class: "block" }, make("h3", {}, title), make("p", { class: "prose" }, text)) : null;
}
function scoreBlock(set, row) {
  const scores = scoresOf(set, row), word = labelOf(set, row);
  if (!scores.length && !word) return null;
  const lines = scores.map(({ label, value, unit, ends }) => {
    const [low, high] = ends();
    const share = Number.isFinite(value) ? Math.min(1, Math.max(0, (value - low) / (high - low || 1))) : 0;
    const bar = make("i", {});
    bar.style.setProperty("--share", share);
    const told = `${set.model}.${label}: ${shortNumber(value)} ${unit}`;
    return make("div", { class: `score${label === word ? " answer" : ""}`, title: told }, make("span", { class: "label" }, label, unit && unit !== "probability" ? make("small", {}, unit) : ""),
      make("span", { class: "meter", "aria-hidden": "true" }, bar), make("span", { class: "number" }, shortNumber(value)));
  });
  const title = report.header.models.find(([id]) => id === set.model)?.[1] || set.model;
  return make("section", { class: "block" }, make("h3", {}, title, word ? make("b", { class: "word" }, word) : ""), make("div", { class: "scores" }, ...lines));
}

function setUpDetail() {
  byId("close").addEventListener("click", closeDetail);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("frame").addEventListener("click", toggleZoom);
  byId("detail").addEventListener("cancel", (event) => { event.preventDefault(); closeDetail(); });
  byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) closeDetail(); });
}
