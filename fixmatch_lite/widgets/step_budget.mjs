// A training step in parts. One part gets faster; the rest stays, and the whole gains less than one hopes.
import { start, select, slider, h, s, percent, fixed, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, scale } from "./picture.mjs";

// How many times faster the whole becomes if one part becomes `factor` times faster (Infinity: if it vanishes).
export function speedup(ms, part, factor) {
  const total = ms.reduce((a, b) => a + b, 0);
  return total / (total - ms[part] + ms[part] / factor);
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    names = get("names"),
    ms = get("ms"),
    total = ms.reduce((a, b) => a + b, 0);
  fromLink(root, model, ["part", "factor"]);
  if (!names.includes(get("part"))) model.set("part", names[0]);
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      select(model, "part", { label: "The part that gets faster", options: names.map((n) => [n, n]) }),
      slider(model, "factor", { label: "How many times faster", values: get("factors"), format: (v) => `${v} ×` }),
    ),
  );
  const chosen = () => names.indexOf(get("part"));
  const picture = plot(root, 150, (svg, W) => {
    const x = scale(0, total, 4, W - 4);
    for (const [row, caption] of ["now", "then"].entries()) {
      const top = 20 + 68 * row;
      let at = 0;
      svg.append(s("text", { x: 4, y: top - 6, text: caption }));
      for (const [k, t] of ms.entries()) {
        const mine = k === chosen(),
          width = row && mine ? t / get("factor") : t;
        svg.append(
          s("rect", {
            x: x(at),
            y: top,
            width: Math.max(0, x(at + width) - x(at) - 1),
            height: 36,
            fill: mine ? "var(--fm-kept)" : "none",
            stroke: mine ? "var(--fm-kept)" : "var(--fm-edge)",
          }),
        );
        const room = x(at + width) - x(at);
        if (room > 9 * names[k].length + 8)
          svg.append(s("text", { x: x(at) + room / 2, y: top + 23, "text-anchor": "middle", class: "fm-halo", text: names[k] }));
        at += width;
      }
    }
    const then = total / speedup(ms, chosen(), get("factor"));
    label(svg, `A step of ${fixed(total, 0)} milliseconds; with ${get("part")} ${get("factor")} times faster it takes ${fixed(then, 0)}.`);
  });
  const out = numbers([
    ["share", "share of this part"],
    ["then", "the step then takes"],
    ["faster", "speedup of the step"],
    ["most", "speedup at most"],
  ]);
  root.append(out.list);
  const refresh = foot(root, model, ["part", "factor"], () => ({
    caption: "Every part",
    head: ["part", "milliseconds", "share", `step if it is ${get("factor")} times faster`, "step if it vanishes"],
    rows: names.map((n, k) => [
      n,
      fixed(ms[k], 1),
      percent(ms[k] / total),
      `${fixed(speedup(ms, k, get("factor")), 2)} times faster`,
      `${fixed(speedup(ms, k, Infinity), 2)} times faster`,
    ]),
  }));
  const update = () => {
    const gain = speedup(ms, chosen(), get("factor"));
    out.set({
      share: percent(ms[chosen()] / total),
      then: `${fixed(total / gain, 0)} of ${fixed(total, 0)} ms`,
      faster: `${fixed(gain, 2)} times`,
      most: `${fixed(speedup(ms, chosen(), Infinity), 2)} times`,
    });
    picture.redraw();
    refresh();
  };
  model.on("change:part", update);
  model.on("change:factor", update);
  update();
}

export default { render };
