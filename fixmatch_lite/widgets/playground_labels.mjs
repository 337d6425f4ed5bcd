// The playground's labels in the reader's hand: drag one to move it, click it to turn A into B. Each is a button laid
// over the canvas; arrow keys move it, Enter turns it.
import { h, fixed, newId, KEYS } from "./kit.mjs";
import { WINDOW } from "./playground_paint.mjs";

const LETTERS = "AB",
  MOST = 20,
  NUDGE = 0.05; // an arrow key's way; five times that with Shift
const [WIDE, HIGH] = WINDOW;
const within = (v, limit) => Math.min(limit, Math.max(-limit, v));

// "A0.53,-0.2;B-1,0.4" -> [{ a, b, y }]; null where the text is no list of labels.
export function readLabels(text) {
  const found = text.split(";").map((part) => /^([AB])(-?\d*\.?\d+),(-?\d*\.?\d+)$/.exec(part));
  if (found.length > MOST || !found.every(Boolean)) return null;
  return found.map(([, letter, a, b]) => ({ a: within(+a, WIDE), b: within(+b, HIGH), y: LETTERS.indexOf(letter) }));
}

export const writeLabels = (labels) => labels.map(({ a, b, y }) => `${LETTERS[y]}${+a.toFixed(3)},${+b.toFixed(3)}`).join(";");

// Handles over each of `stages`. labels() are the present ones; `moving` is called while one is dragged, `changed` with
// all of them when one has been moved or turned.
export function labelHandles(stages, { labels, moving, changed }) {
  let shown = 0,
    held = null; // the label under the pointer, where it was taken up, whether it has been moved
  // Arrow keys are the handles' own: with the role of an application a screen reader leaves them to it.
  const help = h("p", { class: "fm-hidden", id: newId(), text: "Enter: switch letter. Arrows: move; with Shift, farther." });
  const boxes = stages.map((stage) => h("div", { class: "fm-handles", role: "application", "aria-label": "Labels" }));
  stages.forEach((stage, j) => stage.append(boxes[j]));
  boxes[0].append(help);
  const move = (k, a, b) => Object.assign(labels()[k], { a: within(a, WIDE), b: within(b, HIGH) });

  function handle(stage, k) {
    const node = h("button", { type: "button", class: "fm-handle", "aria-describedby": help.id, ...KEYS });
    node.addEventListener("pointerdown", (e) => {
      held = { k, x: e.clientX, y: e.clientY, moved: false };
      try {
        node.setPointerCapture(e.pointerId);
      } catch {
        /* a synthetic pointer */
      }
    });
    node.addEventListener("pointermove", (e) => {
      if (held?.k !== k || (!held.moved && Math.hypot(e.clientX - held.x, e.clientY - held.y) < 4)) return;
      held.moved = true;
      const box = stage.getBoundingClientRect();
      move(k, WIDE * ((2 * (e.clientX - box.left)) / box.width - 1), HIGH * (1 - (2 * (e.clientY - box.top)) / box.height));
      sync();
      moving();
    });
    for (const end of ["pointerup", "pointercancel"])
      node.addEventListener(end, () => {
        if (held?.moved) changed(labels());
        else held = null;
      });
    node.addEventListener("click", () => {
      if (held?.moved) return void (held = null); // the end of a drag
      labels()[k].y = 1 - labels()[k].y;
      changed(labels());
    });
    node.addEventListener("keydown", (e) => {
      const way = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[e.key],
        { a, b } = labels()[k];
      if (!way) return;
      const far = NUDGE * (e.shiftKey ? 5 : 1);
      move(k, a + far * way[0], b + far * way[1]);
      changed(labels());
      e.preventDefault();
      e.stopPropagation();
    });
    return node;
  }

  // As many handles as there are labels, each where its label is. Only those of the panel that is shown are tab stops.
  function sync() {
    stages.forEach((stage, j) => {
      const nodes = [...stage.querySelectorAll(".fm-handle")];
      nodes.slice(labels().length).forEach((node) => node.remove());
      labels().forEach(({ a, b, y }, k) => {
        const node = nodes[k] || handle(stage, k);
        if (!nodes[k]) boxes[j].append(node);
        node.style.left = `${50 * (1 + a / WIDE)}%`;
        node.style.top = `${50 * (1 - b / HIGH)}%`;
        node.tabIndex = j === shown ? 0 : -1;
        node.setAttribute("aria-label", `Label ${LETTERS[y]} at ${fixed(a)}, ${fixed(b)}`);
      });
    });
  }
  return {
    sync,
    show: (k) => {
      shown = k;
      sync();
    },
  };
}
