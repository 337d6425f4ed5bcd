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
export const fixed = (v, digits = 2) =>
  v === null || v === undefined
    ? "–"
    : v
        .toFixed(digits)
        .replace(/^-(0\.?0*)$/, "$1")
        .replace("-", "−");
export const median = (values) => {
  const v = values.filter((x) => x !== null && x !== undefined).sort((a, b) => a - b),
    k = v.length >> 1;
  return v.length ? (v.length % 2 ? v[k] : (v[k - 1] + v[k]) / 2) : null;
};
export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// `code` in backticks becomes <code>; everything else stays text, so no data can become markup.
export const prose = (text) =>
  String(text)
    .split(/`([^`]+)`/)
    .map((part, k) => (k % 2 ? h("code", { text: part }) : part));

// Ids for labels: the same widget may stand on a page twice, and each brings its own copy of this file.
export const newId = () => {
  const w = globalThis;
  w.fmIds = (w.fmIds || 0) + 1;
  return `fm-c${w.fmIds}`;
};

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
export function slider(
  model,
  key,
  { label, min = 0, max = 1, step = 0.01, values = null, format = (v) => fixed(v, 2), say = format },
) {
  const id = newId();
  const input = h("input", {
    type: "range",
    id,
    ...KEYS,
    ...(values ? { min: 0, max: values.length - 1, step: 1 } : { min, max, step }),
  });
  const output = h("output", { for: id, "aria-live": "off" }); // the slider itself says its value
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
  const control = h("div", { class: "fm-control" }, h("label", { for: id }, prose(label)), output, input);
  // Where other controls decide how far this one goes and what its value means.
  control.fit = (limits) => {
    Object.assign(input, limits);
    show();
  };
  return control;
}

export function select(model, key, { label, options = [] }) {
  const id = newId(),
    input = h("select", { id, ...KEYS });
  const show = () => {
    input.value = String(model.get(key));
  };
  let typed;
  input.addEventListener("change", () => put(model, key, typed.get(input.value)));
  model.on(`change:${key}`, show);
  const control = h("div", { class: "fm-control" }, h("label", { for: id }, prose(label)), h("span"), input);
  // Where other controls decide what there is to choose.
  control.fit = (options) => {
    typed = new Map(options.map(([value]) => [String(value), value]));
    input.replaceChildren(...options.map(([value, text]) => h("option", { value, text })));
    show();
  };
  control.fit(options);
  return control;
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
  const refresh = () => {
    if (details.open) body.replaceChildren(makeTable(table()));
  };
  details.addEventListener("toggle", refresh);
  const told = h("span", { class: "fm-hidden", role: "status" }); // not the button: its going back would be told, too
  const link = button("Copy link to this state", () => {
    const where = root.closest("figure[id]");
    const state = keys.map((k) => `${k}=${encodeURIComponent(JSON.stringify(model.get(k)))}`).join("&");
    const hash = `#${where ? where.id : "fm"}?${state}`;
    let done = "The link is in the address bar";
    try {
      history.replaceState(null, "", hash);
    } catch {
      done = "No link here: the figure is in a frame";
    }
    try {
      navigator.clipboard.writeText(location.href.split("#")[0] + hash).then(
        () => say("Link copied"),
        () => say(done),
      );
    } catch {
      say(done);
    }
  });
  let later;
  const say = (text) => {
    link.textContent = told.textContent = text;
    clearTimeout(later);
    later = setTimeout(() => {
      link.textContent = "Copy link to this state";
      told.textContent = "";
    }, 2500);
  };
  root.append(h("div", { class: "fm-foot" }, details, link, told));
  return refresh;
}

function makeTable({ head, rows, caption }) {
  return h(
    "table",
    {},
    caption ? h("caption", { class: "fm-hidden", text: caption }) : null,
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((t) => h("th", { scope: "col", text: t })),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          row.map((t, k) => (k ? h("td", { text: t }) : h("th", { scope: "row", text: t }))),
        ),
      ),
    ),
  );
}

// Brings a figure into sight and holds it there while formulas and figures above it take their heights, until the reader moves.
function land(where) {
  let timer;
  const seen = new ResizeObserver(() => {
      where.scrollIntoView({ block: "start", behavior: "instant" });
      timer ||= setTimeout(stop, 10_000);
    }),
    stop = () => seen.disconnect();
  seen.observe(document.body);
  for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(kind, stop, { once: true, capture: true, passive: true });
}

// Reads the state back from the address. Values of another type than the present ones are ignored.
export function fromLink(root, model, keys) {
  const read = () => {
    const where = root.closest("figure[id]"),
      [id, query] = decodeURI(location.hash.slice(1)).split("?");
    if (!where || !query || id !== where.id) return;
    for (const pair of location.hash.split("?")[1].split("&")) {
      const [key, text] = pair.split("=");
      if (!keys.includes(key)) continue;
      try {
        const value = JSON.parse(decodeURIComponent(text)),
          old = model.get(key);
        const alike = Array.isArray(old) ? Array.isArray(value) && value.length === old.length : typeof value === typeof old;
        if (alike) model.set(key, value);
      } catch {
        /* a mangled link changes nothing */
      }
    }
    land(where);
  };
  try {
    read();
    addEventListener("hashchange", read);
  } catch {
    /* no address here */
  }
}

// name -> value pairs that stand under a picture, read out whole when one of them changes
export function numbers(entries) {
  const list = h("dl", { class: "fm-numbers", "aria-live": "polite", "aria-atomic": "true" }),
    cells = {};
  for (const [name, text, cls] of entries) {
    cells[name] = h("dd", { class: cls });
    list.append(h("div", {}, h("dt", {}, prose(text)), cells[name]));
  }
  return {
    list,
    set: (values) => {
      for (const k in values) if (cells[k].textContent !== values[k]) cells[k].textContent = values[k];
    },
  };
}

// Calls f whenever the colors of the page may have changed (only canvases need it).
export function onTheme(f) {
  const seen = new MutationObserver(f);
  for (const node of [document.documentElement, document.body])
    seen.observe(node, { attributes: true, attributeFilter: ["data-theme", "theme", "class", "data-jp-theme-light"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", f);
}
