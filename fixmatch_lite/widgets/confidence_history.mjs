// How sure a net in training is of the unlabeled images, ten times a run: right answers above the line, wrong ones below,
// what a threshold keeps in color. Heights are logarithmic, or one wrong answer among a thousand could not be seen.
import { start, slider, select, s, h, percent, fixed, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, axes, scale, key, cutBar, thresholdLine } from "./picture.mjs";

const BARS = 50; // of the hundred bins, two a bar

// What a threshold keeps of two histograms over [0, 1]; its place is rounded to the nearest border of the bins.
export function kept(right, wrong, tau) {
  const from = Math.round(tau * right.length);
  const sum = (values, a) => values.slice(a).reduce((x, y) => x + y, 0);
  const [good, bad, total] = [sum(right, from), sum(wrong, from), sum(right, 0) + sum(wrong, 0)];
  return { good, bad, kept: good + bad, total, lost: sum(right, 0) - good };
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    runs = get("runs"),
    KEYS = ["tau", "moment", "run"];
  fromLink(root, model, KEYS);
  const moments = () => runs[Math.min(get("run"), runs.length - 1)].moments;
  const now = () => moments()[Math.min(get("moment"), moments().length - 1)];
  const bar = (values, k) => values[2 * k] + values[2 * k + 1];
  const log = (n) => Math.log10(1 + n);
  const every = runs.flatMap((run) => run.moments);
  const most = Math.max(...every.flatMap((m) => m.right.map((_, k) => (k < BARS ? log(bar(m.right, k)) : 0)))),
    deep = Math.max(log(9), ...every.flatMap((m) => m.wrong.map((_, k) => (k < BARS ? log(bar(m.wrong, k)) : 0))));
  const after = slider(model, "moment", {
    label: "After training step",
    min: 0,
    max: Math.max(...runs.map((r) => r.moments.length)) - 1,
    step: 1,
    format: () => now().step.toLocaleString("en"),
  });
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      after,
      slider(model, "tau", { label: "Threshold τ", min: 0, max: 0.99, step: 0.01 }),
      runs.length > 1 ? select(model, "run", { label: "Run", options: runs.map((run, k) => [k, run.name]) }) : null,
    ),
  );
  const sentence = () => {
    const r = kept(now().right, now().wrong, get("tau"));
    return (
      `After step ${now().step}, a threshold of ${fixed(get("tau"), 2)} keeps ${r.kept} of ${r.total} images ` +
      `(${percent(r.kept / r.total)}); ${r.bad} of them have a wrong pseudo-label (${percent(r.kept ? r.bad / r.kept : null, 1)}).`
    );
  };
  const picture = plot(root, 270, (svg, W, H) => {
    const left = 46,
      right = W - 10,
      top = 34,
      bottom = H - 40;
    const x = scale(0, 1, left, right),
      unit = (bottom - top) / (most + deep),
      zero = top + most * unit,
      tau = get("tau");
    const up = [1, 10, 100, 1000, 10000].filter((n) => log(n) <= most),
      down = [1, 10, 100, 1000].filter((n) => log(n) <= deep);
    svg.append(
      axes({
        x,
        y: (v) => zero - Math.sign(v) * log(Math.abs(v)) * unit,
        xTicks: [0, 0.2, 0.4, 0.6, 0.8, 1],
        yTicks: [...up.filter((n) => n > 1), 0, ...down.filter((n) => n > 1).map((n) => -n)],
        left,
        right,
        top,
        bottom,
        xLabel: "confidence",
        xFormat: (v) => fixed(v, 1),
        yFormat: (v) => Math.abs(v).toLocaleString("en"),
        yLabel: "images: right ↑, wrong ↓",
      }),
    );
    for (let k = 0; k < BARS; k++)
      for (const [values, sign, color] of [
        [now().right, 1, "kept"],
        [now().wrong, -1, "wrong"],
      ]) {
        const n = bar(values, k);
        if (!n) continue;
        const tall = log(n) * unit;
        cutBar(svg, {
          a: x(k / BARS) + 0.5,
          b: x((k + 1) / BARS) - 0.5,
          cut: x(tau),
          y: sign > 0 ? zero - tall : zero,
          tall,
          color,
        });
      }
    svg.append(s("line", { x1: left, x2: right, y1: zero, y2: zero, stroke: "var(--fm-ink)" }));
    thresholdLine(svg, { x: x(tau), tau, top, bottom, width: W });
    label(svg, `Histogram of confidences on a logarithmic scale. ${sentence()}`);
  });
  const out = numbers([
    ["kept", "kept"],
    ["wrong", "wrong among the kept", "fm-wrong"],
    ["lost", "right but dropped"],
    ["all", "right among all"],
  ]);
  root.append(
    out.list,
    key([
      ["kept", "kept and right", "bar"],
      ["wrong", "kept and wrong", "bar"],
      ["dropped", "dropped (hollow)", "hollow"],
    ]),
  );
  const refresh = foot(root, model, KEYS, () => ({
    caption: "What this threshold keeps through training",
    head: ["step", "kept", "wrong among kept", "right but dropped", "right among all"],
    rows: moments().map((m) => {
      const r = kept(m.right, m.wrong, get("tau"));
      return [
        m.step.toLocaleString("en"),
        `${r.kept} (${percent(r.kept / r.total)})`,
        `${r.bad} (${percent(r.kept ? r.bad / r.kept : null, 1)})`,
        r.lost,
        percent((r.good + r.lost) / r.total, 1),
      ];
    }),
  }));
  const update = () => {
    after.fit({ max: moments().length - 1 });
    const r = kept(now().right, now().wrong, get("tau"));
    out.set({
      kept: `${r.kept} of ${r.total} (${percent(r.kept / r.total)})`,
      wrong: `${r.bad} (${percent(r.kept ? r.bad / r.kept : null, 1)})`,
      lost: String(r.lost),
      all: percent((r.good + r.lost) / r.total, 1),
    });
    picture.redraw();
    refresh();
  };
  for (const name of KEYS) model.on(`change:${name}`, update);
  update();
}

export default { render };
