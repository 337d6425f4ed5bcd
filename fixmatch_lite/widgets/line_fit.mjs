// A scatter of students. The labeled ones can be dragged, any can be labeled or not, and the least-squares line
// through the labeled ones follows. Lines of earlier draws stay as thin traces: their spread is the lesson.
import { start, h, s, put, numbers, button, foot, fromLink, fixed, newId, KEYS } from "./kit.mjs";
import { plot, axes, scale, mark, key, pointIn, nice } from "./picture.mjs";
import { fit } from "./least_squares.mjs";
import { random } from "./random.mjs";

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    n = get("x").length;
  const keys = ["labeled", "moved", "movedX"];
  const state = () => ({ x: get("x"), y: get("y"), moved: get("moved"), movedX: get("movedX"), labeled: get("labeled") });
  const first = [...get("labeled")],
    many = first.reduce((a, b) => a + b, 0);
  fromLink(root, model, keys);
  const sentence = (l) =>
    `Line through ${l.labeled} labeled students: ${get("yLabel")} = ${fixed(l.intercept, 1)} + ${fixed(l.slope, 2)} times ${get("xLabel")}. Mean miss on the others ${fixed(l.error, 1)}.`;
  const words = { 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight" };
  const traces = [],
    xMax = Math.ceil(Math.max(...get("x")) * 1.08),
    yMax = Math.ceil((Math.max(...get("y")) * 1.1) / 10) * 10;
  const order = [...Array(n).keys()].sort((a, b) => get("x")[a] - get("x")[b]);
  const out = numbers([
    ["slope", `slope: ${get("yLabel")} per hour`, "fm-labeled"],
    ["intercept", "at 0 hours"],
    ["error", "mean miss on the others"],
    ["spread", "slopes seen so far"],
  ]);
  let focused = null,
    dragging = null,
    moved = false,
    at = null;

  const help = "Drag a labeled student. Click any student to add or remove a label. Keys: Tab to a student, arrows to move, Enter to label.";
  root.append(h("p", { class: "fm-lead", text: help }));
  const picture = plot(
    root,
    (w) => Math.min(380, Math.max(270, w * 0.55)),
    (svg, W, H) => {
      const left = 38,
        right = W - 8,
        top = 26,
        bottom = H - 40;
      const x = scale(0, xMax, left, right),
        y = scale(0, yMax, bottom, top),
        now = state(),
        line = fit(now);
      at = { x, y, back: (px, py) => [((px - left) / (right - left)) * xMax, ((bottom - py) / (bottom - top)) * yMax] };
      const step = nice(yMax),
        xStep = Math.max(1, Math.round(xMax / 6));
      const ticks = (to, by) => Array.from({ length: Math.floor(to / by) + 1 }, (_, k) => k * by);
      const clip = newId(); // two widgets, two clips
      svg.append(
        s("clipPath", { id: clip }, s("rect", { x: left, y: top, width: right - left, height: bottom - top })),
        axes({ x, y, xTicks: ticks(xMax, xStep), yTicks: ticks(yMax, step), left, right, top, bottom, xLabel: get("xLabel"), yLabel: get("yLabel") }),
      );
      const draw = (l, attributes) =>
        s("line", { x1: x(0), y1: y(l.intercept), x2: x(xMax), y2: y(l.intercept + l.slope * xMax), ...attributes });
      svg.append(
        s(
          "g",
          { "clip-path": `url(#${clip})`, role: "img", "aria-label": sentence(line) },
          traces.map((l) => draw(l, { stroke: "var(--fm-labeled)", "stroke-width": 1, opacity: 0.38 })),
          draw(line, { stroke: "var(--fm-labeled)", "stroke-width": 2.6 }),
        ),
      );
      const points = s("g", { role: "application", "aria-label": "Students" }); // a screen reader leaves the arrows to it
      for (const i of [...order.filter((k) => !now.labeled[k]), ...order.filter((k) => now.labeled[k])]) {
        const on = now.labeled[i],
          px = x(on ? now.movedX[i] : now.x[i]),
          py = y(on ? now.moved[i] : now.y[i]);
        if (on)
          svg.append(
            s("line", { x1: px, x2: px, y1: py, y2: y(line.intercept + line.slope * now.movedX[i]), stroke: "var(--fm-labeled)", "stroke-dasharray": "2 3" }),
          );
        points.append(
          s(
            "g",
            {
              tabindex: 0,
              role: "button",
              "aria-pressed": String(Boolean(on)),
              "data-student": i,
              ...KEYS,
              style: `cursor:${on ? "grab" : "pointer"};touch-action:${on ? "none" : "pan-y"}`,
              "aria-label": `Student ${i + 1}: ${fixed(on ? now.movedX[i] : now.x[i], 1)} hours, ${fixed(on ? now.moved[i] : now.y[i], 0)} ${get("yLabel")}, ${on ? "labeled" : "not labeled"}`,
            },
            s("circle", { cx: px, cy: py, r: 16, fill: "transparent" }),
            mark(on ? "labeled" : "dropped", px, py, on ? 7 : 6.5),
          ),
        );
      }
      svg.append(points);
      if (focused !== null) points.querySelector(`[data-student="${focused}"]`)?.focus({ preventScroll: true });
    },
    { role: "group", "aria-label": "Scatter of students with a fitted line" },
  );

  const change = (k, i, v) => {
    const copy = [...get(k)];
    copy[i] = v;
    put(model, k, copy);
  };
  const move = (i, px, py) => {
    model.set(
      "movedX",
      get("movedX").map((v, k) => (k === i ? +Math.min(xMax, Math.max(0, px)).toFixed(2) : v)),
    );
    put(
      model,
      "moved",
      get("moved").map((v, k) => (k === i ? +Math.min(yMax, Math.max(0, py)).toFixed(1) : v)),
    );
  };
  const told = h("p", { class: "fm-hidden", role: "status" });
  const toggle = (i) => {
    const may = !get("labeled")[i] || get("labeled").reduce((a, b) => a + b, 0) > 2;
    told.textContent = may ? "" : "At least two labels must stay";
    if (may) change("labeled", i, get("labeled")[i] ? 0 : 1);
  };
  const { svg, box } = picture;
  svg.addEventListener("pointerdown", (e) => {
    if (e.button) return; // a menu, not a label
    // The student nearest to the pointer: their touch areas overlap.
    const [px, py] = pointIn(svg, e),
      now = state();
    let best = 22;
    dragging = null;
    moved = false;
    for (let i = 0; i < n; i++) {
      const on = now.labeled[i],
        d = Math.hypot(at.x(on ? now.movedX[i] : now.x[i]) - px, at.y(on ? now.moved[i] : now.y[i]) - py);
      if (d < best) {
        best = d;
        dragging = i;
      }
    }
    if ((focused = dragging) === null) return;
    try {
      svg.setPointerCapture(e.pointerId);
    } catch {} // a synthetic pointer
    e.preventDefault();
  });
  svg.addEventListener("pointermove", (e) => {
    if (dragging === null || !get("labeled")[dragging]) return;
    const [px, py] = pointIn(svg, e),
      now = state();
    if (!moved && Math.hypot(at.x(now.movedX[dragging]) - px, at.y(now.moved[dragging]) - py) < 5) return;
    moved = true;
    move(dragging, ...at.back(px, py));
  });
  svg.addEventListener("pointerup", () => {
    if (dragging !== null && !moved) toggle(dragging);
    dragging = null;
  });
  svg.addEventListener("pointercancel", () => (dragging = null));
  const held = (e) => dragging !== null && get("labeled")[dragging] && e.preventDefault();
  svg.addEventListener("touchstart", held, { passive: false }); // a finger on a label moves the label, not the page
  document.addEventListener("pointerdown", (e) => box.contains(e.target) || (focused = null)); // no redraw takes the focus back
  box.addEventListener("focusin", (e) => {
    const student = e.target.closest("[data-student]");
    if (student) focused = +student.dataset.student;
  });
  box.addEventListener("focusout", (e) => {
    if (e.relatedTarget) focused = null;
  });
  box.addEventListener("keydown", (e) => { // on the svg they would make it a stop of the Tab key
    const i = focused,
      arrows = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0] };
    if (i === null) return;
    if (e.key === "Enter" || e.key === " ") toggle(i);
    else if (arrows[e.key]) {
      if (get("labeled")[i]) {
        const far = e.shiftKey ? 10 : 1;
        move(i, get("movedX")[i] + far * arrows[e.key][0], get("moved")[i] + far * arrows[e.key][1]);
      }
    } else return;
    e.preventDefault();
    e.stopPropagation();
  });

  root.append(
    told,
    out.list,
    key([["labeled", "labeled"], ["dropped", "not labeled: the line does not see it"]]),
  );
  root.append(
    h(
      "div",
      { class: "fm-buttons" },
      button(
        `${words[many] || many} other students`,
        () => {
          traces.push(fit(state()));
          if (traces.length > 40) traces.shift();
          const draw = get("draw") + 1,
            r = random(1000 * get("seed") + draw),
            left = [...Array(n).keys()],
            chosen = Array(n).fill(0);
          for (let k = 0; k < many; k++) chosen[left.splice(r.integer(left.length), 1)[0]] = 1;
          model.set("moved", [...get("y")]);
          model.set("movedX", [...get("x")]);
          model.set("draw", draw);
          put(model, "labeled", chosen);
        },
        { class: "fm-main" },
      ),
      button("Put all back", () => {
        traces.length = 0;
        model.set("moved", [...get("y")]);
        model.set("movedX", [...get("x")]);
        model.set("draw", 0);
        put(model, "labeled", first);
      }),
    ),
  );
  const refresh = foot(root, model, keys, () => {
    const now = state(),
      line = fit(now);
    return {
      caption: "Students, marks and the line's predictions",
      head: ["student", get("xLabel"), get("yLabel"), "predicted", "labeled"],
      rows: order.map((i) => {
        const on = now.labeled[i],
          a = on ? now.movedX[i] : now.x[i];
        return [
          i + 1,
          fixed(a, 1),
          fixed(on ? now.moved[i] : now.y[i], 0),
          fixed(line.intercept + line.slope * a, 1),
          on ? "yes" : "",
        ];
      }),
    };
  });
  const update = () => {
    const l = fit(state()),
      slopes = [...traces.map((t) => t.slope), l.slope];
    out.set({
      slope: fixed(l.slope, 2),
      intercept: fixed(l.intercept, 1),
      error: `${fixed(l.error, 1)} ${get("yLabel")}`,
      spread:
        slopes.length > 1 ? `${fixed(Math.min(...slopes), 1)} to ${fixed(Math.max(...slopes), 1)} (${slopes.length} lines)` : "–",
    });
    picture.redraw();
    refresh();
  };
  for (const key of keys) model.on(`change:${key}`, update);
  update();
}

export default { render };
