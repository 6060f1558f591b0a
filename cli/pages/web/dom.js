"use strict";
/* Making elements. Text only ever becomes text: there is no innerHTML anywhere in the report. */
const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) element.setAttribute(name, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const icon = (path) => draw("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, draw("path", { d: path }));
const ICONS = {
  accept: "M4.5 10.5l3.6 3.6 7.4-8.2",
  review: "M7.4 7.6a2.7 2.7 0 1 1 3.9 2.4c-.9.5-1.3 1-1.3 1.9M10 15v.2",
  reject: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  error: "M10 4.5v7M10 15v.2",
};
const badge = (verdict) => make("span", { class: `badge ${verdict}` }, icon(ICONS[verdict]), verdict);

/* A number as text: just enough digits to tell values apart. */
function shortNumber(value) {
  if (typeof value !== "number" || Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const size = Math.abs(value);
  if (size >= 1000 || Number.isInteger(value)) return value.toLocaleString("en", { maximumFractionDigits: 1 });
  return size >= 10 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : size >= 0.001 || size === 0 ? value.toFixed(3) : value.toPrecision(2);
}
const whole = (count) => count.toLocaleString("en");
const several = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

/* Names made readable: bytes that are not UTF-8 and control characters are escaped. */
function readable(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, (c) => {
    const code = c.charCodeAt(0);
    if (c === "\n") return "\\n";
    if (c === "\t") return "\\t";
    return code >= 0xdc80 && code <= 0xdcff ? `\\x${(code - 0xdc00).toString(16)}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
/* A name with such bytes cannot be copied as text; in this form bash and zsh understand it. */
function copyable(path) {
  if (!/(?<![\ud800-\udbff])[\udc00-\udfff]/.test(path)) return path;
  return `$'${path.replace(/[\\']/g, "\\$&").replace(/\n/g, "\\n").replace(/(?<![\ud800-\udbff])[\udc80-\udcff]/g, (c) => `\\x${(c.charCodeAt(0) - 0xdc00).toString(16)}`)}'`;
}

let toastTimer = 0;
function toast(text) {
  byId("toast").textContent = text;
  byId("toast").classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => byId("toast").classList.remove("on"), 2200);
}

async function copyText(text, told) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "unseen", readonly: true });
    area.value = text;
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) { toast("The browser refused to copy."); return; }
  }
  toast(told);
}

function showTip(x, y, ...children) {
  const tip = byId("tip");
  tip.replaceChildren(...children);
  tip.hidden = false;
  const { offsetWidth: w, offsetHeight: h } = tip;
  tip.style.left = `${Math.max(8, x + 14 + w > innerWidth ? x - w - 14 : x + 14)}px`;
  tip.style.top = `${Math.max(8, Math.min(y + 14, innerHeight - h - 8))}px`;
}
const hideTip = () => { byId("tip").hidden = true; };
