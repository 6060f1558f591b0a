"use strict";
/* Puts the parts together and switches tabs. */
function showDrawer(open) {
  byId("filters").classList.toggle("open", open);
  byId("drawer").setAttribute("aria-expanded", open);
}
function goTo(tab) {
  state.tab = tab === "charts" && !report.panels.length ? "images" : tab;
  for (const name of ["images", "charts", "run"]) {
    byId(`panel-${name}`).hidden = name !== state.tab;
    byId(`tab-${name}`).setAttribute("aria-selected", name === state.tab);
    byId(`tab-${name}`).tabIndex = name === state.tab ? 0 : -1;
  }
  byId("drawer").hidden = state.tab !== "images";
  hideTip();
  if (state.tab === "charts") drawPanels();
  if (state.tab === "run") drawRun();
  saveHash();
}
function setUpHead() {
  const { title, unread, note } = report.header;
  byId("title").textContent = title;
  document.title = title ? `${title} · Keepers report` : "Keepers report";
  byId("count-images").textContent = whole(count);
  byId("note").textContent = note || "";
  byId("note").hidden = !note;
  byId("count-charts").textContent = report.panels.length || "";
  byId("tab-charts").hidden = !report.panels.length;
  byId("count-unread").textContent = unread.length ? whole(unread.length) : "";
  byId("count-unread").title = unread.length ? `${several(unread.length, "file")} could not be read` : "";
  for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => goTo(tab.dataset.tab));
  byId("theme").addEventListener("click", theme.toggle);
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("drawer").addEventListener("click", () => showDrawer(!byId("filters").classList.contains("open")));
  document.querySelector(".stage").addEventListener("pointerdown", () => showDrawer(false));
}
function start() {
  setUpHead();
  setUpFilters();
  setUpGallery();
  setUpDetail();
  setUpDropped();
  setUpKeys();
  readHash();
  document.addEventListener("shown", () => { drawFilters(); drawGallery(); if (state.open >= 0 && byId("detail").open) drawDetail(state.open); });
  document.addEventListener("recolour", () => repainting.forEach((repaint) => repaint()));
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) === written) return;
    readHash();
    goTo(state.tab);
    update();
    if (state.open >= 0) openDetail(state.open); else if (byId("detail").open) closeDetail();
  });
  goTo(state.tab);
  update();
  if (state.open >= 0) openDetail(state.open);
  document.addEventListener("DOMContentLoaded", () => { showWaiting(); if (state.open >= 0) drawDetail(state.open); });
  const soon = setInterval(() => { showWaiting(); if (document.readyState !== "loading") clearInterval(soon); }, 100);
}
start();
