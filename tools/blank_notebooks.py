"""Write two copies of each chapter for a lab, a blank one and one without the worked solutions:

    python tools/blank_notebooks.py [--check]

notebooks/blank: for those who want to type the code themselves. Of the chapter's own code imports and the first comment
are left, with the names that later cells use; a cell that shows a figure or a widget stays, and what holds plain values only.
notebooks/unsolved: the whole chapter, but no worked solution.
With --check, say which copies are not in step. A notebook of no chapter is named and never deleted: it may be somebody's work.
"""

import argparse
import ast
import json
import symtable
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = {
    "blank": "*A blank copy: the code is yours to write. `# makes:` names what later cells use; those that draw stay, and run "
             "when the code before them does. The full chapter stands in the folder above, under the same name.*\n\n",
    "unsolved": "*The chapter without its worked solutions. These stand in the folder above, under the same name.*\n\n",
}
FUNCTIONS = ast.FunctionDef, ast.ClassDef
IMPORTS = ast.Import, ast.ImportFrom


def scopes(table):
    yield table
    for inner in table.get_children():
        yield from scopes(inner)


def loads_and_binds(statement):
    """The names that a statement of a cell takes from before it, and those that it makes."""
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    binds = {name.get_name() for name in table.get_symbols() if name.is_assigned() or name.is_imported()}
    loads = {name.get_name() for scope in scopes(table) for name in scope.get_symbols()
             if name.is_referenced() and (scope is table or name.is_global())}
    if isinstance(statement, ast.AugAssign):
        loads |= binds
    elif not isinstance(statement, ast.Assign):
        loads -= binds
    return loads, binds


def plain(node):
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def described(name, statement):
    """A name as the reader has to write it: a function with its arguments, a short plain value with it."""
    value = statement.value if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) else None
    if isinstance(statement, ast.FunctionDef) or isinstance(value, ast.Lambda):
        return f"{name}({ast.unparse((value or statement).args)})"
    if value is not None and plain(value) and ast.literal_eval(value) and len(ast.unparse(value)) <= 40:
        return f"{name} = {ast.unparse(value)}"
    return name


def makes(statements, later):
    """What of ``statements`` the statements ``later`` take, in the order in which it is made."""
    alive = {name: described(name, s) for s in statements if not isinstance(s, IMPORTS)
             for name in sorted(loads_and_binds(s)[1], key=ast.unparse(s).find)}
    names, needed = list(alive), set()
    for statement in later:
        loads, binds = loads_and_binds(statement)
        needed |= loads & alive.keys()
        for name in binds & alive.keys() - needed:
            del alive[name]  # made anew before anybody asked for it
    return [alive[name] for name in names if name in needed]


def emptied(source, later=()):
    """What is left of a cell in a blank copy; ``later``: the statements of the cells after it."""
    statements = ast.parse(source).body
    first = next((line.strip() for line in source.splitlines() if line.strip().startswith("# ")), "")
    names = ", ".join(makes(statements, later)) or "nothing that a later cell uses"
    names = textwrap.fill(f"# makes: {names}", 110, subsequent_indent="#        ", break_on_hyphens=False)
    imports = "\n".join(ast.unparse(s) for s in statements if isinstance(s, IMPORTS))
    return "\n\n".join(filter(None, (imports, "\n".join(filter(None, (first, names))))))


def blanked(cell, source, later):
    """The cell for a blank copy. Of one that shows something what follows its last function stays."""
    statements, metadata = ast.parse(source).body, cell["metadata"]
    if all(isinstance(s, IMPORTS) or isinstance(s, ast.Assign) and plain(s.value) for s in statements):
        return source, metadata
    if "hide-input" in metadata.get("tags", []) or "figure" in metadata.get("mystnb", {}) or "fm.widgets." in source:
        end = max((s.end_lineno for s in statements if isinstance(s, FUNCTIONS)), default=0)
        lines = source.splitlines()
        write, rest = "\n".join(lines[:end]), "\n".join(lines[end:]).strip("\n")
        return (f"{emptied(write, ast.parse(rest).body + later)}\n\n{rest}" if end else source), metadata
    return emptied(source, later), {}


def copied(text, kind):
    """A copy of a notebook, of one of KINDS; both as JSON."""
    notebook = json.loads(text)
    cells, asked, noted = [], False, False
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    code = [ast.parse(source).body if cell["cell_type"] == "code" else [] for cell, source in zip(notebook["cells"], sources)]
    for place, (cell, source) in enumerate(zip(notebook["cells"], sources)):
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown":
            asked = asked or "## Exercises" in source.splitlines()
            if not noted:
                title, _, rest = source.partition("\n\n")
                source, noted = f"{title}\n\n{KINDS[kind]}{rest}", True
            source = source.replace("](../", "](../../")
        elif "solution" in tags:
            continue
        elif kind == "blank" and "setup" not in tags and not (asked and "answer = ..." in source):
            source, cell["metadata"] = blanked(cell, source, sum(code[place + 1:], []))
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        cells.append(cell | {"source": source.splitlines(keepends=True)})
    return json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].rstrip(":"))
    parser.add_argument("--check", action="store_true", help="write nothing, and say which copies are not in step")
    check = parser.parse_args().check
    chapters = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    wanted = {f"{kind}/{name}": copied(text, kind) for kind in KINDS for name, text in chapters.items()}
    there = {f"{kind}/{path.name}": path.read_text(encoding="utf-8")
             for kind in KINDS for path in (ROOT / "notebooks" / kind).glob("*.ipynb")}
    wrong = sorted(name for name in wanted if wanted[name] != there.get(name))
    unknown = sorted(there.keys() - wanted.keys())
    if not check:
        for name in wrong:
            path = ROOT / "notebooks" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[name], encoding="utf-8")
    for name in wrong:
        print(f"{'not in step' if check else 'written'}: notebooks/{name}")
    for name in unknown:
        print(f"of no chapter: notebooks/{name} (left as it is; delete it if its chapter is gone, else move it elsewhere)")
    return int(check and bool(wrong or unknown))


if __name__ == "__main__":
    sys.exit(main())
