// What the widgets share: elements, controls bound to the model, small plots, numbers as a table, a link to the
// state. Colors are CSS variables throughout, so a change of theme needs no redrawing except on a canvas.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "text") node.textContent = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const percent = (v, digits = 0) => (v === null || v === undefined ? "–" : (100 * v).toFixed(digits) + " %");
export const fixed = (v, digits = 2) => (v === null || v === undefined ? "–" : v.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−"));
export const median = (values) => {
  const v = values.filter((x) => x !== null && x !== undefined).sort((a, b) => a - b), k = v.length >> 1;
  return v.length ? (v.length % 2 ? v[k] : (v[k - 1] + v[k]) / 2) : null;
};
export const scale = (d0, d1, r0, r1) => (v) => r0 + ((v - d0) * (r1 - r0)) / (d1 - d0 || 1);
export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// `code` in backticks becomes <code>; everything else stays text, so no data can become markup.
export const prose = (text) => String(text).split(/`([^`]+)`/).map((part, k) => (k % 2 ? h("code", { text: part }) : part));

// Ids for labels: the same widget may stand on a page twice, and each brings its own copy of this file.
export const newId = () => { const w = globalThis; w.fmIds = (w.fmIds || 0) + 1; return `fm-c${w.fmIds}`; };

// JupyterLab takes the arrow keys from a focused control unless the control itself says this.
export const KEYS = { "data-lm-suppress-shortcuts": "true" };

export function start(el, title, lead) {
  if (!el.closest(".fm-widget")) el.classList.add("fm-widget");
  const root = h("div", { class: "fm-root" });
  if (title) root.append(h("p", { class: "fm-title" }, prose(title)));
  if (lead) root.append(h("p", { class: "fm-lead" }, prose(lead)));
  el.append(root);
  return root;
}

// A slider for model[key]. With `values` it snaps to these and no others.
export function slider(model, key, { label, min = 0, max = 1, step = 0.01, values = null, format = (v) => fixed(v, 2), say = format }) {
  const id = newId();
  const input = h("input", { type: "range", id, ...KEYS, ...(values ? { min: 0, max: values.length - 1, step: 1 } : { min, max, step }) });
  const output = h("output", { for: id, "aria-live": "polite" });
  const nearest = (v) => values.reduce((best, x, k) => (Math.abs(x - v) < Math.abs(values[best] - v) ? k : best), 0);
  const show = () => {
    const v = model.get(key);
    input.value = values ? nearest(v) : v;
    output.textContent = format(v);
    input.setAttribute("aria-valuetext", say(v));
  };
  input.addEventListener("input", () => put(model, key, values ? values[+input.value] : +input.value));
  model.on(`change:${key}`, show);
  show();
  return h("div", { class: "fm-control" }, h("label", { for: id }, prose(label)), output, input);
}

export function select(model, key, { label, options }) {
  const id = newId();
  const input = h("select", { id, ...KEYS }, options.map(([value, text]) => h("option", { value, text })));
  const show = () => { input.value = String(model.get(key)); };
  const typed = new Map(options.map(([value]) => [String(value), value]));
  input.addEventListener("change", () => put(model, key, typed.get(input.value)));
  model.on(`change:${key}`, show);
  show();
  return h("div", { class: "fm-control" }, h("label", { for: id }, prose(label)), h("span"), input);
}

export const button = (text, onclick, attributes) => h("button", { type: "button", onclick, text, ...KEYS, ...attributes });

export function put(model, key, value) {
  model.set(key, value);
  model.save_changes();
}

// "Show the numbers" (a table made only when it is open) and "Copy link to this state".
export function foot(root, model, keys, table) {
  const body = h("div", { class: "fm-scroll", tabindex: 0, role: "region", "aria-label": "The numbers" });
  const details = h("details", {}, h("summary", { text: "Show the numbers", ...KEYS }), body);
  const refresh = () => { if (details.open) body.replaceChildren(makeTable(table())); };
  details.addEventListener("toggle", refresh);
  const link = button("Copy link to this state", () => {
    const where = root.closest("figure[id]");
    const state = keys.map((k) => `${k}=${encodeURIComponent(JSON.stringify(model.get(k)))}`).join("&");
    const hash = `#${where ? where.id : "fm"}?${state}`;
    let done = "Link is in the address bar";
    try { history.replaceState(null, "", hash); } catch { done = "No link here: the figure stands in a frame"; }
    try { navigator.clipboard.writeText(location.href.split("#")[0] + hash).then(() => say("Copied"), () => say(done)); } catch { say(done); }
    say(done);
  });
  const say = (text) => { link.textContent = text; setTimeout(() => { link.textContent = "Copy link to this state"; }, 2500); };
  link.setAttribute("aria-live", "polite");
  root.append(h("div", { class: "fm-foot" }, details, link));
  return refresh;
}

function makeTable({ head, rows, caption }) {
  return h("table", {}, caption ? h("caption", { class: "fm-hidden", text: caption }) : null,
    h("thead", {}, h("tr", {}, head.map((t) => h("th", { scope: "col", text: t })))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((t, k) => (k ? h("td", { text: t }) : h("th", { scope: "row", text: t })))))));
}

