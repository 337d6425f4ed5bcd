// How often a model that says it is 70 % sure is right: stated confidence against measured accuracy, bin by bin, with a
// temperature that makes all confidences larger or smaller, and what a threshold then keeps.
import { start, slider, select, h, s, percent, fixed, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, axes, scale, key, thresholdLine, shareTicks } from "./picture.mjs";

// softmax(logits / T): the largest probability, and its class (the first one in a tie).
export function judge(logits, temperature) {
  let best = 0;
  logits.forEach((z, c) => {
    if (z > logits[best]) best = c;
  });
  const sum = logits.reduce((total, z) => total + Math.exp((z - logits[best]) / temperature), 0);
  return { confidence: 1 / sum, prediction: best };
}

// Examples grouped by confidence into bins of equal width, and the gap between what is said and what happens: the
// expected calibration error, the mean over all examples of |accuracy - confidence| of their bin.
export function reliability(logits, y, temperature, tau, bins) {
  const groups = Array.from({ length: bins }, () => ({ n: 0, right: 0, said: 0 }));
  let right = 0,
    said = 0,
    kept = 0,
    wrong = 0;
  logits.forEach((row, i) => {
    const { confidence, prediction } = judge(row, temperature),
      ok = prediction === y[i],
      group = groups[Math.min(bins - 1, Math.floor(confidence * bins))];
    group.n++;
    group.said += confidence;
    said += confidence;
    if (ok) {
      group.right++;
      right++;
    }
    if (confidence >= tau) {
      kept++;
      if (!ok) wrong++;
    }
  });
  const n = y.length,
    gap = groups.reduce((total, g) => total + Math.abs(g.right - g.said), 0) / n;
  return { groups, n, accuracy: right / n, said: said / n, gap, kept, wrong };
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k);
  const names = get("names"),
    y = get("y"),
    bins = get("bins"),
    moved = ["model", "temperature", "tau"];
  fromLink(root, model, moved);
  const measure = (temperature = get("temperature")) =>
    reliability(get("logits")[get("model")], y, temperature, get("tau"), bins);

  root.append(
    h(
      "div",
      { class: "fm-controls" },
      names.length > 1 ? select(model, "model", { label: "Model", options: names.map((name, k) => [k, name]) }) : null,
      slider(model, "temperature", { label: "Temperature T", values: get("temperatures") }),
      slider(model, "tau", { label: "Threshold τ" }),
    ),
  );
  const picture = plot(root, (width) => Math.min(340, Math.max(250, width * 0.6)), (svg, W, H) => {
    const left = 44,
      right = W - 12,
      top = 52,
      bottom = H - 40;
    const x = scale(0, 1, left, right),
      py = scale(0, 1, bottom, top),
      found = measure(),
      most = Math.max(...found.groups.map((g) => g.n));
    svg.append(
      axes({
        x,
        y: py,
        xTicks: shareTicks(0, W > 420 ? 10 : 5),
        yTicks: shareTicks(0, 5),
        left,
        right,
        top,
        bottom,
        xLabel: "confidence stated",
        xFormat: (v) => fixed(v, 1),
        yLabel: "share that is right",
        yFormat: (v) => percent(v),
      }),
      s("line", { x1: x(0), y1: py(0), x2: x(1), y2: py(1), stroke: "var(--fm-edge)", "stroke-dasharray": "2 4", "stroke-width": 1.5 }),
    );
    for (const g of found.groups.filter((g) => g.n)) {
      const said = g.said / g.n,
        at = { cx: x(said), cy: py(g.right / g.n), r: 3 + 13 * Math.sqrt(g.n / most) },
        above = said >= get("tau");
      svg.append(
        s("line", { x1: at.cx, x2: at.cx, y1: py(said), y2: at.cy, stroke: "var(--fm-wrong)", "stroke-width": 2 }),
        s("circle", {
          ...at,
          fill: above ? "var(--fm-kept)" : "var(--fm-card)",
          "fill-opacity": 0.85,
          stroke: above ? "var(--fm-kept)" : "var(--fm-dropped)",
          "stroke-width": 2,
        }),
      );
    }
    thresholdLine(svg, { x: x(get("tau")), tau: get("tau"), top: top - 16, bottom, width: W }); // above the circles
    label(
      svg,
      `Reliability diagram of ${found.n} examples. ${names[get("model")]}: right ${percent(found.accuracy, 1)}, ` +
        `mean confidence ${percent(found.said, 1)}, mean gap ${fixed(100 * found.gap, 1)} points.`,
    );
  });
  const out = numbers([
    ["accuracy", "right", "fm-accuracy"],
    ["said", "mean confidence"],
    ["gap", "mean gap (points)"],
    ["kept", "kept at τ"],
    ["wrong", "wrong among the kept", "fm-wrong"],
  ]);
  root.append(
    out.list,
    key([
      ["kept", "filled: at or above τ", "circle"],
      ["dropped", "hollow: below τ; a larger circle holds more examples"],
      ["wrong", "stroke: distance from the diagonal, where confidence equals accuracy", "upright"],
    ]),
  );
  const ofKept = (found) => `${found.wrong} (${percent(found.kept ? found.wrong / found.kept : null, 1)})`;
  const refresh = foot(root, model, moved, () => ({
    caption: "The same model at other temperatures",
    head: ["T", "right", "mean confidence", "mean gap", "kept at τ", "wrong among kept"],
    rows: get("temperatures")
      .filter((t, k) => k % 4 === 0 || t === get("temperature"))
      .map((t) => {
        const f = measure(t);
        return [fixed(t, 2), percent(f.accuracy, 1), percent(f.said, 1), fixed(100 * f.gap, 1), `${f.kept} of ${f.n}`, ofKept(f)];
      }),
  }));
  const update = () => {
    const found = measure();
    out.set({
      accuracy: percent(found.accuracy, 1),
      said: percent(found.said, 1),
      gap: fixed(100 * found.gap, 1),
      kept: `${found.kept} of ${found.n}`,
      wrong: ofKept(found),
    });
    picture.redraw();
    refresh();
  };
  for (const name of moved) model.on(`change:${name}`, update);
  update();
}

export default { render };
