// The contrastive loss of one view: its partner and two groups of strangers by their cosines, what the softmax gives to
// each, and how hard the loss pulls or pushes.
import { start, h, s, slider, fixed, percent, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, mark, key } from "./picture.mjs";

// groups: [{ count, cosine }], the partner first. Of each group: the probability of one member, of all, and the slope of
// the loss by the cosine of one member.
export function contrast(groups, T) {
  const most = Math.max(...groups.map((g) => g.cosine)),
    e = groups.map((g) => Math.exp((g.cosine - most) / T)),
    sum = groups.reduce((a, g, k) => a + g.count * e[k], 0);
  const each = groups.map((g, k) => ({ p: e[k] / sum, all: (g.count * e[k]) / sum, slope: (e[k] / sum - (k ? 0 : 1)) / T }));
  return { loss: Math.log(sum) - (groups[0].cosine - most) / T, each };
}
const KINDS = ["kept", "wrong", "dropped"],
  LINKED = ["partner", "own", "others", "T"],
  force = (v) => (v < 0.00005 ? "< 0.0001" : fixed(v, v < 0.1 ? 4 : 2));

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    [inClass, rest] = get("counts");
  fromLink(root, model, LINKED);
  const names = ["its partner", `${inClass} strangers of its own class`, `${rest} strangers of other classes`];
  const groups = () => [
    { count: 1, cosine: get("partner") },
    { count: inClass, cosine: get("own") },
    { count: rest, cosine: get("others") },
  ];
  const result = () => contrast(groups(), get("T"));
  const cosine = { min: -1, max: 1, step: 0.05 };
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      slider(model, "partner", { label: "Cosine with its partner", ...cosine }),
      slider(model, "own", { label: "With strangers of its class", ...cosine }),
      slider(model, "others", { label: "With strangers of other classes", ...cosine }),
      slider(model, "T", { label: "Temperature T", min: 0.05, max: 1, step: 0.05 }),
    ),
  );
  const told = ({ each }) => names.map((name, k) => `${name}: cosine ${fixed(groups()[k].cosine)}, ${percent(each[k].all, 1)}`).join("; ");
  // Half a disk: the view lies at the right end, and whoever has the cosine c with it at the angle arccos(c).
  const disk = plot(
    root,
    (W) => Math.min(230, W / 2),
    (svg, W, H) => {
      const found = result(),
        R = H - 46,
        x0 = W / 2,
        y0 = H - 20,
        at = (angle, r) => [x0 + r * Math.cos(angle), y0 - r * Math.sin(angle)];
      // An arrow's angle is its group's part of the pull, by one factor for all, and ends where the half disk ends.
      const angles = groups().map((g) => Math.acos(g.cosine)),
        parts = groups().map((g, k) => (g.count * found.each[k].slope) / -found.each[0].slope);
      svg.append(
        s("path", { d: `M${x0 - R} ${y0} A${R} ${R} 0 0 1 ${x0 + R} ${y0}`, fill: "none", stroke: "var(--fm-edge)" }),
        s("line", { x1: x0 - R, x2: x0 + R, y1: y0, y2: y0, stroke: "var(--fm-line)" }),
        s("text", { x: x0, y: y0 + 16, "text-anchor": "middle", class: "fm-muted", text: "cosine −1 (left) to 1 (right)" }),
        mark("accuracy", x0 + R, y0, 7),
        s("text", { x: x0 + R - 12, y: y0 - 6, "text-anchor": "end", class: "fm-halo", text: "the view" }),
      );
      groups().forEach((g, k) => {
        const angle = angles[k],
          r = R - 14 * k,
          to = Math.min(Math.PI, Math.max(0, angle + 0.6 * parts[k]));
        const color = `var(--fm-${KINDS[k]})`,
          [x, y] = at(angle, r),
          [x1, y1] = at(to, r);
        svg.append(s("line", { x1: x0, y1: y0, x2: x, y2: y, stroke: color, "stroke-width": 0.8, opacity: 0.5 }));
        if (Math.abs(to - angle) > 0.02) {
          svg.append(s("path", { d: `M${x} ${y} A${r} ${r} 0 0 ${to > angle ? 0 : 1} ${x1} ${y1}`, fill: "none", stroke: color, "stroke-width": 3 }));
          const tip = to > angle ? -1 : 1,
            wing = (a, d) => at(to + tip * 0.09, r + d).map((v) => v.toFixed(1)).join(" ");
          svg.append(s("path", { d: `M${wing(0, -6)} L${x1.toFixed(1)} ${y1.toFixed(1)} L${wing(0, 6)}`, fill: "none", stroke: color, "stroke-width": 3 }));
        }
        svg.append(mark(KINDS[k], x, y, 7));
      });
      label(svg, `The candidates by their cosine with the view, and each group's share of the softmax. ${told(found)}. Loss ${fixed(found.loss)}.`);
    },
  );
  root.append(key(KINDS.map((kind, k) => [kind, names[k]])));
  const bars = plot(root, 96, (svg, W) => {
    const found = result();
    found.each.forEach(({ all }, k) => {
      const y = 6 + 30 * k,
        wide = Math.max(1, (W - 76) * all);
      svg.append(
        s("rect", { x: 0, y, width: W - 76, height: 20, fill: "none", stroke: "var(--fm-line)" }),
        s("rect", { x: 0, y, width: wide, height: 20, fill: `var(--fm-${KINDS[k]})`, opacity: 0.85 }),
        s("text", { x: W - 68, y: y + 15, text: percent(all, 1) }),
      );
    });
    label(svg, `Shares of the softmax. ${told(found)}.`);
  });
  const out = numbers([
    ["loss", "loss of this view", "fm-accuracy"],
    ["pull", "pull on its partner", "fm-kept"],
    ["own", "push on each stranger of its class", "fm-wrong"],
    ["others", "push on each other stranger"],
  ]);
  root.append(
    out.list,
    h("p", {
      class: "fm-note",
      text: "Bars: each group's share of the softmax. Pull and push: the slope of the loss for one cosine. An arrow's length shows its group's part of the pull, as far as the scale goes.",
    }),
  );
  const refresh = foot(root, model, LINKED, () => {
    const { each } = result();
    return {
      caption: "The candidates",
      head: ["group", "cosine", "probability of one", "of the group", "slope of the loss for one", "for the group"],
      rows: groups().map((g, k) => [names[k], fixed(g.cosine), each[k].p.toPrecision(3), percent(each[k].all, 1), each[k].slope.toPrecision(3), fixed(g.count * each[k].slope, 3)]),
    };
  });
  const update = () => {
    const { loss, each } = result();
    out.set({ loss: fixed(loss, 3), pull: force(-each[0].slope), own: force(each[1].slope), others: force(each[2].slope) });
    disk.redraw();
    bars.redraw();
    refresh();
  };
  for (const k of LINKED) model.on(`change:${k}`, update);
  update();
}

export default { render };