// Reads the state back from the address. Values of another type than the present ones are ignored.
export function fromLink(root, model, keys) {
  const read = () => {
    const where = root.closest("figure[id]"), [id, query] = decodeURI(location.hash.slice(1)).split("?");
    if (!where || !query || id !== where.id) return;
    for (const pair of location.hash.split("?")[1].split("&")) {
      const [key, text] = pair.split("=");
      if (!keys.includes(key)) continue;
      try {
        const value = JSON.parse(decodeURIComponent(text)), old = model.get(key);
        const alike = Array.isArray(old) ? Array.isArray(value) && value.length === old.length : typeof value === typeof old;
        if (alike) model.set(key, value);
      } catch { /* a mangled link changes nothing */ }
    }
    where.scrollIntoView({ block: "nearest" });
  };
  try { read(); addEventListener("hashchange", read); } catch { /* no address here */ }
}

// Left and bottom axes of a plot with gentle grid lines.
export function axes({ x, y, xTicks, yTicks, left, right, top, bottom, xLabel, yLabel, xFormat = String, yFormat = String }) {
  const g = s("g", { "aria-hidden": "true" });
  for (const t of yTicks) {
    g.append(s("line", { x1: left, x2: right, y1: y(t), y2: y(t), stroke: "var(--fm-line)" }));
    g.append(s("text", { x: left - 6, y: y(t) + 4, "text-anchor": "end", class: "fm-muted", text: yFormat(t) }));
  }
  for (const t of xTicks) {
    g.append(s("line", { x1: x(t), x2: x(t), y1: bottom, y2: bottom + 4, stroke: "var(--fm-edge)" }));
    g.append(s("text", { x: x(t), y: bottom + 17, "text-anchor": "middle", class: "fm-muted", text: xFormat(t) }));
  }
  g.append(s("line", { x1: left, x2: right, y1: bottom, y2: bottom, stroke: "var(--fm-edge)" }));
  if (xLabel) g.append(s("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle", text: xLabel }));
  if (yLabel) g.append(s("text", { x: 0, y: top - (top > 32 ? 20 : 13), text: yLabel }));
  return g;
}

// The five marks of the book: never told apart by color alone.
export function mark(kind, x, y, r = 5) {
  const c = `var(--fm-${kind})`;
  if (kind === "labeled") return s("circle", { cx: x, cy: y, r, fill: c, stroke: "var(--fm-card)", "stroke-width": 1.5 });
  if (kind === "dropped") return s("circle", { cx: x, cy: y, r: r * 0.62, fill: "none", stroke: c, "stroke-width": 1.6 });
  if (kind === "kept") return s("path", { d: `M${x} ${y - r} l${r} ${1.8 * r} h${-2 * r} z`, fill: c });
  if (kind === "wrong") return s("path", { d: `M${x - r * 0.8} ${y - r * 0.8} l${1.6 * r} ${1.6 * r} m0 ${-1.6 * r} l${-1.6 * r} ${1.6 * r}`, stroke: c, "stroke-width": 2.4, fill: "none" });
  return s("rect", { x: x - r * 0.8, y: y - r * 0.8, width: 1.6 * r, height: 1.6 * r, fill: c });
}
export const key = (entries) => h("ul", { class: "fm-key" }, entries.map(([kind, text]) =>
  h("li", {}, s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, mark(kind, 8, 8, 5.5)), text)));

// name -> value pairs that stand under a picture
export function numbers(entries) {
  const list = h("dl", { class: "fm-numbers" }), cells = {};
  for (const [name, text, cls] of entries) {
    cells[name] = h("dd", { class: cls });
    list.append(h("div", {}, h("dt", {}, prose(text)), cells[name]));
  }
  return { list, set: (values) => { for (const k in values) if (cells[k].textContent !== values[k]) cells[k].textContent = values[k]; } };
}

// Calls f whenever the colors of the page may have changed (only canvases need it).
export function onTheme(f) {
  const seen = new MutationObserver(f);
  for (const node of [document.documentElement, document.body])
    seen.observe(node, { attributes: true, attributeFilter: ["data-theme", "theme", "class", "data-jp-theme-light"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", f);
}

// Where an SVG's own units are under the pointer: the picture may be shown smaller than it was drawn.
export function pointIn(svg, event) {
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  return [((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height];
}

// A picture drawn at the width it has: its text keeps its size on a phone. draw(svg, width, height) fills it anew.
export function plot(root, height, draw, attributes = { role: "img" }) {
  const svg = s("svg", attributes), box = h("div", { class: "fm-plot" }, svg);
  root.append(box);
  let width = 0;
  const redraw = () => {
    if (!width) return;
    const tall = typeof height === "function" ? height(width) : height;
    svg.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    svg.setAttribute("height", tall);
    svg.replaceChildren();
    draw(svg, width, tall);
  };
  const measure = (w) => { w = Math.max(230, Math.round(w)); if (Math.abs(w - width) > 1) { width = w; redraw(); } };
  new ResizeObserver((seen) => measure(seen[0].contentRect.width)).observe(box);
  measure(box.clientWidth || 600);
  return { svg, box, redraw };
}
export const label = (svg, text) => svg.setAttribute("aria-label", text);
