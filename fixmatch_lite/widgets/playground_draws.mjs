// One draw of points and labels is one story. The same training on twenty others, every result shown.
import { h, s, put, button, percent, median } from "./kit.mjs";
import { METHODS, makePoints, chooseLabeled, Learner } from "./playground_core.mjs";

export const POINTS = 200,
  STEPS = 600,
  DRAWS = 20;

// Trains in slices of 14 ms, so that the page stays awake. `views` get a strip of results each. That they were asked
// for is part of the state: the key `draws`.
export function manyDraws({ model, views, names, settings, tell }) {
  let current = null;
  const press = button("", () => (current ? halt() : begin()));
  const idle = () => {
    press.textContent = `${DRAWS} draws`;
    press.title = `Train on ${DRAWS} other draws of points and labels, without showing them`;
  };
  function begin() {
    const mine = (current = { done: METHODS.map(() => []), k: 0 }),
      { shape, labels, options } = settings(),
      firstSeed = model.get("seed") + 1;
    put(model, "draws", true);
    press.title = "Stop these draws";
    let learners = null;
    const slice = () => {
      if (current !== mine) return;
      const until = performance.now() + 14;
      while (performance.now() < until && mine.k < DRAWS) {
        if (!learners) {
          const seed = firstSeed + mine.k;
          const points = makePoints(shape, POINTS, seed);
          const labeled = chooseLabeled(points, labels, seed);
          learners = METHODS.map((m) => new Learner(m, points, labeled, options, seed));
        }
        learners.forEach((l) => l.train());
        if (learners[0].step < STEPS) continue;
        learners.forEach((l, k) => mine.done[k].push(l.judge().accuracy));
        learners = null;
        mine.k++;
        views.forEach((view, k) => strip(view, names[k], mine.done[k]));
      }
      if (mine.k < DRAWS) {
        press.textContent = `Stop (${mine.k})`;
        setTimeout(slice, 0);
        return;
      }
      stop();
      tell(`${DRAWS} draws. Median accuracy: ${names.map((name, k) => `${name} ${percent(median(mine.done[k]))}`).join(", ")}.`);
    };
    slice();
  }
  function stop() {
    current = null;
    idle();
  }
  function halt() {
    stop();
    put(model, "draws", false);
  }
  function forget() {
    halt();
    for (const view of views) view.strip.hidden = true;
  }
  model.on("change:draws", () => model.get("draws") && !current && begin()); // a link says so
  idle();
  if (model.get("draws")) setTimeout(begin, 0); // after the page has been built
  return { button: press, forget };
}

function strip(view, name, done) {
  const x = (a) => 4 + 192 * Math.max(0, (a - 0.5) / 0.5),
    m = median(done);
  const [least, most] = [Math.min(...done), Math.max(...done)].map((a) => Math.round(100 * a));
  const words = `${done.length} draws: median ${percent(m)} (${least}–${most})`;
  const tick = (a, y1, y2, attributes) => s("line", { x1: x(a), x2: x(a), y1, y2, ...attributes });
  const label = `${name}, accuracy on a line from 50 to 100 percent. ${words}.`;
  view.strip.hidden = false;
  view.strip.replaceChildren(
    s(
      "svg",
      { viewBox: "0 0 200 30", preserveAspectRatio: "none", role: "img", "aria-label": label },
      s("line", { x1: 4, x2: 196, y1: 24, y2: 24, stroke: "var(--fm-edge)" }),
      done.map((a) => tick(a, 10, 24, { stroke: "var(--fm-accuracy)", "stroke-width": 1.5, opacity: 0.6 })),
      tick(m, 2, 29, { stroke: "var(--fm-ink)", "stroke-width": 2.5 }),
    ),
    h("p", { class: "fm-muted", text: words }),
  );
}
