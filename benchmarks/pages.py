"""The book's pages, as controls.py reads them: their words, and those of their lines of code that a name needs."""

import ast
import contextlib
import dis
import io
import json
import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
GROWS = ("append", "extend", "update")


def cells(page):
    """``(kind, text)`` for each cell of a notebook; of a Markdown page the whole text and then each of its code cells."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    codes = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text, re.S | re.M)
    return [("markdown", text)] + [("code", re.sub(r"\A(---\n.*?^---\n|(:[^\n]*\n)+)", "", code, flags=re.S | re.M)) for code in codes]


def words(page):
    """All that a page says, its code included, with single spaces."""
    return " ".join(" ".join(text for _, text in cells(page)).split())


def _names(code):
    """The global names that a code object and those within it load, and those that it binds."""
    loads, binds = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            loads.add(step.argval)
        elif step.opname in ("STORE_NAME", "STORE_GLOBAL"):
            binds.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            within = _names(inner)
            loads |= within[0] | within[1]  # the names of a class's body are its own; to want one too many does no harm
    return loads, binds


def _changed(statement):
    """Names of what a statement changes in place: ``name[...] = ...``, ``name[...].append(...)``."""
    for node in ast.walk(statement):
        place = node if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GROWS:
            place = node.func.value
        while isinstance(place, (ast.Subscript, ast.Attribute)):
            place = place.value
        if isinstance(place, ast.Name):
            yield place.id


def made_by(page, *names):
    """What the page calls by these names: runs, of the code before the page's quiz, the statements that they need.

    So a control measures with the page's own functions, data and seeds. Statements that only print or draw are left out.
    """
    statements = []
    for kind, text in cells(page):
        if kind == "code":
            statements += ast.parse(text).body
        elif page.endswith(".ipynb") and "## Check yourself" in text:
            break
    wanted, needed = set(names), []
    for statement in reversed(statements):
        loads, binds = _names(compile(ast.Module([statement], []), page, "exec"))
        if wanted & (binds | set(_changed(statement))):
            needed.append(statement)
            wanted = wanted - binds | loads
    space = {"__name__": page}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ast.Module(needed[::-1], []), page, "exec"), space)
    return types.SimpleNamespace(space=space, **{name: space[name] for name in names})


DRAWS = range(5)
CONTROLS = {}  # by name; see controls.py


def chapter(name, *names):
    return made_by(f"notebooks/{name}.ipynb", *names)


def control(page, quote, told, minutes):
    """Puts a function among the controls; it gives figures by name: numbers or lists of them, accuracies in percent.

    Args:
        page: a chapter, or a page below the root.
        quote: the sentence, or the part of it that has the figure, as it stands there.
        told: the same, with the names of the figures in braces.
        minutes: on one core.
    """
    def keep(measure):
        CONTROLS[measure.__name__.replace("_", "-")] = types.SimpleNamespace(
            page=page if "/" in page else f"notebooks/{page}.ipynb", quote=quote, told=told, minutes=minutes, measure=measure)
        return measure
    return keep


def score(model, x, y, x_test, y_test):
    """Fitted on the first two, right on so many percent of the others."""
    return 100 * model.fit(x, y).score(x_test, y_test)
