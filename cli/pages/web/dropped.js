"use strict";
/* A file dropped onto an open image: the texts in it, as they stand there. The file is read here and goes nowhere. */
const TEXT_LIMIT = 1 << 22, MOST_TEXTS = 60, SHOWN_TEXT = 20000;
const EXIF_TAGS = { 0x010e: "ImageDescription", 0x010f: "Make", 0x0110: "Model", 0x0131: "Software", 0x9286: "UserComment", 0x9c9c: "XPComment" };

const latin = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
function utf8(bytes) {
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { return new TextDecoder("latin1").decode(bytes); }
}
async function inflated(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const parts = [];
  let size = 0;
  for (let part = await reader.read(); !part.done && size <= TEXT_LIMIT; part = await reader.read()) { parts.push(part.value); size += part.value.length; }
  if (size > TEXT_LIMIT) { await reader.cancel(); return null; }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/* The texts of a PNG, a JPEG or a WebP file: pairs of a name and a text. */
async function textsOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = latin(bytes.subarray(0, 12));
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return pngTexts(bytes, view);
  if (head.startsWith("\xff\xd8\xff")) return jpegTexts(bytes, view);
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return webpTexts(bytes, view);
  return null;
}
async function pngTexts(bytes, view) {
  const found = [];
  for (let at = 8; at + 12 <= bytes.length && found.length < MOST_TEXTS;) {
    const size = view.getUint32(at), kind = latin(bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, Math.min(at + 8 + size, bytes.length));
    if (["tEXt", "zTXt", "iTXt"].includes(kind) && size <= TEXT_LIMIT) found.push(await pngText(kind, data));
    if (kind === "eXIf") found.push(...exifTexts(data));
    at += 12 + size;
  }
  return found.filter(Boolean);
}
async function pngText(kind, data) {
  const zero = data.indexOf(0);
  if (zero < 0) return null;
  const name = latin(data.subarray(0, zero));
  let rest = data.subarray(zero + 1), zipped = kind === "zTXt";
  if (zipped) rest = rest.subarray(1);
  if (kind === "iTXt") {
    zipped = rest[0] === 1;
    const language = rest.indexOf(0, 2), keyword = rest.indexOf(0, language + 1);
    if (language < 0 || keyword < 0) return null;
    rest = rest.subarray(keyword + 1);
  }
  try { if (zipped) rest = await inflated(rest); } catch { rest = null; }
  return [name, rest ? utf8(rest) : "(compressed, and damaged or too large to be shown)"];
}
function jpegTexts(bytes, view) {
  const found = [];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda && found.length < MOST_TEXTS;) {
    const size = view.getUint16(at + 2), data = bytes.subarray(at + 4, at + 2 + size);
    if (size < 2) break;
    if (bytes[at + 1] === 0xe1 && latin(data.subarray(0, 6)) === "Exif\0\0") found.push(...exifTexts(data.subarray(6)));
    else if (bytes[at + 1] === 0xe1 && latin(data.subarray(7, 28)) === "ns.adobe.com/xap/1.0/") found.push(["XMP", utf8(data.subarray(29))]);
    if (bytes[at + 1] === 0xfe) found.push(["comment", utf8(data)]);
    at += 2 + size;
  }
  return found;
}
function webpTexts(bytes, view) {
  const found = [];
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true), kind = latin(bytes.subarray(at, at + 4)), data = bytes.subarray(at + 8, at + 8 + size);
    if (kind === "EXIF") found.push(...exifTexts(latin(data.subarray(0, 6)) === "Exif\0\0" ? data.subarray(6) : data));
    if (kind === "XMP ") found.push(["XMP", utf8(data)]);
    at += 8 + size + (size & 1);
  }
  return found;
}
function exifTexts(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), found = [], seen = new Set();
  const little = bytes[0] === 0x49;
  const block = (at) => {
    if (seen.has(at) || at + 2 > bytes.length || seen.size > 4) return;
    seen.add(at);
    for (let left = Math.min(view.getUint16(at, little), 500), entry = at + 2; left > 0 && entry + 12 <= bytes.length; left--, entry += 12) {
      const tag = view.getUint16(entry, little), size = view.getUint32(entry + 4, little);
      const from = size > 4 ? view.getUint32(entry + 8, little) : entry + 8;
      if (tag === 0x8769) block(view.getUint32(entry + 8, little));
      if (EXIF_TAGS[tag] && from + size <= bytes.length) found.push([EXIF_TAGS[tag], exifText(tag, bytes.subarray(from, from + size))]);
    }
  };
  if (bytes.length >= 8) block(view.getUint32(4, little));
  return found.filter(([, text]) => text);
}
function exifText(tag, data) {
  const wide = (part, order) => new TextDecoder(order).decode(part).replace(/\0+$/, "");
  if (tag === 0x9c9c) return wide(data, "utf-16le");
  if (tag !== 0x9286) return utf8(data).replace(/\0+$/, "");
  const head = latin(data.subarray(0, 8)), body = data.subarray(8);
  if (head.toUpperCase() !== "UNICODE\0") return utf8(/^(ASCII\0\0\0|\0{8})$/.test(head) ? body : data).replace(/\0+$/, "");
  if (!body.includes(0)) return utf8(body);
  let even = 0, odd = 0;
  body.forEach((byte, place) => { if (!byte) { if (place % 2) odd++; else even++; } });
  return wide(body, even >= odd ? "utf-16be" : "utf-16le");
}

async function showDropped(file) {
  const area = byId("dropped");
  let texts = null;
  try { texts = file.size <= 1 << 28 ? await textsOf(new Uint8Array(await file.arrayBuffer())) : null; } catch { /* told below */ }
  const row = everyRow.find((one) => nameOf(one) === file.name);
  area.replaceChildren(...[
    make("h3", {}, readable(file.name)),
    row === undefined ? null : make("button", { class: "link", onclick: () => openDetail(row) }, "Show the image of this name in the report"),
    texts === null ? make("p", {}, "This is no PNG, JPEG or WebP file that can be read here.") : texts.length ? null : make("p", {}, "The file holds no text. Texts hidden in pixels are not looked for here."),
    ...(texts || []).map(([name, text]) => textBlock(readable(name), text.length > SHOWN_TEXT ? `${text.slice(0, SHOWN_TEXT)} …` : text)),
    make("p", { class: "quiet-text" }, "These are the raw texts. `keepers metadata FILE` says what they mean."),
  ].filter(Boolean));
}
function setUpDropped() {
  const take = (files) => { if (files && files[0]) showDropped(files[0]); };
  const dialog = byId("detail"), choose = byId("choose");
  choose.addEventListener("change", () => { take(choose.files); choose.value = ""; });
  dialog.addEventListener("dragover", (event) => { event.preventDefault(); dialog.classList.add("dragging"); });
  dialog.addEventListener("dragleave", () => dialog.classList.remove("dragging"));
  dialog.addEventListener("drop", (event) => { event.preventDefault(); dialog.classList.remove("dragging"); take(event.dataTransfer.files); });
}
