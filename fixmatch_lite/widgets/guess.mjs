// The reader commits to a guess before the page tells; later the guess stands beside what was measured.
import { start, h, prose, button, KEYS, newId, put, fixed, slider } from "./kit.mjs";

const PREFIX = "fixmatch-lite:guess:";
// Storage may be forbidden (private windows, sandboxed frames): then the guess lives as long as the page.
const memory = (globalThis.fmGuesses ||= {});
export function recall(key) {
  try {
    const text = localStorage.getItem(PREFIX + key);
    if (text) return JSON.parse(text);
  } catch {
    /* see above */
  }
  return memory[key] ?? null;
}
export function keepGuess(key, guess) {
  memory[key] = guess;
  try {
    guess === null ? localStorage.removeItem(PREFIX + key) : localStorage.setItem(PREFIX + key, JSON.stringify(guess));
  } catch {
    /* see above */
  }
  dispatchEvent(new CustomEvent("fm-guess", { detail: key }));
}

const decimals = (value) => (String(value).split(".")[1] || "").length;
const show = (value, unit, digits) =>
  typeof value === "number"
    ? fixed(value, digits ?? decimals(value)) + (unit ? " " + unit : "")
    : String(value);

function ask(root, model) {
  const get = (k) => model.get(k),
    choices = get("choices"),
    key = get("key");
  const committed = h("p", { "aria-live": "polite" });
  const form = h("div", {});
  let current = null,
    set = (guess) => (current = guess);
  const commit = button(
    "Keep my guess",
    () => {
      if (current === null) return;
      keepGuess(key, current);
      put(model, "guess", current);
      update();
      again.focus();
    },
    { class: "fm-main" },
  );
  const again = button("Change it", () => {
    keepGuess(key, null);
    put(model, "guess", null);
    update();
    commit.disabled ? inputs[0].focus() : commit.focus();
  });
  const inputs = [];
  if (choices) {
    const name = newId();
    const set = h("fieldset", {}, h("legend", {}, prose(get("question"))));
    choices.forEach((text) => {
      const input = h("input", {
        type: "radio",
        name,
        ...KEYS,
        onchange: () => {
          current = text;
          commit.disabled = false;
        },
      });
      input.value = text;
      inputs.push(input);
      set.append(h("label", { class: "fm-choice" }, input, h("span", {}, prose(text))));
    });
    form.append(set);
  } else {
    const unit = get("unit"),
      low = get("low"),
      high = get("high");
    current = (low + high) / 2;
    const digits = decimals(get("step"));
    current = +(low + Math.round((current - low) / get("step")) * get("step")).toFixed(digits);
    const listeners = [];
    set = (guess) => {
      current = guess;
      listeners.forEach((f) => f());
    };
    const tiny = {
      get: () => current,
      set: (k, v) => {
        set(v);
        commit.disabled = false;
      },
      on: (e, f) => listeners.push(f),
      save_changes() {},
    };
    const control = slider(tiny, "v", {
      label: "Your guess",
      min: low,
      max: high,
      step: get("step"),
      format: (v) => show(v, unit, digits),
    });
    inputs.push(control.querySelector("input"));
    form.append(
      h(
        "fieldset",
        {},
        h("legend", {}, prose(get("question"))),
        control,
        h(
          "div",
          { class: "fm-key", style: "justify-content:space-between;max-width:22rem", "aria-hidden": "true" },
          h("span", { text: show(low, unit) }),
          h("span", { text: show(high, unit) }),
        ),
      ),
    );
  }
  const update = () => {
    const guess = recall(key);
    commit.hidden = guess !== null;
    again.hidden = guess === null;
    commit.disabled = Boolean(choices) && current === null;
    for (const input of inputs) {
      input.disabled = guess !== null;
      if (choices && guess !== null) input.checked = input.value === guess;
    }
    if (guess !== null) set(guess);
    committed.textContent =
      guess === null
        ? get("note") || "There is no score. Your guess stays in this browser."
        : `Your guess: ${show(guess, get("unit"))}. Read on to see.`;
  };
  root.append(form, h("div", { class: "fm-buttons" }, commit, again), committed);
  committed.className = "fm-note";
  addEventListener("fm-guess", (e) => {
    if (e.detail === key) update();
  });
  update();
}

function reveal(root, model) {
  const get = (k) => model.get(k),
    answer = get("answer"),
    unit = get("unit"),
    digits = get("digits");
  const body = h("div", {}); // no live region: it would tell the answer to a guess that is made further up
  const update = () => {
    const guess = recall(get("key"));
    const line = (name, text, cls) => h("div", {}, h("dt", { text: name }), h("dd", { class: cls }, prose(text)));
    const numeric = typeof answer === "number";
    const off = numeric && typeof guess === "number" ? Math.abs(guess - answer) : null;
    const right = guess === null ? null : numeric ? null : guess === answer;
    body.replaceChildren(
      h(
        "dl",
        { class: "fm-numbers" },
        line(
          "You guessed",
          guess === null ? "nothing yet" : show(guess, unit) + (right === null ? "" : right ? " ✓ right" : " ✗ not so"),
          right === false ? "fm-wrong" : right ? "fm-kept" : "",
        ),
        line(numeric ? "Measured" : "What happened", show(answer, unit, digits), "fm-accuracy"),
        off === null ? null : line("Off by", show(off, unit === "%" ? "points" : unit, digits ?? Math.min(2, Math.max(decimals(guess), decimals(answer))))),
      ),
      ...(get("why") ? [h("p", {}, prose(get("why")))] : []),
    );
  };
  root.append(body);
  addEventListener("fm-guess", (e) => {
    if (e.detail === get("key")) update();
  });
  update();
}

function render({ model, el }) {
  const revealing = model.get("answer") !== null && model.get("answer") !== undefined;
  const root = start(el, revealing ? "Your guess and the answer" : "Guess first");
  (revealing ? reveal : ask)(root, model);
}

export default { render };
