"use strict";
/* The virtual grid and list: only the cells in view exist, and cells that leave are reused. */
const gallery = { width: 0, across: 1, cellHeight: 200, cells: new Map(), pool: [], waiting: new Set(), timer: 0 };
const OVERSCAN = 2;
const LIST_HEIGHT = 76;
const PADDING = 16;
const GAP = 12;
const CAPTION = 64;

function measure() {
  const box = byId("gallery");
  const inner = box.clientWidth - 2 * PADDING;
  gallery.width = inner;
  if (state.view === "list") Object.assign(gallery, { across: 1, cellWidth: inner, cellHeight: LIST_HEIGHT });
  else {
    const across = Math.max(1, Math.floor((inner + GAP) / (state.size + GAP)));
    const cellWidth = (inner - (across - 1) * GAP) / across;
    Object.assign(gallery, { across, cellWidth, cellHeight: Math.round(cellWidth * 1.12) + CAPTION + GAP });
  }
  byId("canvas").style.height = `${Math.ceil(shown.length / gallery.across) * gallery.cellHeight + 2 * PADDING - (state.view === "grid" ? GAP : 0)}px`;
  box.classList.toggle("list", state.view === "list");
}

function paint() {
  const box = byId("gallery");
  const first = Math.max(0, Math.floor((box.scrollTop - PADDING) / gallery.cellHeight) - OVERSCAN) * gallery.across;
  const last = Math.min(shown.length, (Math.ceil((box.scrollTop + box.clientHeight) / gallery.cellHeight) + OVERSCAN) * gallery.across);
  for (const [position, cell] of gallery.cells) {
    if (position < first || position >= last) {
      gallery.cells.delete(position);
      cell.box.remove();
      gallery.pool.push(cell);
    }
  }
  const added = document.createDocumentFragment();
  for (let position = first; position < last; position += 1) {
    if (gallery.cells.has(position)) continue;
    const cell = gallery.pool.pop() || newCell();
    fillCell(cell, position);
    gallery.cells.set(position, cell);
    added.append(cell.box);
  }
  byId("canvas").append(added);
  markCursor();
}
function repaint() {
  for (const cell of gallery.cells.values()) { cell.box.remove(); gallery.pool.push(cell); }
  gallery.cells.clear();
  measure();
  paint();
}

function newCell() {
  const image = make("img", { alt: "", decoding: "async", draggable: "false" });
  const cell = { image, picture: make("div", { class: "picture" }, image), mark: make("span", { class: "mark" }), name: make("span", { class: "name" }), line: make("span", { class: "line" }), score: make("span", { class: "value" }), more: make("span", { class: "more" }) };
  cell.box = make("div", { class: "cell", role: "option" }, cell.picture, cell.mark, make("div", { class: "caption" }, cell.name, cell.line, cell.more, cell.score));
  image.addEventListener("load", () => cell.picture.classList.remove("blank", "lost"));
  image.addEventListener("error", () => { if (image.hasAttribute("src")) cell.picture.classList.add("lost"); });
  cell.box.addEventListener("click", () => { state.cursor = cell.position; openDetail(shown[cell.position]); });
  return cell;
}
function fillCell(cell, position) {
  const row = shown[position], verdict = verdictOf(row);
  const across = position % gallery.across, down = Math.floor(position / gallery.across);
  const height = state.view === "grid" ? gallery.cellHeight - GAP : gallery.cellHeight;
  cell.position = position;
  cell.row = row;
  cell.box.id = `cell-${position}`;
  cell.box.className = `cell ${verdict}`;
  Object.assign(cell.box.style, { width: `${gallery.cellWidth}px`, height: `${height}px`,
    transform: `translate(${PADDING + across * (gallery.cellWidth + GAP)}px, ${PADDING + down * gallery.cellHeight}px)` });
  cell.box.setAttribute("aria-setsize", shown.length);
  cell.box.setAttribute("aria-posinset", position + 1);
  cell.box.setAttribute("aria-label", `${readable(nameOf(row))}, ${verdict}, ${textOf("reason", row)}`);
  if (cell.mark.title !== verdict) {
    cell.mark.className = `mark ${verdict}`;
    cell.mark.title = verdict;
    cell.mark.replaceChildren(icon(ICONS[verdict]));
  }
  cell.name.textContent = readable(nameOf(row));
  cell.line.textContent = withoutVerdict(textOf("reason", row), verdict) || wordsOf(row);
  cell.more.textContent = state.view === "list" ? textOf("prompt", row).replace(/\s+/g, " ") : "";
  cell.box.title = readable(report.rows.path[row]);
  const column = columns.get(state.sort) || columns.get(state.score);
  const value = column ? column.at(row) : null;
  cell.score.replaceChildren(value === null ? "" : shortNumber(value), value !== null && state.view === "list" ? make("small", {}, column.label) : "");
  cell.score.title = column ? column.key : "";
  picture(cell, row);
}
const withoutVerdict = (reason, verdict) => (reason.startsWith(`${verdict}: `) ? reason.slice(verdict.length + 2) : reason === verdict ? "" : reason);
const wordsOf = (row) => answered.map(({ set }) => labelOf(set, row)).filter(Boolean).join(", ");

