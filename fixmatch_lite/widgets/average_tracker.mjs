// A number on its way through a training, and the moving average that follows it: how smooth, how late, how much of the
// start is left.
import { start, slider, h, s, percent, fixed, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, axes, scale, key, line } from "./picture.mjs";

// average <- decay * average + (1 - decay) * value, from the first value on.
export function follow(values, decay) {
  let average = values[0];
  return values.map((value) => (average = decay * average + (1 - decay) * value));
}

// Root mean square of the change from one step to the next.
export const jitter = (values) =>
  Math.sqrt(values.slice(1).reduce((sum, v, k) => sum + (v - values[k]) ** 2, 0) / (values.length - 1));

export function measure(values, decay) {
  const average = follow(values, decay),
    n = values.length;
  return {
    average,
    memory: 1 / (1 - decay),
    left: decay ** n,
    smoother: jitter(average) > 0 ? jitter(values) / jitter(average) : null,
  };
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    values = get("values"),
    decays = get("decays");
  fromLink(root, model, ["decay"]);
  root.append(
    h("div", { class: "fm-controls" }, slider(model, "decay", { label: "Decay of the average", values: decays, format: (v) => String(v) })),
  );
  const low = Math.min(...values),
    high = Math.max(...values);
  const picture = plot(root, 260, (svg, W, H) => {
    const left = 48,
      right = W - 10,
      top = 30,
      bottom = H - 40,
      n = values.length;
    const x = scale(1, n, left, right),
      y = scale(low, high, bottom, top),
      found = measure(values, get("decay"));
    svg.append(
      axes({
        x,
        y,
        xTicks: [1, 0.25 * n, 0.5 * n, 0.75 * n, n].map(Math.round),
        yTicks: [low, (low + high) / 2, high],
        left,
        right,
        top,
        bottom,
        xLabel: "step",
        yLabel: get("name"),
        yFormat: (v) => fixed(v, 2),
      }),
    );
    const path = (points) => line(points.map((v, k) => [x(k + 1), y(v)]));
    svg.append(
      s("path", { d: path(values), fill: "none", stroke: "var(--fm-labeled)", "stroke-width": 1.2 }),
      s("path", { d: path(found.average), fill: "none", stroke: "var(--fm-accuracy)", "stroke-width": 2.6 }),
    );
    label(svg, `${get("name")} over ${n} steps and its moving average of decay ${get("decay")}, which remembers about ${Math.round(found.memory)} steps.`);
  });
  const out = numbers([
    ["memory", "remembers about"],
    ["smoother", "step-to-step changes smaller by"],
    ["left", "share of the start left"],
  ]);
  const told = (decay) => {
    const found = measure(values, decay);
    return {
      memory: `${fixed(found.memory, found.memory < 10 ? 1 : 0)} steps`,
      smoother: found.smoother === null ? "–" : `${fixed(found.smoother, 1)} times`,
      left: percent(found.left, 1),
    };
  };
  root.append(
    out.list,
    key([
      ["labeled", "thin line: the number itself", "line"],
      ["accuracy", "thick line: its moving average", "thick"],
    ]),
  );
  const refresh = foot(root, model, ["decay"], () => ({
    caption: "Every decay",
    head: ["decay", "remembers", "smoother by", "share of the start left"],
    rows: decays.map((d) => [String(d), ...Object.values(told(d))]),
  }));
  const update = () => {
    out.set(told(get("decay")));
    picture.redraw();
    refresh();
  };
  model.on("change:decay", update);
  update();
}

export default { render };
