// The recorded runs: pick data, labels, one method or two, seeds; three curves against steps or minutes. Pointing at a
// curve, or a choice and the slider, reads out one evaluation. Values come in ten-thousandths, three characters each, base 36.
import { start, h, s, put, slider, select, median, percent, fixed, numbers, foot, fromLink, newId, KEYS } from "./kit.mjs";
import { plot, axes, scale, label, line, nice, pointIn, shareTicks } from "./picture.mjs";

const CURVES = [
  ["test_accuracy", "test accuracy", "accuracy"],
  ["mask_rate", "mask rate: share kept", "kept"],
  ["pseudo_label_accuracy", "pseudo-label accuracy of the kept", "labeled"],
];

// The numbers of the run-th of several, count of each: two characters hold thousandths, three ten-thousandths.
export const unpack = (text, count, run, runs) =>
  Array.from({ length: count }, (_, k) => {
    const width = text ? text.length / count / runs : 2,
      part = text ? text.slice(width * (run * count + k), width * (run * count + k + 1)) : "--";
    return part.startsWith("--") ? null : parseInt(part, 36) / (width === 2 ? 1000 : 10000);
  });

const STYLE = `
.fm-widget .fm-seeds { flex: 1 1 100%; } .fm-widget .fm-seeds button { min-width: 40px; padding: .2rem .5rem; }
.fm-widget .fm-read { min-height: 2.9em; font-size: .95em; } .fm-widget .fm-plot svg { touch-action: pan-y; }`;

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    unique = (values) => [...new Set(values)];
  const sets = get("sets").map((set) => ({
    ...set,
    runs: set.seeds.map((seed, k) => {
      const curve = (name) => unpack(set[name], set.steps.length, k, set.seeds.length);
      return {
        seed,
        name: set.prefix + set.names[k],
        final: set.finals[k],
        seconds: set.seconds[k],
        time: curve("time").map((v) => v * set.seconds[k]),
        ...Object.fromEntries(CURVES.map(([name]) => [name, curve(name)])),
      };
    }),
  }));
  const LINKED = ["data", "labels", "method", "other", "axis", "at", "hidden", "run"];
  root.append(h("style", { text: STYLE }));
  fromLink(root, model, LINKED);

  const find = (method) => sets.find((t) => t.data === get("data") && t.labels === get("labels") && t.method === method);
  const main = () => find(get("method")); // a link may name none
  const hidden = () => get("hidden").split(",").filter(Boolean);
  const shown = (set) => (set ? set.runs.filter((run) => !hidden().includes(String(run.seed))) : []);
  const both = () => unique([main(), find(get("other"))]).filter(Boolean);
  const visible = () => both().flatMap((set) => shown(set).map((run) => [set, run]));
  const chosen = () => visible().find(([, run]) => run.name === get("run")); // pointed at, or picked from the list
  const current = () => chosen() || [main(), shown(main())[0]];
  const minutes = () => get("axis") === "minutes";
  const where = (set, run, k) => (minutes() ? run.time[k] / 60 : set.steps[k]);

  const named = (values) => values.map((v) => [v, String(v)]),
    choice = (key, label, options) => select(model, key, { label, options });
  const labelsBox = choice("labels", "Labels"),
    methodBox = choice("method", "Method"),
    otherBox = choice("other", "Compare with (dashed)"),
    seeds = h("div", { class: "fm-buttons fm-seeds", role: "group", "aria-label": "Seeds shown" });
  const dataBox = choice("data", "Data", named(unique(sets.map((t) => t.data)))),
    axisBox = choice("axis", "Against", [["steps", "training steps"], ["minutes", "minutes"]]);
  root.append(h("div", { class: "fm-controls" }, dataBox, labelsBox, methodBox, otherBox, axisBox, seeds));
  // What can be chosen further right depends on what was chosen further left.
  const fill = () => {
    const here = sets.filter((t) => t.data === get("data")),
      labels = unique(here.map((t) => t.labels));
    if (!labels.includes(get("labels"))) model.set("labels", labels[0]);
    const methods = here.filter((t) => t.labels === get("labels")).map((t) => t.method);
    if (!methods.includes(get("method"))) model.set("method", methods.includes("fixmatch") ? "fixmatch" : methods[0]);
    if (get("other") && !methods.includes(get("other"))) model.set("other", "");
    labelsBox.fit(named(labels));
    methodBox.fit(named(methods));
    otherBox.fit([["", "none"], ...named(methods)]);
    const numbersOf = unique(both().flatMap((t) => t.runs.map((r) => r.seed))).sort((a, b) => a - b);
    seeds.replaceChildren(
      h("span", { class: "fm-note", text: "Seeds:" }),
      ...numbersOf.map((seed) =>
        h("button", {
          type: "button",
          ...KEYS,
          text: String(seed),
          "aria-pressed": String(!hidden().includes(String(seed))),
          "aria-label": `seed ${seed}`,
          onclick: (event) => {
            const out = new Set(hidden());
            if (!out.delete(String(seed))) out.add(String(seed));
            event.currentTarget.setAttribute("aria-pressed", String(!out.has(String(seed))));
            put(model, "hidden", [...out].sort().join(","));
          },
        }),
      ),
    );
  };

  const out = numbers([
    ["final", "test accuracy", "fm-accuracy"],
    ["range", "over the seeds"],
    ["other", "the other method"],
    ["time", "this run took"],
  ]);
  const read = h("p", { class: "fm-read", role: "status" }),
    runBox = choice("run", "Read out");
  const offer = () => {
    if (get("run") && !chosen()) model.set("run", "");
    runBox.fit([["", "the first"], ...visible().map(([set, r]) => [r.name, `${both().length > 1 ? `${set.method}, ` : ""}seed ${r.seed}`])]);
  };
  const longest = () => Math.max(...sets.map((t) => t.steps.length));
  const spot = (set) => Math.round((get("at") * (set.steps.length - 1)) / Math.max(1, longest() - 1));

  const plots = CURVES.map(([name, title, color], k) => {
    let scales = null;
    const made = plot(root, k ? 140 : 210, (svg, W, H) => {
      const some = visible(),
        [, picked] = chosen() || [];
      const left = 46,
        edge = W - 12,
        top = 30,
        bottom = H - (k === 2 ? 36 : 20);
      const end = Math.max(...some.map(([set, run]) => where(set, run, set.steps.length - 1)), minutes() ? 0.1 : 1);
      const atEnd = (run) => (k ? run[name][run[name].length - 1] : run.final / 10000);
      const ends = some.map(([, run]) => atEnd(run)).filter((v) => v !== null);
      const below = name === "mask_rate" || !ends.length ? 0 : Math.floor(10 * Math.min(...ends) - 0.8) / 10;
      const least = below < 0.4 ? 0 : below; // a curve that ends low began lower still
      const x = scale(0, end, left, edge),
        y = scale(least, 1, bottom, top);
      const mark = minutes() && end < 4 ? 10 ** Math.floor(Math.log10(end)) * (end / 10 ** Math.floor(Math.log10(end)) > 4 ? 2 : 1) : nice(end);
      const xs = [];
      for (let t = 0; t <= end * 1.0001; t += mark) xs.push(+t.toFixed(3));
      svg.append(
        axes({
          x,
          y,
          xTicks: xs,
          yTicks: shareTicks(least, k ? 2.5 : 4.5),
          left, right: edge, top, bottom,
          yLabel: title,
          xLabel: k === 2 ? (minutes() ? "minutes of training" : "training step") : null,
          yFormat: (v) => percent(v),
          xFormat: k === 2 ? (v) => v.toLocaleString("en") : () => "",
        }),
      );
      const clip = newId();
      svg.append(s("clipPath", { id: clip }, s("rect", { x: left, y: top - 3, width: edge - left + 3, height: bottom - top + 4 })));
      for (const [set, run] of some) {
        const points = run[name].map((v, i) => [x(where(set, run, i)), v === null ? null : y(v)]);
        const dashed = set.method !== get("method");
        svg.append(
          s("path", {
            d: line(points),
            fill: "none",
            "clip-path": `url(#${clip})`,
            stroke: dashed ? "var(--fm-ink)" : `var(--fm-${color})`,
            "stroke-dasharray": dashed ? "5 4" : null,
            "stroke-width": picked === run ? 3 : 1.5,
            opacity: picked && picked !== run ? 0.45 : 0.85,
          }),
        );
      }
      const [set, run] = current();
      if (run) {
        const at = spot(set),
          v = run[name][at];
        const px = x(where(set, run, at));
        svg.append(s("line", { x1: px, x2: px, y1: top, y2: bottom, stroke: "var(--fm-edge)" }));
        if (v !== null && v >= least) svg.append(s("circle", { cx: px, cy: y(v), r: 4.5, fill: "var(--fm-ink)" }));
      }
      if (some.length && !some.some(([set]) => set[name])) {
        const text = some.some(([set]) => set.mask_rate) ? "nothing was kept" : "no pseudo-labels";
        svg.append(s("text", { x: (left + edge) / 2, y: (top + bottom) / 2, "text-anchor": "middle", class: "fm-halo", text }));
      }
      scales = [x, y];
      const told = both().map((set) => `${set.method}, ${shown(set).length} runs, median at the end ${percent(median(shown(set).map(atEnd)), 1)}`);
      label(svg, `${title} against ${minutes() ? "minutes" : "steps"}: ${told.join("; ")}.`);
    });
    const point = (event) => {
      const [px, py] = pointIn(made.svg, event),
        [x, y] = scales;
      let best = [Infinity];
      for (const [set, run] of visible())
        run[name].forEach((v, i) => {
          const d = v === null ? Infinity : Math.hypot(x(where(set, run, i)) - px, (y(v) - py) / 2);
          if (d < best[0]) best = [d, set, run, i];
        });
      if (best[0] === Infinity) return;
      put(model, "run", best[2].name);
      put(model, "at", (best[3] * (longest() - 1)) / Math.max(1, best[1].steps.length - 1));
    };
    made.svg.addEventListener("pointermove", (event) => event.pointerType === "touch" || point(event)); // a finger may scroll
    made.svg.addEventListener("click", point);
    return made;
  });

  // From the first evaluation to the last of the run read out, however many it has; `at` counts in those of the longest run.
  const readOut = () => current()[0];
  const along = slider(model, "at", {
    label: "After step",
    min: 0,
    max: longest() - 1,
    step: "any",
    format: () => (readOut() ? readOut().steps[spot(readOut())].toLocaleString("en") : ""),
  });
  root.append(read, h("div", { class: "fm-controls" }, runBox), h("div", { class: "fm-controls fm-wide" }, along), out.list);
  const percents = (run, k) => CURVES.map(([name]) => percent(run[name][k], name === "test_accuracy" ? 2 : 1));
  const refresh = foot(root, model, LINKED, () => ({
    caption: "Every run shown, at the end",
    head: ["run", "accuracy (median of 20)", "last", "mask rate", "pseudo-label accuracy", "minutes"],
    rows: visible().map(([set, r]) => [r.name, percent(r.final / 10000, 2), ...percents(r, set.steps.length - 1), fixed(r.seconds / 60, 1)]),
  }));
  const update = () => {
    const [set, run] = current(),
      finals = shown(main()).map((r) => r.final / 10000),
      beside = get("other") ? shown(find(get("other"))).map((r) => r.final / 10000) : [];
    out.set({
      final: percent(median(finals), 1),
      range: finals.length ? `${percent(Math.min(...finals), 1)} to ${percent(Math.max(...finals), 1)} (${finals.length})` : "–",
      other: percent(median(beside), 1),
      time: run ? `${fixed(run.seconds / 60, 1)} min` : "–",
    });
    if (run) {
      const k = spot(set),
        told = percents(run, k).map((v, i) => (v === "–" ? "" : `, ${["test accuracy", "mask rate", "pseudo-label accuracy"][i]} ${v}`));
      const at = `step ${set.steps[k].toLocaleString("en")}, minute ${fixed(run.time[k] / 60, 2)}`;
      read.textContent = `${set.method}, seed ${run.seed}, ${at}${told.join("")}.`;
    } else read.textContent = "No seed is shown.";
    // Rounded down: a last step that ends beyond the slider by a rounding is none.
    along.fit({ step: Math.floor((1e9 * (longest() - 1)) / Math.max(1, readOut().steps.length - 1)) / 1e9 });
    plots.forEach((p) => p.redraw());
    refresh();
  };
  for (const key of LINKED)
    model.on(`change:${key}`, () => {
      if (["data", "labels", "method", "other"].includes(key)) fill();
      if (!["axis", "at", "run"].includes(key)) offer();
      update();
    });
  fill();
  offer();
  update();
}

export default { render };