/* Thumbnails are set at once, whole images only when scrolling pauses: passing by must not read ten thousand files. */
function picture(cell, row) {
  const thumbnail = thumbnailOf(row);
  cell.picture.classList.remove("lost");
  cell.picture.classList.add("blank");
  cell.image.removeAttribute("src");
  gallery.waiting.delete(cell);
  if (thumbnail) cell.image.src = thumbnail;
  else if (thumbnail === null && document.readyState === "loading") gallery.waiting.add(cell);
  else if (hrefOf(row)) {
    gallery.waiting.add(cell);
    clearTimeout(gallery.timer);
    gallery.timer = setTimeout(showWaiting, 120);
  } else cell.picture.classList.add("lost");
}
function showWaiting() {
  for (const cell of gallery.waiting) {
    if (gallery.cells.get(cell.position) !== cell) { gallery.waiting.delete(cell); continue; }
    const thumbnail = thumbnailOf(cell.row);
    if (thumbnail === null && document.readyState === "loading") continue;
    gallery.waiting.delete(cell);
    cell.image.src = thumbnail || hrefOf(cell.row);
  }
}

function markCursor() {
  for (const [position, cell] of gallery.cells) {
    cell.box.setAttribute("aria-selected", position === state.cursor);
    cell.box.classList.toggle("current", position === state.cursor);
  }
  if (gallery.cells.has(state.cursor)) byId("gallery").setAttribute("aria-activedescendant", `cell-${state.cursor}`);
  else byId("gallery").removeAttribute("aria-activedescendant");
}
function moveTo(position) {
  if (!shown.length) return;
  state.cursor = Math.max(0, Math.min(shown.length - 1, position));
  const box = byId("gallery"), top = Math.floor(state.cursor / gallery.across) * gallery.cellHeight;
  const bottom = top + gallery.cellHeight + 2 * PADDING;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  paint();
}
const perPage = () => Math.max(1, Math.floor(byId("gallery").clientHeight / gallery.cellHeight)) * gallery.across;

function drawGallery({ top = true } = {}) {
  const none = shown.length === 0;
  byId("empty").hidden = !none;
  byId("gallery").hidden = none;
  if (none) {
    byId("empty").querySelector("h2").textContent = count ? "No image fits these filters" : "There are no images in this report";
    byId("empty").querySelector("p").textContent = count ? "Remove one of them, or begin again with all images." : "The scan found no file that it could open as an image. See “This run” for what it left out.";
    byId("clear-empty").hidden = !count;
  }
  byId("view-grid").setAttribute("aria-pressed", state.view === "grid");
  byId("view-list").setAttribute("aria-pressed", state.view === "list");
  byId("size").value = state.size;
  byId("size").disabled = state.view === "list";
  if (top) byId("gallery").scrollTop = 0;
  repaint();
  if (top) moveTo(state.cursor);
}
function setView(view) { state.view = view; saveHash(); drawGallery({ top: false }); moveTo(state.cursor); }
function setSize(size) {
  state.size = Math.max(110, Math.min(340, size));
  saveHash();
  drawGallery({ top: false });
  moveTo(state.cursor);
}
function setUpGallery() {
  let asked = 0;
  byId("gallery").addEventListener("scroll", () => { asked ||= requestAnimationFrame(() => { asked = 0; paint(); }); }, { passive: true });
  new ResizeObserver(() => { if (byId("gallery").clientWidth - 2 * PADDING !== gallery.width) repaint(); else paint(); }).observe(byId("gallery"));
  byId("view-grid").addEventListener("click", () => setView("grid"));
  byId("view-list").addEventListener("click", () => setView("list"));
  byId("size").addEventListener("input", (event) => setSize(Number(event.target.value)));
  byId("sort").addEventListener("change", (event) => {
    state.sort = event.target.value;
    state.down = columns.has(state.sort) || state.sort === "date";
    if (columns.has(state.sort)) state.score = state.sort;
    update();
  });
  byId("down").addEventListener("click", () => { state.down = !state.down; update(); });
  byId("clear-empty").addEventListener("click", clearFilters);
  byId("copy-list").addEventListener("click", () => copyText(shown.map((row) => copyable(report.rows.path[row])).join("\n"), `${several(shown.length, "path")} copied`));
}
