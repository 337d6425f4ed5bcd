// The first page's figure: three networks learn from the same few labels, side by side, in the reader's browser.
import { start, h, s, put, slider, select, button, foot, fromLink, percent, fixed, median, mark, key, onTheme, reducedMotion } from "./kit.mjs";
import { SHAPES, METHODS, makePoints, chooseLabeled, Learner } from "./playground_core.mjs";

const POINTS = 200, STEPS = 600, DRAWS = 20, PER_FRAME = 5, BUDGET = 10; // ms of training a frame; drawing takes about as long
const NAMES = { supervised: "Labels only", "pseudo-label": "Pseudo-labels", fixmatch: "FixMatch" };
const X = 1.9, Y = 1.5, COLS = 52, ROWS = 41; // the window of the plane, and the raster it is judged on
const STYLE = `
.fm-panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .7rem; margin: .35rem 0 .2rem; }
.fm-panel { min-width: 0; } .fm-panel h4 { font: inherit; font-weight: 640; margin: 0 0 .15rem; display: flex; justify-content: space-between; gap: .4rem; }
.fm-panel h4 b { font-weight: 700; color: var(--fm-accuracy-text); } .fm-panel canvas { width: 100%; border: 1px solid var(--fm-line); border-radius: 6px; aspect-ratio: ${X} / ${Y}; }
.fm-panel p { font-size: .86em; margin: .15rem 0 0; min-height: 1.4em; }
.fm-strip[hidden] { display: none; } .fm-widget .fm-strip svg { height: 30px; } .fm-strip p { min-height: 0; }
.fm-narrow .fm-bar button { padding: .2rem .55rem; } .fm-narrow .fm-bar .fm-control { flex: 1 1 9rem; }
.fm-tabs { display: none; gap: .3rem; margin: .35rem 0; } .fm-tabs button { flex: 1 1 0; padding: .2rem .2rem; white-space: normal; line-height: 1.15; font-size: .88em; }
.fm-narrow .fm-tabs { display: flex; } .fm-narrow .fm-panels { grid-template-columns: minmax(0, 1fr); } .fm-narrow .fm-panel:not([data-shown]) { display: none; }
.fm-bar { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; justify-content: space-between; } .fm-bar .fm-control { flex: 0 1 11rem; }
.fm-bar label { position: absolute; clip-path: inset(50%); } .fm-bar .fm-control { display: block; }
.fm-sliders .fm-control { flex-basis: 7.5rem; } .fm-sliders input[type="range"] { height: 32px; }`;

