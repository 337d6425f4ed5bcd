// Multiple choice. Choosing an option shows why it is right or wrong, and then why the others are; nothing is sent
// anywhere, and a choice can be changed.
import { start, h, prose, KEYS, newId, put } from "./kit.mjs";

export function score(items, chosen) {
  return items.reduce((n, item, k) => n + (chosen[k] !== null && item.options[chosen[k]].right ? 1 : 0), 0);
}

function render({ model, el }) {
  const items = model.get("items"),
    root = start(el);
  root.append(h("p", { class: "fm-note", text: "Choose an answer (keyboard: arrows, then Space). Every option comes with a reason." }));
  const total = h("p", { class: "fm-note", "aria-live": "polite" });
  const choose = (q, k) => {
    const chosen = [...model.get("chosen")];
    chosen[q] = k;
    put(model, "chosen", chosen);
  };
  // Arrow keys walk through the options, as they do in every list of this kind, and answer nothing yet. The browser makes
  // a click of them too, at once; a click that comes later is one that a hand or a screen reader has made.
  let walking = false;
  const blocks = items.map((item, q) => {
    const name = newId();
    const settle = (e) => set.contains(e.relatedTarget) || rows.forEach(({ input }, k) => (input.checked = model.get("chosen")[q] === k));
    const set = h("fieldset", { onfocusout: settle }, h("legend", {}, items.length > 1 ? `${q + 1}. ` : null, prose(item.question)));
    const rows = item.options.map((option, k) => {
      const why = h("p", { class: "fm-why", hidden: true, id: newId() });
      const input = h("input", {
        type: "radio",
        name,
        ...KEYS,
        "aria-describedby": why.id,
        onclick: () => walking || choose(q, k),
        onkeydown: (e) => {
          walking = e.key.startsWith("Arrow");
          if (walking) setTimeout(() => (walking = false));
          if (e.key === " " || e.key === "Enter") choose(q, k);
        },
      });
      set.append(h("label", { class: "fm-choice" }, input, h("span", {}, prose(option.text))), why);
      return { input, why, option };
    });
    root.append(set);
    return rows;
  });
  root.append(total);
  const update = () => {
    const chosen = model.get("chosen");
    blocks.forEach((rows, q) =>
      rows.forEach(({ input, why, option }, k) => {
        const open = chosen[q] !== null;
        if (open) input.checked = chosen[q] === k;
        why.hidden = !open;
        // The chosen option's reason comes with a verdict; the others follow in a quieter voice.
        why.replaceChildren(
          ...(open
            ? [
                h("strong", {
                  class: option.right ? "fm-kept" : "fm-wrong",
                  text: option.right ? "✓ Right. " : k === chosen[q] ? "✗ Not so. " : "✗ ",
                }),
                h("span", { class: k === chosen[q] ? "" : "fm-muted" }, prose(option.why)),
              ]
            : []),
        );
      }),
    );
    const done = chosen.filter((c) => c !== null).length;
    total.textContent = done
      ? `${score(items, chosen)} of ${done} answered right` + (done < items.length ? `; ${items.length - done} to go.` : ".")
      : "";
  };
  model.on("change:chosen", update);
  update();
}

export default { render };
