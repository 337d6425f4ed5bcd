// Plots: pictures drawn at the width they have, axes, and the five marks of the book.
import { h, s } from "./kit.mjs";

export const scale = (d0, d1, r0, r1) => (v) => r0 + ((v - d0) * (r1 - r0)) / (d1 - d0 || 1);

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
  if (yLabel) g.append(s("text", { x: 0, y: Math.min(14, top - 13), text: yLabel }));
  return g;
}

// Marks of an axis of shares that runs from `least` to 1: about `many` of them, from the top down.
export function shareTicks(least, many) {
  const gap = [0.1, 0.2, 0.25, 0.5].find((g) => (1 - least) / g <= many) || 0.5,
    ticks = [];
  for (let t = 1; t >= least - 1e-9; t -= gap) ticks.push(+t.toFixed(2));
  return ticks;
}

// A line through points [x, y]; it is broken where y is null.
export const line = (points) =>
  points.reduce((d, [x, y], k) => (y === null ? d : d + (k && points[k - 1][1] !== null ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1)), "");

// A bar from a to b of a histogram: hollow up to the threshold at `cut`, in color beyond it.
export function cutBar(svg, { a, b, cut, y, tall, color }) {
  cut = Math.min(b, Math.max(a, cut));
  const hollow = { x: a + 0.5, y, width: Math.max(0.5, cut - a - 1), height: tall, fill: "none" };
  if (cut > a) svg.append(s("rect", { ...hollow, stroke: "var(--fm-dropped)", "stroke-width": 1.2 }));
  if (b > cut) svg.append(s("rect", { x: cut, y, width: b - cut, height: tall, fill: `var(--fm-${color})` }));
}

// Where the threshold stands: a dashed line with its value beside it.
export function thresholdLine(svg, { x, tau, top, bottom, width }) {
  const late = x > width - 80;
  svg.append(
    s("line", { x1: x, x2: x, y1: top - 14, y2: bottom, stroke: "var(--fm-ink)", "stroke-width": 1.6, "stroke-dasharray": "5 3" }),
    s("text", {
      x: x + (late ? -5 : 5),
      y: top - 4,
      "text-anchor": late ? "end" : "start",
      class: "fm-halo",
      text: `τ = ${tau.toFixed(2)}`,
    }),
  );
}

// The five marks of the book: never told apart by color alone.
export function mark(kind, x, y, r = 5) {
  const c = `var(--fm-${kind})`;
  if (kind === "labeled") return s("circle", { cx: x, cy: y, r, fill: c, stroke: "var(--fm-card)", "stroke-width": 1.5 });
  if (kind === "dropped") return s("circle", { cx: x, cy: y, r: r * 0.62, fill: "none", stroke: c, "stroke-width": 1.6 });
  if (kind === "kept") return s("path", { d: `M${x} ${y - r} l${r} ${1.8 * r} h${-2 * r} z`, fill: c });
  if (kind === "wrong")
    return s("path", {
      d: `M${x - r * 0.8} ${y - r * 0.8} l${1.6 * r} ${1.6 * r} m0 ${-1.6 * r} l${-1.6 * r} ${1.6 * r}`,
      stroke: c,
      "stroke-width": 2.4,
      fill: "none",
    });
  return s("rect", { x: x - r * 0.8, y: y - r * 0.8, width: 1.6 * r, height: 1.6 * r, fill: c });
}
// What a picture shows where it is not the color's own marker.
const SIGNS = {
  line: (c) => s("path", { d: "M1 8 H15", stroke: c, "stroke-width": 1.4 }),
  thick: (c) => s("path", { d: "M1 8 H15", stroke: c, "stroke-width": 3 }),
  upright: (c) => s("path", { d: "M8 1 V15", stroke: c, "stroke-width": 2.4 }),
  circle: (c) => s("circle", { cx: 8, cy: 8, r: 5.5, fill: c }),
  bar: (c) => s("rect", { x: 4, y: 2, width: 8, height: 13, fill: c }),
  hollow: (c) => s("rect", { x: 4.8, y: 2.8, width: 6.4, height: 11.4, fill: "none", stroke: c, "stroke-width": 1.6 }),
};
// Entries are [color, text], or [color, text, sign].
export const key = (entries) =>
  h(
    "ul",
    { class: "fm-key" },
    entries.map(([kind, text, sign]) =>
      h(
        "li",
        {},
        s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, sign ? SIGNS[sign](`var(--fm-${kind})`) : mark(kind, 8, 8, 5.5)),
        text,
      ),
    ),
  );

// Where an SVG's own units are under the pointer: the picture may be shown smaller than it was drawn.
export function pointIn(svg, event) {
  const box = svg.getBoundingClientRect(),
    view = svg.viewBox.baseVal;
  return [((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height];
}

// A picture drawn at the width it has: its text keeps its size on a phone. draw(svg, width, height) fills it anew.
export function plot(root, height, draw, attributes = { role: "img" }) {
  const svg = s("svg", attributes),
    box = h("div", { class: "fm-plot" }, svg);
  root.append(box);
  let width = 0;
  const redraw = () => {
    if (!width) return;
    const tall = typeof height === "function" ? height(width) : height;
    svg.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    svg.setAttribute("height", tall);
    svg.replaceChildren();
    draw(svg, width, tall);
    if (attributes.role === "img") for (const part of svg.children) part.setAttribute("aria-hidden", "true"); // the label tells it all
  };
  const measure = (w) => {
    w = Math.max(230, Math.round(w));
    if (Math.abs(w - width) > 1) {
      width = w;
      redraw();
    }
  };
  new ResizeObserver((seen) => measure(seen[0].contentRect.width)).observe(box);
  measure(box.clientWidth || 600);
  return { svg, box, redraw };
}
export const label = (svg, text) => svg.setAttribute("aria-label", text);

// A round distance between the marks of an axis that ends at `most`: about four of them.
export function nice(most) {
  const raw = most / 4,
    power = 10 ** Math.floor(Math.log10(Math.max(1, raw)));
  return Math.max(1, [1, 2, 5, 10].find((m) => m * power >= raw) * power);
}
