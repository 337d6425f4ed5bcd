// What a bigger mu buys and costs: accuracy by images through the net, and where a budget cuts each run off.
import { start, slider, h, s, percent, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, axes, scale, line, nice, shareTicks } from "./picture.mjs";

// At a budget of images: steps done, the accuracy at the last evaluation by then, labeled images seen.
export function bought(curve, budget) {
  const { steps, accuracy, images, labeled } = curve,
    done = Math.min(steps[steps.length - 1], Math.floor(budget / images)),
    count = steps.filter((step) => step <= done).length;
  return { done, accuracy: count ? accuracy[count - 1] : null, labeled: done * labeled };
}

const whole = (v) => String(v).replace(/\B(?=(\d{3})+$)/g, ",");

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    mus = get("mus"),
    curves = get("curves");
  fromLink(root, model, ["mu", "budget"]);
  if (!mus.includes(get("mu"))) model.set("mu", mus[mus.length - 1]);
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      slider(model, "mu", { label: "μ", values: mus, format: String }),
      slider(model, "budget", { label: "Budget, images through the net", values: get("budgets"), format: whole }),
    ),
  );
  const end = (curve) => curve.steps[curve.steps.length - 1] * curve.images,
    most = Math.max(...mus.map((mu) => end(curves[mu]))),
    least = Math.floor(10 * Math.min(...mus.map((mu) => curves[mu].accuracy[Math.min(4, curves[mu].accuracy.length - 1)]))) / 10;
  const picture = plot(root, 280, (svg, W, H) => {
    const left = 48,
      right = W - 12,
      top = 30,
      bottom = H - 42,
      x = scale(0, most, left, right),
      y = scale(least, 1, bottom, top),
      gap = nice(most),
      xTicks = [];
    for (let t = 0; t <= most; t += gap) xTicks.push(t);
    svg.append(
      axes({
        x,
        y,
        xTicks,
        yTicks: shareTicks(least, 5),
        left,
        right,
        top,
        bottom,
        xLabel: "thousand images through the net",
        yLabel: "test accuracy",
        xFormat: (v) => whole(v / 1000),
        yFormat: (v) => percent(v),
      }),
    );
    for (const mu of [...mus.filter((m) => m !== get("mu")), get("mu")]) {
      const curve = curves[mu],
        mine = mu === get("mu"),
        points = curve.steps.map((step, k) => [x(step * curve.images), curve.accuracy[k] < least ? null : y(curve.accuracy[k])]),
        last = points[points.length - 1];
      svg.append(
        s("path", {
          d: line(points),
          fill: "none",
          stroke: mine ? "var(--fm-accuracy)" : "var(--fm-dropped)",
          "stroke-width": mine ? 2.8 : 1.2,
        }),
        // to the left of where the curve ends: at its right the others go on
        s("text", { x: last[0] - 5, y: last[1] - 8, "text-anchor": "end", class: "fm-halo", text: `μ ${mu}` }),
      );
    }
    const at = x(get("budget"));
    svg.append(s("line", { x1: at, x2: at, y1: top, y2: bottom, stroke: "var(--fm-ink)", "stroke-width": 1.6, "stroke-dasharray": "5 3" }));
    const found = bought(curves[get("mu")], get("budget"));
    label(
      svg,
      `Test accuracy against images through the net, a curve per mu. With ${whole(get("budget"))} images mu ${get("mu")} does ${whole(found.done)} steps and reaches ${percent(found.accuracy, 1)}.`,
    );
  });
  const out = numbers([
    ["images", "images a step"],
    ["done", "steps done"],
    ["labeled", "labeled images seen"],
    ["accuracy", "accuracy by then"],
  ]);
  root.append(out.list);
  const refresh = foot(root, model, ["mu", "budget"], () => ({
    caption: `Every mu with ${whole(get("budget"))} images through the net`,
    head: ["mu", "images a step", "steps done", "labeled images seen", "accuracy by then"],
    rows: mus.map((mu) => {
      const found = bought(curves[mu], get("budget"));
      return [String(mu), whole(curves[mu].images), whole(found.done), whole(found.labeled), percent(found.accuracy, 1)];
    }),
  }));
  const update = () => {
    const curve = curves[get("mu")],
      found = bought(curve, get("budget"));
    out.set({
      images: whole(curve.images),
      done: `${whole(found.done)} of ${whole(curve.steps[curve.steps.length - 1])}`,
      labeled: whole(found.labeled),
      accuracy: percent(found.accuracy, 1),
    });
    picture.redraw();
    refresh();
  };
  model.on("change:mu", update);
  model.on("change:budget", update);
  update();
}

export default { render };
