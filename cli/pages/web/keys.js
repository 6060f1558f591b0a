"use strict";
/* The keyboard: everything that the pointer can do. */
const KEYS = [
  ["Arrow keys", "walk through the images"], ["Home, End", "first and last image"], ["Page up, Page down", "one screen"], ["Enter, Space", "open the image"],
  ["← →", "previous and next, in an open image"], ["Z", "fit or full size, in an open image"], ["C", "copy the path"], ["Esc", "close, or leave the search"],
  ["1 2 3 4", "only accept, review, reject, error"], ["0", "all verdicts"], ["/", "search"], ["V", "grid or list"], ["+ −", "larger or smaller"],
  ["S", "reverse the order"], ["X", "clear all filters"], ["F", "show or hide the filters, on narrow screens"], ["T", "light or dark"], ["?", "this help"],
];
const anywhere = {
  "1": () => pickVerdict("accept"), "2": () => pickVerdict("review"), "3": () => pickVerdict("reject"), "4": () => pickVerdict("error"), "0": () => pickVerdict("all"),
  "/": () => { goTo("images"); showDrawer(true); byId("search").focus(); byId("search").select(); },
  "?": () => byId("keys").showModal(), t: theme.toggle, f: () => showDrawer(!byId("filters").classList.contains("open")),
  x: clearFilters, c: () => { const row = state.open >= 0 ? state.open : shown[state.cursor]; if (row !== undefined) copyText(copyable(report.rows.path[row]), "Path copied"); },
};
const inGallery = {
  ArrowRight: () => moveTo(state.cursor + 1), ArrowLeft: () => moveTo(state.cursor - 1),
  ArrowDown: () => moveTo(Math.min(state.cursor + gallery.across, Math.max(state.cursor, shown.length - 1))),
  ArrowUp: () => moveTo(state.cursor >= gallery.across ? state.cursor - gallery.across : state.cursor),
  Home: () => moveTo(0), End: () => moveTo(shown.length - 1), PageDown: () => moveTo(state.cursor + perPage()), PageUp: () => moveTo(state.cursor - perPage()),
  Enter: () => { if (shown.length) openDetail(shown[state.cursor]); }, " ": () => { if (shown.length) openDetail(shown[state.cursor]); },
  v: () => setView(state.view === "grid" ? "list" : "grid"), "+": () => setSize(state.size + 20), "=": () => setSize(state.size + 20), "-": () => setSize(state.size - 20),
  s: () => byId("down").click(),
};
const inDetail = {
  ArrowRight: () => step(1), ArrowDown: () => step(1), ArrowLeft: () => step(-1), ArrowUp: () => step(-1), Enter: toggleZoom, " ": toggleZoom, z: toggleZoom,
  Home: () => { if (shown.length) openDetail(shown[0]); }, End: () => { if (shown.length) openDetail(shown[shown.length - 1]); }, t: theme.toggle, c: anywhere.c,
};

function onKey(event) {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && event.target === byId("search")) { byId("gallery").focus(); showDrawer(false); event.preventDefault(); return; }
  if (event.key === "Escape" && byId("filters").classList.contains("open")) { showDrawer(false); return; }
  if (event.key === "Enter" && event.target === byId("search")) { showDrawer(false); byId("gallery").focus(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || event.defaultPrevented) return;
  // A focused button keeps its own Enter and Space; a focused tab its arrows.
  const button = event.target.closest("button, a, [role=tab]");
  if (button && ["Enter", " "].includes(event.key)) return;
  if (event.target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(event.key)) { walkTabs(event); return; }
  if (event.target.closest(".table") && /^(Arrow|Page|Home|End)/.test(event.key)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const table = byId("detail").open ? inDetail : state.tab === "images" ? { ...anywhere, ...inGallery } : anywhere;
  const act = table[key];
  if (!act) return;
  event.preventDefault();
  if (table !== inDetail && key in inGallery && document.activeElement !== byId("gallery") && !byId("gallery").hidden) byId("gallery").focus({ preventScroll: true });
  act();
}
function walkTabs(event) {
  const tabs = [...document.querySelectorAll("[role=tab]:not([hidden])")];
  const next = tabs[(tabs.indexOf(event.target) + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
  goTo(next.dataset.tab);
  next.focus();
  event.preventDefault();
}
function setUpKeys() {
  document.addEventListener("keydown", onKey);
  byId("key-list").append(...KEYS.flatMap(([key, text]) => [make("dt", {}, ...key.split(", ").flatMap((part, i) => [i ? " " : "", make("kbd", {}, part)])), make("dd", {}, text)]));
  byId("keys").addEventListener("click", (event) => { if (event.target === byId("keys")) byId("keys").close(); });
}
