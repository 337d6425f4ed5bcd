// The first page's figure: three networks learn from the same few labels, side by side, in the reader's browser.
import { start, h, s, put, slider, select, button, foot, fromLink, percent, fixed, onTheme, reducedMotion } from "./kit.mjs";
import { mark, key } from "./picture.mjs";
import { SHAPES, METHODS, makePoints, chooseLabeled, Learner } from "./playground_core.mjs";
import { POINTS, STEPS, manyDraws } from "./playground_draws.mjs";
import { labelHandles, readLabels, writeLabels } from "./playground_labels.mjs";
import { STYLE, paint, pacer, readColors } from "./playground_paint.mjs";

const FAR = 6000, // steps; what a link can ask for at most
  PER_FRAME = 5,
  BUDGET = 10, // ms of training a frame, a third of it where the machine is slow
  READ = 6; // frames from one change of the numbers to the next: each lays out the page anew
const NAMES = { supervised: "Labels only", "pseudo-label": "Pseudo-labels", fixmatch: "FixMatch" };

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    // In this order: a new shape forgets the labels that were moved and the steps, which a link then gives anew.
    keys = ["shape", "labels", "seed", "tau", "mu", "lambda_u", "strength", "given", "steps", "network", "draws"];
  fromLink(root, model, keys);
  root.append(h("style", { text: STYLE }));
  let points,
    labeled,
    learners,
    running = false,
    visible = true,
    frame = 0,
    drawn = 0,
    target = STEPS,
    noted = STEPS,
    pace = pacer(),
    colors;
  const step = () => learners[0].step;
  const options = () => ({ tau: get("tau"), mu: get("mu"), strength: get("strength"), lambda_u: get("lambda_u") });

  // A link may say anything: unknown shapes and impossible numbers of labels become possible ones.
  const settings = () => ({
    shape: SHAPES[get("shape")] ? get("shape") : "moons",
    labels: Math.min(20, Math.max(2, get("labels"))),
    options: options(),
  });
  // Where training stops is part of the state: the link to a pause trains as far and stops there.
  const note = (steps) => put(model, "steps", (noted = steps));
  const hold = () => {
    pause();
    note(step());
    draw(true);
  };
  const goOn = () => go(step() >= target ? step() + STEPS : target),
    run = button("Pause", () => (running ? hold() : goOn()), { class: "fm-main", style: "min-width:6.2rem" });
  const one = button("Step", () => (learners.forEach((l) => l.train()), hold()));
  const back = button("Labels back", () => put(model, "given", ""), { title: "Put every label back where it was drawn" });
  const again = button("Start again", () => restart());
  const fresh = button("New points", () => put(model, "seed", get("seed") + 1));
  const shape = select(model, "shape", { label: "Shape of the data", options: Object.entries(SHAPES) });
  const counter = h("span", { class: "fm-muted" });

  const tabs = h("div", { class: "fm-tabs", role: "group", "aria-label": "Which network is shown" }),
    panels = h("div", { class: "fm-panels" });
  const views = METHODS.map((method, k) => {
    const canvas = h("canvas", { role: "img" }),
      accuracy = h("b"),
      text = h("p", { class: "fm-muted" }),
      strip = h("div", { class: "fm-strip", hidden: true });
    const stage = h("div", { class: "fm-stage" }, canvas);
    const panel = h("div", { class: "fm-panel" }, h("p", { class: "fm-name" }, NAMES[method], accuracy), stage, text, strip);
    const tab = button(NAMES[method], () => put(model, "network", method), { "aria-pressed": "false" });
    tabs.append(tab);
    panels.append(panel);
    const say = (share, words) => {
      accuracy.textContent = share;
      text.textContent = words;
      tab.replaceChildren(NAMES[method], h("br"), h("b", { text: share }));
    };
    return { canvas, stage, say, strip, panel, tab, raster: document.createElement("canvas"), judged: {} };
  });
  const handles = labelHandles(
    views.map((v) => v.stage),
    {
      labels: () => labeled || [],
      moving: () => {
        pause();
        draw(false);
      },
      changed: (labels) => put(model, "given", writeLabels(labels)),
    },
  );
  const show = () => {
    const at = METHODS.indexOf(get("network")), // the one in sight where there is no room for three
      k = at < 0 ? 2 : at;
    views.forEach((v, j) => {
      v.tab.setAttribute("aria-pressed", String(j === k));
      v.panel.toggleAttribute("data-shown", j === k);
      if (j === k && learners) requestAnimationFrame(() => draw(true));
    });
    handles.show(k);
  };
  root.append(tabs, panels);
  const spoken = h("p", { class: "fm-hidden", "aria-live": "polite" });
  const draws = manyDraws({
    model,
    views,
    names: METHODS.map((m) => NAMES[m]),
    settings,
    tell: (text) => (spoken.textContent = text),
  });
  const dot = s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, mark("labeled", 8, 8, 7)),
    letter = h("li", {}, dot, "a label: drag or click it");
  const legend = key([
    ["kept", "kept and right"],
    ["wrong", "kept and wrong"],
    ["dropped", "not used"],
  ]);
  legend.prepend(letter);
  legend.append(h("li", {}, counter));
  root.append(
    legend,
    h("div", { class: "fm-bar" }, h("div", { class: "fm-buttons" }, run, one, again, fresh, draws.button, back), shape),
    h("div", { class: "fm-controls fm-sliders" },
      slider(model, "labels", { label: "Labels", min: 2, max: 20, step: 2, format: String }),
      slider(model, "tau", { label: "Threshold τ", min: 0.5, max: 0.99, step: 0.01 }),
      slider(model, "mu", { label: "Ratio μ", min: 1, max: 10, step: 1, format: String }),
      slider(model, "lambda_u", { label: "Weight λᵤ", min: 0, max: 3, step: 0.1, format: (v) => fixed(v, 1) }),
      slider(model, "strength", { label: "Strong view", min: 0, max: 2, step: 0.1, format: (v) => fixed(v, 1) }),
    ),
    spoken,
  );
  const refresh = foot(root, model, keys, () => ({
    caption: "The three networks now",
    head: ["network", "accuracy on all points", "kept", "wrong among kept"],
    rows: views.map((v, k) => [
      NAMES[METHODS[k]],
      percent(v.judged.accuracy, 1),
      k ? percent(v.judged.kept, 1) : "–",
      k ? percent(v.judged.wrong, 1) : "–",
    ]),
  }));

  function build() {
    const { shape, labels } = settings();
    points = makePoints(shape, POINTS, get("seed"));
    labeled = readLabels(get("given")) || chooseLabeled(points, labels, get("seed"));
    if (document.activeElement === back) again.focus(); // it goes away
    back.hidden = !readLabels(get("given"));
    learners = METHODS.map((m) => new Learner(m, points, labeled, options(), get("seed")));
  }
  function restart(to = STEPS) {
    build();
    handles.sync();
    go(to);
  }
  // Reduced motion: the same training, shown only when it is done; in slices, so that the page stays awake.
  function still() {
    const mine = learners,
      slice = () => {
        if (mine !== learners || !running) return;
        const until = performance.now() + 25;
        while (step() < target && performance.now() < until) learners.forEach((l) => l.train());
        root.ariaBusy = "true";
        if (step() < target) return setTimeout(slice, 0);
        pause();
        draw(true);
      };
    slice();
  }
  function go(to) {
    target = Math.min(FAR, Math.max(0, Math.round(to)));
    note(target);
    pause();
    running = true;
    run.textContent = "Pause";
    if (reducedMotion()) return still();
    [pace, drawn] = [pacer(), 0]; // the first frame writes its numbers
    frame = requestAnimationFrame(tick);
  }
  function pause() {
    running = false;
    root.ariaBusy = "false";
    run.textContent = step() >= target ? "Train on" : "Train";
    if (step() >= FAR && [run, one].includes(document.activeElement)) again.focus();
    run.disabled = one.disabled = step() >= FAR;
    if (frame) cancelAnimationFrame(frame);
    frame = 0;
  }
  function tick(now) {
    frame = 0;
    if (!running || !visible || !el.isConnected) return;
    pace.frame(now);
    const until = performance.now() + (pace.slow ? BUDGET / 3 : BUDGET);
    for (let k = 0; k < PER_FRAME && step() < target && performance.now() < until; k++) learners.forEach((l) => l.train());
    if (step() >= target) pause();
    draw(!running);
    if (running) frame = requestAnimationFrame(tick);
  }
  function draw(told) {
    colors ||= readColors(root);
    const worded = told || !running || drawn++ % READ === 0,
      shown = views.map((v) => v.canvas.clientWidth > 0); // read before anything is written: one layout, not four
    views.forEach((v, k) => {
      if (worded || shown[k]) learners[k].judge(v.judged);
      if (shown[k]) paint(v, learners[k], colors, running && pace.slow);
    });
    for (const [k, v] of worded ? views.entries() : []) {
      const { accuracy, kept, wrong } = v.judged,
        text = k ? `kept ${percent(kept)}, ${percent(wrong)} of them wrong` : "never sees the gray points";
      v.say(percent(accuracy), text);
      if (told)
        v.canvas.setAttribute("aria-label",
          `${NAMES[METHODS[k]]} after ${step()} steps on ${SHAPES[get("shape")]}: accuracy ${percent(accuracy)}${k ? ", " + text : ""}.`,
        );
    }
    if (worded) counter.textContent = `step ${step()}`;
    if (told) {
      spoken.textContent = `Step ${step()}. Accuracy: ${views.map((v, k) => `${NAMES[METHODS[k]]} ${percent(v.judged.accuracy)}`).join(", ")}.`;
      refresh();
    }
  }

  for (const k of ["shape", "labels", "seed"])
    model.on(`change:${k}`, () => {
      draws.forget();
      put(model, "given", "");
      restart();
    });
  model.on("change:given", () => restart());
  model.on("change:network", show);
  model.on("change:steps", () => {
    if (get("steps") !== noted) restart(get("steps")); // a link says so
  });
  for (const k of ["tau", "mu", "strength", "lambda_u"])
    model.on(`change:${k}`, () => {
      draws.forget();
      learners.forEach((l) => Object.assign(l.options, options()));
      // A finished run says nothing about the new value; a running one goes on with it.
      if (!running && step() >= target) go(step() + STEPS);
      else if (!running) draw(true);
    });
  onTheme(() => ((colors = null), draw(false)));
  new ResizeObserver(([seen]) => {
    root.classList.toggle("fm-narrow", seen.contentRect.width < 520);
    draw(false);
  }).observe(root);
  new IntersectionObserver((seen) => {
    visible = seen.at(-1).isIntersecting; // the newest: a jump of the page brings several at once
    if (visible && running && !frame && !reducedMotion()) frame = requestAnimationFrame(tick);
  }).observe(panels);
  root.classList.toggle("fm-narrow", root.clientWidth > 0 && root.clientWidth < 520);
  show();
  restart(get("steps"));
  draw(true);
}

export default { render };
