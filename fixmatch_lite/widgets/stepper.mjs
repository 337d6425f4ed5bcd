// Recorded rounds of self-training. Height is the probability the classifier gives to the second class, so that the
// boundary (one half), the confidence and the threshold stand in one picture.
import { start, h, s, put, numbers, button, foot, fromLink, fixed, percent, slider, select } from "./kit.mjs";
import { plot, axes, scale, mark, key, label } from "./picture.mjs";

// What stands in one round: the status of every student and the counts.
export function judge(history, run, round) {
  const r = run.rounds[round];
  const status = history.hours.map((_, i) =>
    history.labeled[i]
      ? "labeled"
      : r.pseudo_label[i] === null
        ? "dropped"
        : r.pseudo_label[i] === history.true[i]
          ? "kept"
          : "wrong",
  );
  const count = (name) => status.filter((t) => t === name).length;
  const free = status.map((t, i) => i).filter((i) => !history.labeled[i]);
  return {
    status,
    kept: count("kept") + count("wrong"),
    wrong: count("wrong"),
    unlabeled: free.length,
    right: free.filter((i) => r.prediction[i] === history.true[i]).length,
    boundary: r.boundary,
  };
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    history = get("history"),
    [no, yes] = history.class_names;
  const keys = ["flip", "tau", "round"];
  fromLink(root, model, keys);
  const run = () => history.runs.find((r) => r.flip === get("flip") && r.tau === get("tau")) || history.runs[0];
  const last = () => run().rounds.length - 1;
  const now = () => Math.min(get("round"), last());
  const out = numbers([
    ["round", "round"],
    ["kept", "pseudo-labels kept"],
    ["wrong", "wrong among them", "fm-wrong"],
    ["boundary", "boundary at"],
    ["right", "unlabeled students predicted right", "fm-accuracy"],
  ]);
  const rounds = slider(model, "round", {
    label: "Round",
    min: 0,
    max: 1,
    step: 1,
    format: (v) => `${Math.min(v, last())} of ${last()}`,
  });
  const controls = h("div", { class: "fm-controls" }, rounds);
  if (history.taus.length > 1) controls.append(slider(model, "tau", { label: "Threshold τ", values: history.taus }));
  if (history.flips.length > 1)
    controls.append(select(model, "flip", { label: "Given labels", options: history.flips.map((text, k) => [k, text]) }));
  root.append(controls);
  const back = button("Back", () => put(model, "round", now() - 1)),
    next = button("Next round", () => put(model, "round", now() + 1), { class: "fm-main" });
  const turn = h("div", { class: "fm-buttons" }, back, next);
  const lo = Math.floor(Math.min(...history.hours)),
    hi = Math.ceil(Math.max(...history.hours) * 1.02);

  const picture = plot(
    root,
    (w) => (w < 480 ? 300 : 320),
    (svg, W, H) => {
      const left = 44,
        right = W - 10,
        top = 28,
        bottom = H - 42,
        x = scale(lo, hi, left, right),
        y = scale(0, 1, bottom, top);
      const r = run().rounds[now()],
        j = judge(history, run(), now()),
        tau = get("tau");
      const marks = [];
      for (let t = lo; t <= hi; t += Math.max(1, Math.round((hi - lo) / 8))) marks.push(t);
      // The bands in which a prediction is sure enough to be kept.
      svg.append(
        s("rect", { x: left, y: y(1), width: right - left, height: y(tau) - y(1), fill: "var(--fm-kept)", opacity: 0.13 }),
        s("rect", {
          x: left,
          y: y(1 - tau),
          width: right - left,
          height: y(0) - y(1 - tau),
          fill: "var(--fm-kept)",
          opacity: 0.13,
        }),
        axes({
          x,
          y,
          xTicks: marks,
          yTicks: [0, 0.5, 1],
          left,
          right,
          top,
          bottom,
          xLabel: history.x_label,
          yLabel: `probability of “${yes}”`,
          yFormat: (v) => fixed(v, 1),
        }),
        s("text", { x: left + 6, y: y(1) + 15, class: "fm-muted", text: `sure: ${yes}` }),
        s("text", { x: right - 6, y: y(0) - 6, "text-anchor": "end", class: "fm-muted", text: `sure: ${no}` }),
      );
      for (const [t, text] of [
        [tau, "τ"],
        [1 - tau, "1 − τ"],
      ])
        svg.append(
          s("line", { x1: left, x2: right, y1: y(t), y2: y(t), stroke: "var(--fm-ink)", "stroke-dasharray": "5 3" }),
          s("text", {
            x: t === tau ? right : left + 6,
            y: t === tau ? y(t) + 15 : y(t) - 5,
            "text-anchor": t === tau ? "end" : "start",
            text,
          }),
        );
      const inside = (b) => b >= lo && b <= hi;
      run()
        .rounds.slice(0, now())
        .forEach((old) =>
          old.boundary
            .filter(inside)
            .forEach((b) =>
              svg.append(s("line", { x1: x(b), x2: x(b), y1: top, y2: bottom, stroke: "var(--fm-edge)", opacity: 0.45 })),
            ),
        );
      r.boundary
        .filter(inside)
        .forEach((b) =>
          svg.append(s("line", { x1: x(b), x2: x(b), y1: top, y2: bottom, stroke: "var(--fm-accuracy)", "stroke-width": 2.4 })),
        );
      history.hours.forEach((v, i) => {
        const p = r.prediction[i] === 1 ? r.confidence[i] : 1 - r.confidence[i];
        svg.append(mark(j.status[i], x(v), y(p), j.status[i] === "dropped" ? 7 : 6));
        if (history.labeled[i] && run().given[i] !== history.true[i])
          svg.append(
            s("circle", { cx: x(v), cy: y(p), r: 10, fill: "none", stroke: "var(--fm-wrong)", "stroke-width": 2 }),
            mark("wrong", x(v), y(p), 5),
          );
      });
      label(
        svg,
        `Round ${now()} of ${last()} at threshold ${fixed(tau, 2)}: ${j.kept} of ${j.unlabeled} unlabeled students carry a pseudo-label, ${j.wrong} of these are wrong; boundary at ${j.boundary.map((b) => fixed(b, 2)).join(", ") || "no place"}; ${j.right} of ${j.unlabeled} predicted right.`,
      );
    },
  );
  root.append(
    turn,
    out.list,
    key([
      ["labeled", "labeled"],
      ["kept", "kept, right"],
      ["wrong", "kept, wrong"],
      ["dropped", "dropped"],
      ["accuracy", "the boundary (thin: in earlier rounds)", "upright"],
    ]),
  );
  const refresh = foot(root, model, keys, () => {
    const r = run().rounds[now()],
      j = judge(history, run(), now());
    return {
      caption: "All students in this round",
      head: [history.x_label, "true", "predicted", "confidence", "status"],
      rows: [...history.hours.keys()]
        .sort((a, b) => history.hours[a] - history.hours[b])
        .map((i) => [
          fixed(history.hours[i], 1),
          history.class_names[history.true[i]],
          history.class_names[r.prediction[i]],
          fixed(r.confidence[i], 3),
          j.status[i] === "labeled"
            ? `labeled ${history.class_names[run().given[i]]}`
            : j.status[i] === "wrong"
              ? "kept, wrong"
              : j.status[i],
        ]),
    };
  });
  const update = () => {
    rounds.fit({ max: last(), disabled: last() === 0 });
    const held = document.activeElement; // a button that is switched off would lose the focus
    back.disabled = now() === 0;
    next.disabled = now() === last();
    if (held === next && next.disabled) back.focus();
    if (held === back && back.disabled) next.focus();
    const j = judge(history, run(), now());
    out.set({
      round: `${now()} of ${last()}`,
      kept: `${j.kept} of ${j.unlabeled}`,
      wrong: j.kept ? `${j.wrong} (${percent(j.wrong / j.kept)})` : "–",
      boundary: j.boundary.map((b) => fixed(b, 2)).join(", ") || "nowhere",
      right: `${j.right} of ${j.unlabeled}`,
    });
    picture.redraw();
    refresh();
  };
  for (const k of keys) model.on(`change:${k}`, update);
  update();
}

export default { render };
