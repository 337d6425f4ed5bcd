// A recorded grid of runs over tau and mu. All seeds are drawn thin and their median thick: never the best one.
// The data come in thousandths, which are finer than any difference between two seeds.
import { start, h, s, put, slider, median, percent, fixed, numbers, foot, fromLink, newId, KEYS } from "./kit.mjs";
import { plot, axes, scale, label, line, shareTicks } from "./picture.mjs";

const CURVES = [
  ["test_accuracy", "test accuracy", "accuracy"],
  ["mask_rate", "mask rate: share kept", "kept"],
  ["pseudo_label_accuracy", "pseudo-label accuracy of the kept", "labeled"],
];

export const cell = (runs, tau, mu) => runs.filter((r) => r.tau === tau && r.mu === mu);
export const finalAccuracy = (runs) => {
  const m = median(runs.map((r) => r.final));
  return m === null ? null : m / 1000;
};

// The median over the seeds at every step they share; null where fewer than half of them have a value.
export function middle(runs, name) {
  if (!runs.length) return [];
  return runs[0].steps.map((step) => {
    const values = runs.map((r) => r[name][r.steps.indexOf(step)]).filter((v) => v !== null && v !== undefined);
    return [step, 2 * values.length > runs.length ? median(values) / 1000 : null];
  });
}

