// The FixMatch loss of a batch small enough to see whole, and its gradient. Every logit can be changed; what is under
// the reader's hands lights up in the sum.
import { start, h, put, KEYS, slider, fixed, foot, fromLink, numbers, button } from "./kit.mjs";
import { takeComma } from "./comma.mjs";

export function softmax(z) {
  const m = Math.max(...z),
    e = z.map((v) => Math.exp(v - m)),
    t = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / t);
}
const crossEntropy = (z, c) => {
  const m = Math.max(...z);
  return m + Math.log(z.reduce((a, v) => a + Math.exp(v - m), 0)) - z[c];
};
const mean = (v) => v.reduce((a, b) => a + b, 0) / v.length;

// One cross-entropy, and the gradient by the logits of what it adds to the total: its weight there times p - onehot(c).
function term(z, c, weight) {
  const p = softmax(z);
  return { p, loss: crossEntropy(z, c), gradient: p.map((v, k) => weight * (k === c ? v - 1 : v)) };
}

// Equations 3 and 4 of the paper. The unsupervised mean runs over all unlabeled examples, kept or not.
export function fixmatchLoss({ logits_x, y, weak, strong, tau, lambda_u }) {
  const given = logits_x.map((z, b) => term(z, y[b], 1 / y.length));
  const rows = weak.map((z, b) => {
    const q = softmax(z),
      confidence = Math.max(...q),
      pseudoLabel = q.indexOf(confidence),
      mask = Math.fround(confidence) >= Math.fround(tau) ? 1 : 0; // in float32, as the module does
    return { q, confidence, pseudoLabel, mask, ...term(strong[b], pseudoLabel, (lambda_u * mask) / weak.length) };
  });
  const supervised = mean(given.map((r) => r.loss)),
    unsupervised = mean(rows.map((r) => r.mask * r.loss));
  return { given, rows, supervised, unsupervised, total: supervised + lambda_u * unsupervised };
}
const signed = (v) => (v === 0 ? "0" : (v > 0 ? "+" : "") + fixed(v, 4));

const STYLE = `
.fm-batch { display: grid; gap: .45rem; margin: .4rem 0; }
.fm-example { border: 1px solid var(--fm-line); border-left: 4px solid var(--fm-edge); border-radius: 6px; padding: .35rem .55rem; background: var(--fm-raised);
  display: grid; grid-template-columns: 3.1rem minmax(0, 1fr) minmax(0, 1fr); gap: .2rem .9rem; align-items: start; }
.fm-example[data-on="kept"] { border-left-color: var(--fm-kept); } .fm-example[data-on="labeled"] { border-left-color: var(--fm-labeled); }
.fm-example[data-on="dropped"] { border-left-style: dashed; border-left-color: var(--fm-dropped); }
.fm-example > b { padding-top: .2rem; } .fm-view { min-width: 0; }
.fm-view > div:first-child { font-size: .84em; color: var(--fm-muted); }
.fm-logits { display: grid; gap: .15rem .35rem; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); grid-template-rows: auto auto auto; max-width: 17rem; }
.fm-widget .fm-logits input { width: 100%; padding: .1rem .25rem; text-align: right; min-height: 34px; }
.fm-logits span { font-size: .84em; } .fm-logits .fm-p { position: relative; padding: 0 .15rem 6px; text-align: right; overflow: hidden; }
.fm-logits .fm-p::before { content: ""; position: absolute; inset: auto auto 0 0; height: 3px; width: calc(100% * var(--p)); background: currentColor; opacity: .75; }
.fm-logits.fm-gradient { grid-template-rows: auto; margin-top: .25rem; border-radius: 4px; text-align: right; }
.fm-gradient span { padding: .1rem .15rem; overflow: hidden; }
.fm-say { font-size: .9em; min-height: 1.4em; } .fm-formula { padding: .4rem .55rem; border-radius: 6px; border: 1px solid var(--fm-line); overflow-x: auto; line-height: 1.9; font-size: .95em; }
.fm-formula span[data-b], .fm-formula span[data-t] { padding: .1rem .2rem; border-radius: 4px; white-space: nowrap; }
.fm-formula .fm-lit { outline: 2px solid var(--fm-accuracy); background: var(--fm-raised); font-weight: 640; }
.fm-formula .fm-off { color: var(--fm-muted); text-decoration: line-through; }
@media (max-width: 560px) { .fm-example { grid-template-columns: minmax(0, 1fr); } .fm-logits { max-width: none; } .fm-widget .fm-logits input { min-height: 40px; } }`;

