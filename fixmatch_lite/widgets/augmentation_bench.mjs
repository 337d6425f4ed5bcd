// A picture, an operation, a level: what the picture becomes, and what the models say of it. Everything was worked out
// in Python beforehand; here it is looked up.
import { start, slider, select, h, s, percent, numbers, foot, fromLink } from "./kit.mjs";
import { plot, label, scale } from "./picture.mjs";

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// What is known of one picture after one operation at one level. Operations without a level have a single entry.
export function lookUp(state, picture, operation, level) {
  const { magnitudes, pictures } = state,
    known = magnitudes[operation],
    k = Math.min(level, known.length) - 1,
    [pixels, ...shares] = pictures[picture].changed[operation][k].map(bytes),
    answers = shares.map((numbers) => {
      const q = Array.from(numbers.slice(0, -1), (v) => v / 100),
        answer = numbers.at(-1); // whole percents can be equal
      return { q, answer, confidence: q[answer] };
    });
  return { pixels, magnitude: known[k], answers };
}

function drawPixels(svg, pixels, { side, channels, x, y, size }) {
  const cell = size / side,
    g = s("g", { "shape-rendering": "crispEdges" });
  for (let k = 0; k < side * side; k++) {
    const color = [0, 1, 2].map((c) => pixels[channels === 1 ? k : k * 3 + c]).join(",");
    const at = { x: x + (k % side) * cell, y: y + Math.floor(k / side) * cell, width: cell + 0.3, height: cell + 0.3 };
    g.append(s("rect", { ...at, fill: `rgb(${color})` }));
  }
  g.append(s("rect", { x, y, width: size, height: size, fill: "none", stroke: "var(--fm-edge)" }));
  svg.append(g);
}

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    moved = ["picture", "operation", "level"];
  fromLink(root, model, moved);
  const state = Object.fromEntries(["magnitudes", "pictures", "units"].map((k) => [k, get(k)])),
    operations = get("operations"),
    models = get("models"),
    classes = get("classes"),
    { side, channels } = get("shape");
  const found = (operation = get("operation"), level = get("level")) => lookUp(state, get("picture"), operation, level);
  const levelText = (now) => (now.magnitude === null ? "" : ` ${now.magnitude} ${state.units[get("operation")]}`);
  const truth = () => state.pictures[get("picture")].y;

  const said = ({ answer, confidence }) => `${classes[answer]} (${percent(confidence)})${answer === truth() ? "" : ", wrong"}`;

  const fixedAmount = () => state.magnitudes[get("operation")].length === 1;
  const levels = slider(model, "level", { label: "Level", min: 1, max: get("levels"), step: 1, format: (v) => (fixedAmount() ? "–" : String(v)) });
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      select(model, "picture", { label: "Picture", options: state.pictures.map((p, k) => [k, `picture ${k + 1}: ${classes[p.y]}`]) }),
      select(model, "operation", { label: "Operation", options: operations.map((name) => [name, name]) }),
      levels,
    ),
  );
  const picture = plot(root, (W) => (W > 470 ? 190 : 130 + 96 * models.length), (svg, W, H) => {
    const wide = W > 470,
      size = wide ? 150 : Math.min(110, (W - 30) / 2),
      now = found();
    drawPixels(svg, found("Identity", 1).pixels, { side, channels, x: 0, y: 18, size });
    drawPixels(svg, now.pixels, { side, channels, x: size + 16, y: 18, size });
    svg.append(
      s("text", { x: 0, y: 12, class: "fm-muted", text: "as it is" }),
      s("text", { x: size + 16, y: 12, class: "fm-muted", text: "changed" }),
    );
    now.answers.forEach(({ q, answer }, m) => {
      const left = wide ? 2 * size + 50 : 4,
        top = wide ? 16 + m * ((H - 6) / models.length) : 150 + m * 96,
        tall = (wide ? (H - 6) / models.length : 96) - 42,
        gap = (W - left - 4) / q.length,
        y = scale(0, 1, tall, 0);
      svg.append(s("text", { x: left, y: top - 4, text: models[m] }));
      q.forEach((v, c) => {
        const kind = c === answer ? (c === truth() ? "kept" : "wrong") : "dropped",
          bar = Math.max(1, tall - y(v));
        svg.append(
          s("rect", { x: left + c * gap + 2, y: top + 4 + tall - bar, width: gap - 4, height: bar, fill: `var(--fm-${kind})` }),
          s("text", {
            x: left + (c + 0.5) * gap,
            y: top + tall + 18,
            "text-anchor": "middle",
            class: c === truth() ? "" : "fm-muted",
            "font-weight": c === truth() ? 700 : 400,
            text: classes[c],
          }),
        );
      });
    });
    label(svg, sentence());
  });
  function sentence() {
    const now = found();
    return (
      `${get("operation")}${levelText(now)} on a ${classes[truth()]}. ` +
      models.map((name, m) => `${name}: ${said(now.answers[m])}`).join("; ") + "."
    );
  }
  const out = numbers([["amount", "what is done"], ...models.map((name, m) => [`m${m}`, `${name} says`])]);
  root.append(out.list);
  const refresh = foot(root, model, moved, () => ({
    caption: "Every operation at this level",
    head: ["operation", "amount", ...models],
    rows: operations.map((name) => {
      const at = found(name);
      return [name, at.magnitude === null ? "–" : `${at.magnitude} ${state.units[name]}`, ...at.answers.map(said)];
    }),
  }));
  const update = () => {
    const now = found(),
      values = { amount: get("operation") + levelText(now) };
    now.answers.forEach((a, m) => {
      values[`m${m}`] = said(a);
    });
    out.set(values);
    levels.fit({});
    levels.querySelector("input").disabled = fixedAmount();
    picture.redraw();
    refresh();
  };
  for (const name of moved) model.on(`change:${name}`, update);
  update();
}

export default { render };