function render({ model, el }) {
  const root = start(el), get = (k) => model.get(k), keys = ["shape", "labels", "tau", "mu", "strength", "seed"];
  fromLink(root, model, keys);
  root.append(h("style", { text: STYLE }));
  let points, labeled, learners, trials = null, running = false, visible = true, frame = 0, target = STEPS, colors;
  const step = () => learners[0].step;
  const options = () => ({ tau: get("tau"), mu: get("mu"), strength: get("strength"), lambda_u: get("lambda_u") });

  const run = button("Pause", () => (running ? pause() : go(step() >= target ? step() + STEPS : target)), { class: "fm-main", style: "min-width:6.2rem" });
  const one = button("Step", () => { pause(); learners.forEach((l) => l.train()); draw(true); });
  const again = button("Start again", () => restart());
  const fresh = button("New points", () => put(model, "seed", get("seed") + 1));
  const many = button(`${DRAWS} draws`, () => (trials ? stopTrials() : startTrials()), { title: `Train on ${DRAWS} other draws of points and labels, without drawing them` });
  const shape = select(model, "shape", { label: "Shape of the data", options: Object.entries(SHAPES) });
  const counter = h("span", { class: "fm-muted" });
  root.append(h("div", { class: "fm-bar" }, h("div", { class: "fm-buttons" }, run, one, again, fresh, many), shape));

  const tabs = h("div", { class: "fm-tabs", role: "group", "aria-label": "Which network is shown" }), panels = h("div", { class: "fm-panels" });
  const views = METHODS.map((method, k) => {
    const canvas = h("canvas", { role: "img" }), accuracy = h("b"), text = h("p", { class: "fm-muted" }), strip = h("div", { class: "fm-strip", hidden: true });
    const panel = h("div", { class: "fm-panel" }, h("h4", {}, NAMES[method], accuracy), canvas, text, strip);
    const tab = button(NAMES[method], () => show(k), { "aria-pressed": "false" });
    tabs.append(tab); panels.append(panel);
    return { canvas, accuracy, text, strip, panel, tab, raster: document.createElement("canvas"), judged: {}, field: new Float32Array(COLS * ROWS) };
  });
  const show = (k) => views.forEach((v, j) => { v.tab.setAttribute("aria-pressed", String(j === k)); v.panel.toggleAttribute("data-shown", j === k); if (j === k && learners) requestAnimationFrame(() => draw(true)); });
  root.append(tabs, panels);
  const spoken = h("p", { class: "fm-hidden", "aria-live": "polite" });
  const letter = h("li", {}, s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, mark("labeled", 8, 8, 7)), "labeled, class A or B");
  const legend = key([["kept", "kept and right"], ["wrong", "kept and wrong"], ["dropped", "not used"]]);
  legend.prepend(letter);
  legend.append(h("li", {}, counter));
  root.append(legend, h("div", { class: "fm-controls fm-sliders" },
    slider(model, "labels", { label: "Labels", min: 2, max: 20, step: 2, format: String }),
    slider(model, "tau", { label: "Threshold τ", min: 0.5, max: 0.99, step: 0.01 }),
    slider(model, "mu", { label: "Unlabeled ratio μ", min: 1, max: 10, step: 1, format: String }),
    slider(model, "strength", { label: "Strong view", min: 0, max: 2, step: 0.1, format: (v) => fixed(v, 1) })), spoken);
  const refresh = foot(root, model, keys, () => ({ caption: "The three networks now", head: ["network", "accuracy on all points", "kept", "wrong among kept"],
    rows: views.map((v, k) => [NAMES[METHODS[k]], percent(v.judged.accuracy, 1), k ? percent(v.judged.kept, 1) : "–", k ? percent(v.judged.wrong, 1) : "–"]) }));

  function build() {
    const name = SHAPES[get("shape")] ? get("shape") : "moons"; // a link may say anything
    points = makePoints(name, POINTS, get("seed"));
    labeled = chooseLabeled(points, Math.min(20, Math.max(2, get("labels"))), get("seed"));
    learners = METHODS.map((m) => new Learner(m, points, labeled, options(), get("seed")));
  }
  function restart() { build(); target = STEPS; reducedMotion() ? still() : go(STEPS); }
  // Reduced motion: the same training, shown only when it is done; in slices, so that the page stays awake.
  function still() {
    pause();
    run.textContent = "Train on";
    const mine = learners, slice = () => {
      if (mine !== learners) return;
      const until = performance.now() + 25;
      while (step() < target && performance.now() < until) learners.forEach((l) => l.train());
      if (step() < target) setTimeout(slice, 0); else draw(true);
    };
    slice();
  }
  function go(to) {
    target = to;
    if (reducedMotion()) return still();
    running = true;
    run.textContent = "Pause";
    if (!frame) frame = requestAnimationFrame(tick);
  }
  function pause() { running = false; run.textContent = step() >= target ? "Train on" : "Train"; if (frame) cancelAnimationFrame(frame); frame = 0; }
  function tick() {
    frame = 0;
    if (!running || !visible || !el.isConnected) return;
    const until = performance.now() + BUDGET;
    for (let k = 0; k < PER_FRAME && step() < target && performance.now() < until; k++) learners.forEach((l) => l.train());
    if (step() >= target) pause();
    draw(!running);
    if (running) frame = requestAnimationFrame(tick);
  }

  // One draw is one story: the same training on other points, labels and starts, every result shown.
  function startTrials() {
    const mine = (trials = { done: METHODS.map(() => []), k: 0 });
    let now = null;
    const slice = () => {
      if (trials !== mine) return;
      const until = performance.now() + 14;
      while (performance.now() < until && mine.k < DRAWS) {
        if (!now) { const seed = get("seed") + 1 + mine.k, own = makePoints(get("shape"), POINTS, seed), given = chooseLabeled(own, get("labels"), seed); now = METHODS.map((m) => new Learner(m, own, given, options(), seed)); }
        now.forEach((l) => l.train());
        if (now[0].step >= STEPS) { now.forEach((l, k) => mine.done[k].push(l.judge().accuracy)); now = null; mine.k++; strips(mine); }
      }
      if (mine.k < DRAWS) { many.textContent = `Stop (${mine.k})`; setTimeout(slice, 0); } else { many.textContent = `${DRAWS} draws`; spoken.textContent = `${DRAWS} draws, ${views.map((v, k) => `${NAMES[METHODS[k]]}: median accuracy ${percent(median(mine.done[k]))}`).join("; ")}.`; trials = null; }
    };
    slice();
  }
  function stopTrials() { trials = null; many.textContent = `${DRAWS} draws`; }
  function forget() { stopTrials(); views.forEach((v) => { v.strip.hidden = true; }); }
  function strips({ done }) {
    views.forEach((v, k) => {
      const x = (a) => 4 + 192 * Math.max(0, (a - 0.5) / 0.5), m = median(done[k]);
      const words = `${done[k].length} draws: median ${percent(m)} (${Math.round(100 * Math.min(...done[k]))}–${Math.round(100 * Math.max(...done[k]))})`;
      v.strip.hidden = false;
      v.strip.replaceChildren(s("svg", { viewBox: "0 0 200 30", preserveAspectRatio: "none", role: "img", "aria-label": `${NAMES[METHODS[k]]}, accuracy on a line from 50 to 100 percent. ${words}.` },
        s("line", { x1: 4, x2: 196, y1: 24, y2: 24, stroke: "var(--fm-edge)" }),
        done[k].map((a) => s("line", { x1: x(a), x2: x(a), y1: 10, y2: 24, stroke: "var(--fm-accuracy)", "stroke-width": 1.5, opacity: 0.6 })),
        s("line", { x1: x(m), x2: x(m), y1: 2, y2: 29, stroke: "var(--fm-ink)", "stroke-width": 2.5 })), h("p", { class: "fm-muted", text: words }));
    });
  }

  function draw(told) {
    colors ||= readColors(root);
    views.forEach((v, k) => {
      const l = learners[k], j = l.judge(v.judged);
      const text = k ? `kept ${percent(j.kept)}, ${percent(j.wrong)} of them wrong` : "gray points never seen";
      v.accuracy.textContent = percent(j.accuracy);
      v.text.textContent = text;
      v.tab.replaceChildren(NAMES[METHODS[k]], h("br"), h("b", { text: percent(j.accuracy) }));
      if (v.canvas.clientWidth) paint(v, l, colors);
      if (told) v.canvas.setAttribute("aria-label", `${NAMES[METHODS[k]]} after ${l.step} steps on ${SHAPES[get("shape")]}: accuracy ${percent(j.accuracy)}${k ? ", " + text : ""}.`);
    });
    counter.textContent = `step ${step()}`;
    if (told) { spoken.textContent = `Step ${step()}. Accuracy: ${views.map((v, k) => `${NAMES[METHODS[k]]} ${percent(v.judged.accuracy)}`).join(", ")}.`; refresh(); }
  }

  for (const k of ["shape", "labels", "seed"]) model.on(`change:${k}`, () => { forget(); restart(); });
  for (const k of ["tau", "mu", "strength", "lambda_u"]) model.on(`change:${k}`, () => {
    forget();
    learners.forEach((l) => Object.assign(l.options, options()));
    // A finished run says nothing about the new value; a running one goes on with it.
    if (!running && step() >= target) go(step() + STEPS); else if (!running) draw(true);
  });
  onTheme(() => { colors = null; draw(false); });
  new ResizeObserver(([seen]) => { root.classList.toggle("fm-narrow", seen.contentRect.width < 520); draw(false); }).observe(root);
  new IntersectionObserver(([seen]) => { visible = seen.isIntersecting; if (visible && running && !frame) frame = requestAnimationFrame(tick); }).observe(panels);
  root.classList.toggle("fm-narrow", root.clientWidth > 0 && root.clientWidth < 520);
  show(2);
  restart();
  draw(true);
}