function render({ model, el }) {
  const root = start(el),
    get = (k) => model.get(k),
    names = get("classNames");
  const keys = ["tau", "lambda_u", "logits_x", "weak", "strong"],
    first = Object.fromEntries(keys.map((k) => [k, structuredClone(get(k))]));
  fromLink(root, model, keys);
  root.append(h("style", { text: STYLE }));
  const result = () => fixmatchLoss(Object.fromEntries(["y", ...keys].map((k) => [k, get(k)])));
  const out = numbers([
    ["supervised", "loss_supervised", "fm-labeled"],
    ["unsupervised", "loss_unsupervised", "fm-kept"],
    ["total", "total", "fm-accuracy"],
  ]);
  root.append(
    h(
      "div",
      { class: "fm-controls" },
      slider(model, "tau", { label: "Threshold τ", min: 0, max: 1, step: 0.01 }),
      slider(model, "lambda_u", { label: "Weight `lambda_u`", min: 0, max: 5, step: 0.1, format: (v) => fixed(v, 1) }),
    ),
  );
  const formula = h("div", { class: "fm-formula", tabindex: 0, role: "region", "aria-label": "The sum" });
  root.append(
    formula,
    out.list,
    h("p", {
      class: "fm-note",
      text:
        `The unsupervised sum is divided by all ${get("weak").length} examples, kept or not. The last row of a view is the ` +
        "gradient of the total with respect to its logits. The weak view has none: no gradient flows through the pseudo-label.",
    }),
  );
  let lit = [];
  const light = (...names) => {
    lit = names;
    formula.querySelectorAll("[data-t]").forEach((n) => n.classList.toggle("fm-lit", lit.includes(n.dataset.t)));
  };

  // The logits of one view, under each the probability they come to, and under that the gradient, where there is one.
  const view = (key, b, title, shown) => {
    const grid = h("div", { class: "fm-logits" }),
      shares = [],
      gradientRow = key === "weak" ? null : h("div", { class: "fm-logits fm-gradient", role: "img", tabindex: 0 });
    names.forEach((name, c) => {
      const input = h("input", {
        type: "number",
        step: 0.5,
        min: -50,
        max: 50,
        ...KEYS,
        "aria-label": `${title}, example ${b + 1}, logit of ${name}`,
      });
      input.value = get(key)[b][c];
      takeComma(input);
      input.addEventListener("input", () => {
        if (!Number.isFinite(input.valueAsNumber)) return; // no number yet
        const v = Math.max(-50, Math.min(50, input.valueAsNumber));
        put(model, key, get(key).map((row, k) => (k === b ? row.map((old, j) => (j === c ? v : old)) : row)));
      });
      input.addEventListener("change", () => (input.value = get(key)[b][c])); // what counts, where the field held no such number
      shares.push(h("span", { class: "fm-p" }));
      grid.append(h("span", { class: "fm-muted", text: name }), input, shares[c]);
    });
    const refresh = (p, gradient) => {
      shares.forEach((node, c) => {
        node.textContent = fixed(p[c], 3);
        node.style.setProperty("--p", p[c]);
      });
      grid.querySelectorAll("input").forEach((input, c) => {
        if (document.activeElement !== input) input.value = get(key)[b][c];
      });
      if (!gradientRow) return;
      gradientRow.replaceChildren(...gradient.map((v) => h("span", { text: signed(v) })));
      gradientRow.setAttribute(
        "aria-label",
        `Gradient, ${title}, example ${b + 1}: ${names.map((name, c) => `${name} ${signed(gradient[c])}`).join(", ")}`,
      );
    };
    const head = h("div", { text: `${title}: ${shown}` });
    return { node: h("div", { class: "fm-view" }, head, grid, gradientRow), refresh };
  };
  // A gradient has the weight of its term as a factor, and lights that up, too.
  const watch = (card, t) => {
    const on = (e) => light(t, e.target.closest(".fm-gradient") ? t[0] : t);
    for (const e of ["focusin", "pointerover"]) card.addEventListener(e, on);
    for (const e of ["focusout", "pointerleave"]) card.addEventListener(e, () => light());
  };
  const batch = h("div", { class: "fm-batch" });
  const labeled = get("logits_x").map((_, b) => {
    const a = view("logits_x", b, "labeled", "logits, p, gradient"),
      text = h("p", { class: "fm-say" });
    const card = h(
      "div",
      { class: "fm-example", "data-on": "labeled", role: "group", "aria-label": `Labeled example ${b + 1}` },
      h("b", { text: `x ${b + 1}` }),
      a.node,
      h("div", { class: "fm-view" }, h("div", { text: `its label y: ${names[get("y")[b]]}` }), text),
    );
    watch(card, `x${b}`);
    batch.append(card);
    return { a, text };
  });
  const cards = get("weak").map((_, b) => {
    const a = view("weak", b, "weak view", "logits, q, no gradient"),
      c = view("strong", b, "strong view", "logits, p, gradient"),
      left = h("p", { class: "fm-say" }),
      right = h("p", { class: "fm-say" });
    a.node.append(left);
    c.node.append(right);
    const card = h(
      "div",
      { class: "fm-example", role: "group", "aria-label": `Unlabeled example ${b + 1}` },
      h("b", { text: `u ${b + 1}` }),
      a.node,
      c.node,
    );
    watch(card, `u${b}`);
    batch.append(card);
    return { a, c, left, right, card };
  });
  root.append(
    batch,
    h(
      "div",
      { class: "fm-buttons" },
      button("Put the logits back", () => {
        for (const k of keys) model.set(k, structuredClone(first[k]));
        model.save_changes();
      }),
    ),
  );
  const refresh = foot(root, model, keys, () => {
    const { given, rows } = result();
    const row = (name, confidence, c, mask, r, n) => {
      const adds = mask === 0 ? 0 : r.loss / n;
      return [name, confidence, names[c], mask, fixed(r.loss, 4), fixed(adds, 4), ...r.gradient.map(signed)];
    };
    const head = ["example", "confidence", "label or pseudo_label", "mask", "cross-entropy", "adds to its mean"];
    return {
      caption: "All examples",
      head: [...head, ...names.map((name) => `gradient, ${name}`)],
      rows: [
        ...given.map((r, b) => row(`x ${b + 1}`, "–", get("y")[b], "–", r, given.length)),
        ...rows.map((r, b) => row(`u ${b + 1}`, fixed(r.confidence, 4), r.pseudoLabel, r.mask, r, rows.length)),
      ],
    };
  });
  const update = () => {
    const r = result(),
      n = r.rows.length,
      dot = " · ";
    labeled.forEach(({ a, text }, b) => {
      a.refresh(r.given[b].p, r.given[b].gradient);
      text.textContent = `−log p(${names[get("y")[b]]}) = ${fixed(r.given[b].loss, 4)}`;
    });
    cards.forEach(({ a, c, left, right, card }, b) => {
      const row = r.rows[b],
        name = names[row.pseudoLabel];
      a.refresh(row.q);
      c.refresh(row.p, row.gradient);
      card.dataset.on = row.mask ? "kept" : "dropped";
      left.replaceChildren(
        `confidence ${fixed(row.confidence, 4)} ${row.mask ? "≥" : "<"} τ: `,
        h("b", { class: row.mask ? "fm-kept" : "fm-muted", text: row.mask ? `▲ kept, “${name}”` : "○ dropped" }),
      );
      right.textContent = `−log p(${name}) = ${fixed(row.loss, 4)}${row.mask ? "" : ", not counted"}`;
    });
    const lost = ({ loss }, b) => h("span", { "data-t": `x${b}`, class: "fm-labeled", text: fixed(loss, 3) });
    const xs = r.given.map(lost);
    const us = r.rows.map((row, b) =>
      h("span", { "data-t": `u${b}`, class: row.mask ? "fm-kept" : "fm-off", text: `${row.mask}${dot}${fixed(row.loss, 3)}` }),
    );
    const join = (list) => list.flatMap((node, k) => (k ? [" + ", node] : [node]));
    formula.replaceChildren(
      "total = ",
      ...(xs.length > 1 ? [h("span", { "data-t": "x", text: `1/${xs.length}` }), " (", ...join(xs), ")"] : xs),
      " + ",
      h("span", { "data-t": "u", text: `${fixed(get("lambda_u"), 1)}${dot}1/${n}` }),
      " (",
      ...join(us),
      ") = ",
      h("b", { class: "fm-accuracy", text: fixed(r.total, 4) }),
    );
    light(...lit);
    out.set({ supervised: fixed(r.supervised, 4), unsupervised: fixed(r.unsupervised, 4), total: fixed(r.total, 4) });
    refresh();
  };
  for (const k of keys) model.on(`change:${k}`, update);
  update();
}

export default { render };