const STYLE = `
.fm-two { display: grid; grid-template-columns: minmax(0, 17rem) minmax(0, 1fr); gap: .4rem 1.2rem; align-items: start; }
.fm-widget .fm-heat { border-collapse: separate; border-spacing: 3px; width: 100%; table-layout: fixed; font-size: .9em; margin: 0; }
.fm-widget .fm-heat :is(th, td) { padding: 0; border: 0; text-align: center; } .fm-widget .fm-heat tbody th { text-align: right; padding-right: .3rem; }
.fm-widget .fm-heat button, .fm-widget .fm-heat button[aria-pressed] { width: 100%; min-height: 36px; padding: 0; border: 1px solid transparent; font-weight: 400; color: var(--fm-ink);
  background: color-mix(in srgb, var(--fm-accuracy) calc(var(--v) * 48%), var(--fm-card)); }
.fm-widget .fm-heat button[aria-pressed="true"] { border: 2px solid var(--fm-ink); font-weight: 700; }
@media (max-width: 640px) { .fm-two { grid-template-columns: minmax(0, 1fr); } }`;

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    runs = get("runs").map((r) => ({ ...r, steps: r.steps || get("steps") })),
    taus = get("taus"),
    mus = get("mus"),
    baseline = median(get("baseline") || []);
  fromLink(root, model, ["tau", "mu"]);
  root.append(h("style", { text: STYLE }));
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      slider(model, "tau", { label: "Threshold τ", values: taus, format: (v) => String(v) }),
      slider(model, "mu", { label: "Unlabeled per labeled, μ", values: mus, format: String }),
    ),
  );
  const all = taus.flatMap((t) => mus.map((m) => finalAccuracy(cell(runs, t, m)))).filter((v) => v !== null);
  const least = Math.min(...all),
    most = Math.max(...all),
    cells = [];
  const heat = h(
    "table",
    { class: "fm-heat" },
    h("caption", { class: "fm-hidden", text: "Median final test accuracy in percent for each tau and mu" }),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        mus.map((m) => h("th", { scope: "col", text: `μ ${m}` })),
      ),
    ),
    h(
      "tbody",
      {},
      [...taus].reverse().map((t) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", text: `τ ${t}` }),
          mus.map((m) => {
            const v = finalAccuracy(cell(runs, t, m));
            if (v === null) return h("td", { text: "–" });
            const b = h("button", {
              type: "button",
              ...KEYS,
              text: (100 * v).toFixed(1),
              "aria-label": `τ ${t}, μ ${m}: ${percent(v, 1)}`,
              style: `--v:${most > least ? (v - least) / (most - least) : 0.5}`,
              onclick: () => {
                model.set("tau", t);
                put(model, "mu", m);
              },
            });
            cells.push([t, m, b]);
            return h("td", {}, b);
          }),
        ),
      ),
    ),
  );
  const side = h(
    "div",
    {},
    h("p", { class: "fm-note", text: "Test accuracy in %: median of the last 20 evaluations, then over seeds. Choose a cell." }),
    heat,
  );
  const out = numbers([
    ["final", "final test accuracy", "fm-accuracy"],
    ["range", "over the seeds"],
    ["kept", "mask rate at the end"],
    ["seconds", "training time"],
  ]);
  side.append(out.list);
  const right = h("div", {});
  root.append(h("div", { class: "fm-two" }, side, right));
  const current = () => cell(runs, get("tau"), get("mu"));
  const plots = CURVES.map(([name, title, color], k) =>
    plot(right, k ? 132 : 184, (svg, W, H) => {
      const own = current(),
        end = Math.max(...runs.flatMap((r) => r.steps)),
        left = 46,
        edge = W - 12,
        top = 30,
        bottom = H - (k === 2 ? 36 : 20);
      // The two accuracies are cut a little below where the lowest run ends: the differences are there, and the first
      // steps fall below the picture.
      const ends = runs.map((r) => (k ? r[name][r.steps.length - 1] : r.final)).filter((v) => v !== null);
      const bottomValue =
        name === "mask_rate"
          ? 0
          : Math.max(0, Math.floor((Math.min(...ends, k || baseline === null ? 1000 : baseline * 1000) - 50) / 100) / 10);
      const x = scale(0, end, left, edge),
        y = scale(bottomValue, 1, bottom, top);
      const xs = [0, 0.5, 1].map((f) => Math.round((f * end) / 10) * 10);
      svg.append(
        axes({
          x,
          y,
          xTicks: xs,
          yTicks: shareTicks(bottomValue, k ? 2.5 : 4.5),
          left,
          right: edge,
          top,
          bottom,
          yLabel: title,
          xLabel: k === 2 ? "training step" : null,
          yFormat: (v) => percent(v),
          xFormat: k === 2 ? String : () => "",
        }),
      );
      const clip = newId();
      svg.append(
        s("clipPath", { id: clip }, s("rect", { x: left, y: top - 2, width: edge - left + 2, height: bottom - top + 2 })),
      );
      const path = (points) => line(points.map(([t, v]) => [x(t), v === null ? null : y(v)]));
      for (const r of own)
        svg.append(
          s("path", {
            d: path(r.steps.map((t, i) => [t, r[name][i] === null ? null : r[name][i] / 1000])),
            fill: "none",
            "clip-path": `url(#${clip})`,
            stroke: `var(--fm-${color})`,
            "stroke-width": 1,
            opacity: 0.5,
          }),
        );
      const typical = middle(own, name),
        tail = typical[typical.length - 1];
      svg.append(
        s("path", {
          d: path(typical),
          fill: "none",
          "clip-path": `url(#${clip})`,
          stroke: `var(--fm-${color})`,
          "stroke-width": 2.8,
          "stroke-dasharray": k === 2 ? "7 3" : null,
        }),
      );
      if (!k && baseline !== null)
        svg.append(
          s("line", { x1: left, x2: edge, y1: y(baseline), y2: y(baseline), stroke: "var(--fm-ink)", "stroke-dasharray": "2 3" }),
          s("text", {
            x: edge,
            y: y(baseline) + 15,
            "text-anchor": "end",
            class: "fm-halo",
            text: `labels alone ${percent(baseline, 1)}`,
          }),
        );
      label(
        svg,
        `${title} against training steps for τ ${get("tau")}, μ ${get("mu")}, ${own.length} seeds. Median at the last step: ${percent(tail ? tail[1] : null, 1)}.`,
      );
    }),
  );
  const refresh = foot(root, model, ["tau", "mu"], () => ({
    caption: "Every recorded run of this cell",
    head: ["seed", "final accuracy", "mask rate", "pseudo-label accuracy", "seconds"],
    rows: current().map((r) => {
      const e = r.steps.length - 1,
        t = (v) => percent(v === null ? null : v / 1000, 1);
      return [r.seed, t(r.final), t(r.mask_rate[e]), t(r.pseudo_label_accuracy[e]), r.seconds];
    }),
  }));
  const update = () => {
    const own = current(),
      finals = own.map((r) => r.final / 1000),
      share = middle(own, "mask_rate");
    out.set({
      final: percent(finalAccuracy(own), 1),
      range: own.length ? `${percent(Math.min(...finals), 1)} to ${percent(Math.max(...finals), 1)} (${own.length})` : "–",
      kept: percent(share.length ? share[share.length - 1][1] : null),
      seconds: own.length ? `${fixed(median(own.map((r) => r.seconds)), 0)} s` : "–",
    });
    for (const [t, m, b] of cells) b.setAttribute("aria-pressed", String(t === get("tau") && m === get("mu")));
    plots.forEach((p) => p.redraw());
    refresh();
  };
  model.on("change:tau", update);
  model.on("change:mu", update);
  update();
}

export default { render };