function readColors(root) {
  const style = getComputedStyle(root), probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), get = (n) => style.getPropertyValue(`--fm-${n}`).trim();
  const rgb = (color) => { probe.fillStyle = color; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; };
  const dark = rgb(get("card"))[0] < 128;
  return { ink: get("ink"), labeled: get("labeled"), kept: get("kept"), wrong: get("wrong"), dropped: get("dropped"), card: get("card"), paper: rgb(get("card")),
    // Two quiet tints that are none of the book's five colors; they differ in lightness too.
    tint: dark ? [[48, 44, 76], [70, 61, 34]] : [[216, 210, 238], [249, 236, 198]], letter: dark ? "#14181D" : "#FFFFFF" };
}

function paint(view, learner, colors) {
  const { canvas, raster, field, judged } = view, { net, points, labeled, options } = learner;
  const W = canvas.clientWidth, H = (W * Y) / X, dpr = Math.min(2, devicePixelRatio || 1);
  if (canvas.width !== Math.round(W * dpr)) { canvas.width = Math.round(W * dpr); canvas.height = Math.round(H * dpr); }
  raster.width = COLS; raster.height = ROWS;
  const g = canvas.getContext("2d"), soft = raster.getContext("2d"), image = soft.createImageData(COLS, ROWS);
  for (let r = 0, i = 0; r < ROWS; r++) for (let c = 0; c < COLS; c++, i++) {
    const q = (field[i] = net.forward(-X + (2 * X * c) / (COLS - 1), Y - (2 * Y * r) / (ROWS - 1)));
    const tint = colors.tint[q >= 0.5 ? 1 : 0], sure = Math.max(q, 1 - q);
    const a = sure >= options.tau ? 1 : 0.55 * ((sure - 0.5) / Math.max(0.01, options.tau - 0.5)); // full where it is sure enough
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = colors.paper[k] + a * (tint[k] - colors.paper[k]);
    image.data[4 * i + 3] = 255;
  }
  soft.putImageData(image, 0, 0);
  g.setTransform(dpr, 0, 0, dpr, 0, 0);
  const cw = W / (COLS - 1), ch = H / (ROWS - 1);
  g.drawImage(raster, -cw / 2, -ch / 2, W + cw, H + ch);
  // The boundary: where the two classes are equally likely, along the raster's cells.
  g.strokeStyle = colors.ink; g.lineWidth = 1.6; g.beginPath();
  for (let r = 0; r + 1 < ROWS; r++) for (let c = 0; c + 1 < COLS; c++) {
    const i = r * COLS + c, v = [field[i] - 0.5, field[i + 1] - 0.5, field[i + COLS + 1] - 0.5, field[i + COLS] - 0.5], cut = [];
    for (let e = 0; e < 4; e++) {
      const a = v[e], b = v[(e + 1) % 4];
      if (a < 0 === b < 0) continue;
      const t = a / (a - b);
      cut.push([[c + t, r], [c + 1, r + t], [c + 1 - t, r + 1], [c, r + 1 - t]][e]);
    }
    for (let k = 0; k + 1 < cut.length; k += 2) { g.moveTo(cut[k][0] * cw, cut[k][1] * ch); g.lineTo(cut[k + 1][0] * cw, cut[k + 1][1] * ch); }
  }
  g.stroke();
  const at = (i) => [((points.x[2 * i] + X) / (2 * X)) * W, ((Y - points.x[2 * i + 1]) / (2 * Y)) * H], u = Math.max(2.4, W / 95);
  for (let i = 0; i < points.n; i++) {
    const [x, y] = at(i), status = learner.method === "supervised" ? 0 : judged.status[i];
    g.beginPath();
    if (status === 1) { g.fillStyle = colors.kept; g.moveTo(x, y - 1.2 * u); g.lineTo(x + 1.15 * u, y + 0.9 * u); g.lineTo(x - 1.15 * u, y + 0.9 * u); g.fill(); }
    else if (status === 2) { g.strokeStyle = colors.wrong; g.lineWidth = 2; g.moveTo(x - u, y - u); g.lineTo(x + u, y + u); g.moveTo(x + u, y - u); g.lineTo(x - u, y + u); g.stroke(); }
    else { g.strokeStyle = colors.dropped; g.lineWidth = 1.1; g.arc(x, y, 0.75 * u, 0, 7); g.stroke(); }
  }
  const size = Math.max(7.5, W / 32);
  g.textAlign = "center"; g.textBaseline = "middle"; g.font = `700 ${1.25 * size}px system-ui, sans-serif`;
  for (const i of labeled) {
    const [x, y] = at(i);
    g.beginPath(); g.arc(x, y, size, 0, 7); g.fillStyle = colors.labeled; g.fill(); g.strokeStyle = colors.card; g.lineWidth = 1.5; g.stroke();
    g.fillStyle = colors.letter; g.fillText("AB"[points.y[i]], x, y + 0.5);
  }
}

export default { render };
