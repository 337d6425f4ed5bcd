"""Checkers for the exercises: they say whether an answer is right and, if not, what to look at.

One file per chapter, one function per exercise. A checker computes the truth itself, returns None for a right
answer and a sentence of help for a wrong one; the text after "Hint:" in its docstring is the deeper hint.
"""

import importlib
import inspect
import traceback

from ..errors import FixMatchError


def check(name: str, answer: object = ..., *, hint: bool = False) -> None:
    """Check an answer and print the verdict, and with it a right number or word, rounded.

    Args:
        name: chapter and exercise, for instance ``"study_hours.longer"``.
        answer: the reader's answer; the three dots of the notebook's stub count as not answered.
        hint: also print the deeper hint.

    Raises:
        FixMatchError: there is no such exercise. A wrong answer raises nothing.
    """
    chapter, _, exercise = name.partition(".")
    try:
        checker = getattr(importlib.import_module(f"{__name__}.{chapter}"), exercise)
    except (ImportError, AttributeError):
        raise FixMatchError(f"There is no exercise {name!r}; use the name given in the notebook.") from None
    if answer is ...:
        print("Not answered yet: put your answer in place of the three dots.")
    else:
        if getattr(answer, "shape", None) and answer.size == 1 and hasattr(answer, "item"):
            answer = answer.item()  # a prediction of one is a number
        try:
            trouble = checker(answer)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if _stopped(answer, error):
                trouble = f"Your function stopped with {told}. Call it with a small example of your own."
            else:  # a checker that stumbles over an answer of a wrong kind is a wrong answer
                trouble = f"The answer is not of the kind that this exercise asks for ({told})."
        print(f"Right{_told(answer)}." if trouble is None else f"Not yet. {trouble}")
    if hint:
        print("Hint:", inspect.cleandoc(checker.__doc__ or "").partition("Hint:")[2].strip() or "there is none.")


def _told(answer):
    """A right answer as ``check`` prints it: a number, a word, or a few of them; of others nothing."""
    several = isinstance(answer, (list, tuple))
    words = [_word(value) for value in (answer if several and len(answer) <= 10 else [] if several else [answer])]
    return f": {', '.join(words)}" if words and None not in words else ""


def _word(value):
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (str, bool)):
        return str(value)
    if isinstance(value, int) or isinstance(value, float) and (value.is_integer() or abs(value) >= 10_000):
        return f"{value:,.0f}"
    return f"{value:.4g}" if isinstance(value, float) else None


def _stopped(answer, error):
    """Whether ``error`` came out of the function that is the answer, and not out of the checker that looks at its result."""
    code = getattr(answer, "__code__", None)
    return code is not None and any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))
