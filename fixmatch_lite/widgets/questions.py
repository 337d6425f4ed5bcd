"""Guess first, check afterward: questions whose answers stay in the reader's own browser. Used in every chapter."""

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

from ..errors import FixMatchError
from .base import Widget, escape


class Guess(Widget):
    """The reader commits to a guess; `Guess.reveal` with the same key shows it beside the answer later.

    Args:
        question: plain text; `code` in backticks.
        choices: texts to choose from; leave out for a number.
        key: a name for the guess, unique in the whole book.
        low, high, step: range of the number and its grain (default: a hundredth of the range).
        unit: follows the number.
        note: a sentence under the question.

    Raises:
        FixMatchError: no key, fewer than two choices, the same choice twice, or no range.
    """

    module = "guess"

    def __init__(self, question: str, choices: Iterable[object] | None = None, key: str = "", *, low: float | None = None,
                 high: float | None = None, step: float | None = None, unit: str = "", note: str = "") -> None:
        if not key:
            raise FixMatchError("A guess needs a key, by which it is found again; give key='chapter-what'.")
        if choices is not None:
            choices = [str(choice) for choice in choices]
            if len(choices) < 2 or len(set(choices)) < len(choices):
                raise FixMatchError("A guess needs at least two choices, all different; change choices.")
        elif low is None or high is None or not low < high:
            raise FixMatchError("A guess of a number needs a range; give low and high, with low below high.")
        elif step is None:
            step = (high - low) / 100
        super().__init__({"question": question, "choices": choices, "key": key, "low": low, "high": high, "step": step,
                          "unit": unit, "note": note, "guess": None, "answer": None}, repr(key))

    @classmethod
    def reveal(cls, key: str, answer: Any, why: str = "", unit: str = "", digits: int | None = None) -> "Guess":
        """The guess kept under ``key`` beside what came out.

        Args:
            key: the key of the guess.
            answer: the text of the right choice, or the measured number.
            why: one or two sentences.
            unit, digits: how a number is written.
        """
        self = cls.__new__(cls)
        answer = answer.item() if hasattr(answer, "item") else answer
        Widget.__init__(self, {"key": key, "answer": answer, "why": why, "unit": unit, "digits": digits, "guess": None},
                        f"{key!r}, revealed")
        return self

    def fallback(self) -> str:
        state = self.state
        if state["answer"] is not None:
            value = state["answer"]
            if isinstance(value, (int, float)) and state["digits"] is not None:
                value = f"{value:.{state['digits']}f}"
            why = f"<p>{escape(state['why'])}</p>" if state["why"] else ""
            return f"<p><b>What happened:</b> {escape(value)} {escape(state['unit'])}</p>{why}"
        if state["choices"]:
            options = "".join(f"<li>{escape(choice)}</li>" for choice in state["choices"])
            return f'<p class="fm-title">Guess first</p><p>{escape(state["question"])}</p><ul>{options}</ul>'
        return (f'<p class="fm-title">Guess first</p><p>{escape(state["question"])} '
                f'(between {state["low"]} and {state["high"]} {escape(state["unit"])})</p>')


class Quiz(Widget):
    """Multiple choice with a reason for every option.

    Args:
        items: a list of ``{"question": str, "options": [{"text": str, "right": bool, "why": str}, ...]}``, with one
            right option each (plain text; `code` in backticks), or the name of a chapter whose questions come with the
            module, so that a notebook's cell does not show the answers.

    Raises:
        FixMatchError: an item without exactly one right option, or an option without a reason.
    """

    module = "quiz"

    def __init__(self, items: str | list[dict[str, Any]]) -> None:
        if isinstance(items, str):
            items = json.loads((resources.files("fixmatch_lite.exercises") / f"{items}.json").read_text("utf-8"))
        clean = []
        for number, item in enumerate(items, 1):
            options = [{"text": str(o["text"]), "right": bool(o.get("right", False)), "why": str(o.get("why", ""))}
                       for o in item["options"]]
            if sum(o["right"] for o in options) != 1:
                raise FixMatchError(f"Question {number} needs exactly one right option; mark it with right=True.")
            if not all(o["why"] for o in options):
                raise FixMatchError(f"Every option of question {number} needs a reason; fill in why.")
            clean.append({"question": str(item["question"]), "options": options})
        super().__init__({"items": clean, "chosen": [None] * len(clean)}, f"questions={len(clean)}")

    def fallback(self) -> str:
        parts = []
        for number, item in enumerate(self.state["items"], 1):
            options = "".join(f"<li>{escape(o['text'])}</li>" for o in item["options"])
            reasons = "".join(f"<li>{'✓' if o['right'] else '✗'} {escape(o['why'])}</li>" for o in item["options"])
            parts.append(f'<p>{number}. {escape(item["question"])}</p><ol type="a">{options}</ol>'
                         f'<details><summary>Answer and reasons</summary><ol type="a">{reasons}</ol></details>')
        return "".join(parts)
