// How sure the classifier is of each example, the right answers above the line and the wrong ones below it, and
// what a threshold on that confidence keeps.
import { start, slider, s, percent, fixed, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, axes, scale, key, nice, cutBar, thresholdLine } from "./picture.mjs";

const LEFT = 44,
  RIGHT = 10; // margins of the picture

// What tau keeps. An example whose confidence equals tau is kept, as in the paper.
export function keep(confidence, correct, tau) {
  let kept = 0,
    wrong = 0,
    lost = 0;
  confidence.forEach((c, i) => {
    if (c >= tau) {
      kept++;
      if (correct && !correct[i]) wrong++;
    } else if (correct && correct[i]) lost++;
  });
  return { kept, wrong, lost, total: confidence.length };
}

export function histogram(confidence, correct, low, bins) {
  const up = Array(bins).fill(0),
    down = Array(bins).fill(0);
  confidence.forEach((c, i) => {
    const k = Math.min(bins - 1, Math.max(0, Math.floor(((c - low) / (1 - low)) * bins + 1e-9)));
    (!correct || correct[i] ? up : down)[k]++;
  });
  return { up, down };
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k);
  const confidence = get("confidence"),
    correct = get("correct"),
    noun = get("noun"),
    bins = get("bins"),
    low = get("low");
  fromLink(root, model, ["tau"]);
  const entries = [["kept", "kept"]];
  if (correct) entries.push(["wrong", "wrong among the kept", "fm-wrong"], ["lost", "right but dropped"]);
  const out = numbers(entries);
  const { up, down } = histogram(confidence, correct, low, bins);
  const most = Math.max(...up),
    deep = correct ? Math.max(1, ...down) : 0;

  const control = slider(model, "tau", { label: "Threshold τ on the confidence", min: low, max: 1, step: 0.01 });
  control.style.maxWidth = "none";
  // The slider's thumb (20 px wide) runs exactly above the picture's axis.
  Object.assign(control.querySelector("input").style, {
    marginLeft: `${LEFT - 10}px`,
    width: `calc(100% - ${LEFT + RIGHT - 20}px)`,
  });
  root.append(control);
  const picture = plot(root, correct ? 280 : 230, (svg, W, H) => {
    const tau = get("tau"),
      left = LEFT,
      right = W - RIGHT,
      top = 36,
      bottom = H - 40;
    const x = scale(low, 1, left, right);
    // One scale for both directions; a single wrong answer must stay visible.
    const share = correct ? Math.min(0.75, Math.max(0.5, most / (most + deep))) : 1;
    const zero = top + (bottom - top) * share,
      unit = Math.min((zero - top) / most, deep ? (bottom - zero) / deep : Infinity);
    const every = nice(most);
    const ticks = [];
    for (let t = every; t <= most; t += every) ticks.push(t);
    svg.append(
      axes({
        x,
        y: (v) => zero - v * unit,
        xTicks: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].filter(
          (t) => t >= low - 1e-9 && (W > 420 || Math.round(t * 10) % 2 === 0),
        ),
        yTicks: [0, ...ticks],
        left,
        right,
        top,
        bottom,
        xLabel: "confidence",
        xFormat: (v) => fixed(v, 1),
        yLabel: correct ? `${noun}: right ↑, wrong ↓` : noun,
      }),
    );
    const bar = (k, n, sign, color) => {
      const a = x(low + ((1 - low) * k) / bins) + 1,
        b = x(low + ((1 - low) * (k + 1)) / bins) - 1;
      const tall = Math.max(2, n * unit);
      cutBar(svg, { a, b, cut: x(tau), y: sign > 0 ? zero - tall : zero, tall, color });
      if (tau < 1 || k < bins - 1) return;
      // At a threshold of 1 those are kept who are at 1 exactly: a colored part of the last bar, which has no width beyond the cut.
      const kept = confidence.filter((c, i) => c >= 1 && sign > 0 === (!correct || Boolean(correct[i]))).length,
        foot = kept && Math.max(2, kept * unit);
      svg.append(s("rect", { x: a, y: sign > 0 ? zero - foot : zero, width: b - a, height: foot, fill: `var(--fm-${color})` }));
    };
    up.forEach((n, k) => n && bar(k, n, 1, "kept"));
    down.forEach((n, k) => n && bar(k, n, -1, "wrong"));
    svg.append(s("line", { x1: left, x2: right, y1: zero, y2: zero, stroke: "var(--fm-ink)" }));
    thresholdLine(svg, { x: x(tau), tau, top, bottom, width: W });
    label(svg, `Histogram of ${confidence.length} confidences. ${sentence()}`);
  });
  function sentence() {
    const r = keep(confidence, correct, get("tau"));
    return (
      `At threshold ${fixed(get("tau"), 2)}, ${r.kept} of ${r.total} ${noun} are kept (${percent(r.kept / r.total)})` +
      (correct ? `; ${r.wrong} of the kept are wrong (${percent(r.kept ? r.wrong / r.kept : null, 1)}).` : ".")
    );
  }
  root.append(out.list);
  root.append(
    key(
      correct
        ? [
            ["kept", "kept and right", "bar"],
            ["wrong", "kept and wrong", "bar"],
            ["dropped", "dropped (hollow)", "hollow"],
          ]
        : [
            ["kept", "kept", "bar"],
            ["dropped", "dropped (hollow)", "hollow"],
          ],
    ),
  );
  const refresh = foot(root, model, ["tau"], () => ({
    caption: "What each threshold keeps",
    head: ["τ", "kept", ...(correct ? ["wrong among kept", "right but dropped"] : [])],
    rows: [...new Set([low, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, get("tau")])]
      .filter((t) => t >= low)
      .sort((a, b) => a - b)
      .map((t) => {
        const r = keep(confidence, correct, t);
        return [
          fixed(t, 2),
          `${r.kept} (${percent(r.kept / r.total)})`,
          ...(correct ? [`${r.wrong} (${percent(r.kept ? r.wrong / r.kept : null, 1)})`, r.lost] : []),
        ];
      }),
  }));
  const update = () => {
    const r = keep(confidence, correct, get("tau"));
    out.set({
      kept: `${r.kept} of ${r.total} (${percent(r.kept / r.total)})`,
      ...(correct ? { wrong: `${r.wrong} (${percent(r.kept ? r.wrong / r.kept : null, 1)})`, lost: `${r.lost}` } : {}),
    });
    picture.redraw();
    refresh();
  };
  model.on("change:tau", update);
  update();
}

export default { render };
