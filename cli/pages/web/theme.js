"use strict";
/* Runs before anything is painted. Storage may be refused for files on disk: the choice then lasts as long as the page. */
const theme = {
  system: matchMedia("(prefers-color-scheme: dark)"),
  chosen: "",
  now: () => theme.chosen || (theme.system.matches ? "dark" : "light"),
  apply: () => { document.documentElement.dataset.theme = theme.now(); },
  toggle: () => {
    theme.chosen = theme.now() === "dark" ? "light" : "dark";
    try { localStorage.setItem("keepers-theme", theme.chosen); } catch { /* not kept */ }
    theme.apply();
    document.dispatchEvent(new Event("recolour"));
  },
};
try {
  const kept = localStorage.getItem("keepers-theme");
  if (kept === "dark" || kept === "light") theme.chosen = kept;
} catch { /* nothing was kept */ }
theme.apply();
theme.system.addEventListener("change", () => { theme.apply(); document.dispatchEvent(new Event("recolour")); });
