"""Every chapter is whole: its parts in their order, short cells, exercises that can be checked, clean files.

That its cells run is nbval's part: `make test` collects the notebooks themselves."""

import ast
import builtins
import json
import os
import re
import statistics
import subprocess
import sys
import tomllib

import pytest

from conftest import ROOT

from fixmatch_lite.report import SECONDS

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HEADINGS = ["You will be able to", "Guess first", "What goes wrong", "The paper and this page", "Check yourself",
            "Exercises", "Key points", "Where to read on"]
# ipywidgets 8 has these and Colab's 7.7 does not.
ONLY_IN_8 = re.compile(r"\b(TagsInput|ColorsInput|FloatsInput|IntsInput|TimePicker|NaiveDatetimePicker|DatetimePicker"
                       r"|widgets\.Stack)\b|\b(titles|tooltip)\s*=")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def markdown(notebook):
    return "\n\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def figures(notebook):
    return [cell for cell in code_cells(notebook) if re.search(r"plt\.show\(\)|plt\.subplots?\(", source(cell))
            or "mystnb" in cell["metadata"] and "figure" in cell["metadata"]["mystnb"]]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return read(request.param)


def test_all_chapters_of_the_contents_are_here():
    listed = re.findall(r"file: notebooks/(\S+)", (ROOT / "_toc.yml").read_text())
    assert listed == [path.stem for path in NOTEBOOKS]
    assert len(listed) >= 4


def test_headings_stand_in_order(notebook):
    text = re.sub(r"```.*?```", "", markdown(notebook), flags=re.S)
    assert len(re.findall(r"^# .+", text, re.M)) == 1, "one title"
    found = re.findall(r"^## (.+?)\s*$", text, re.M)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS
    story = found[found.index("Guess first") + 1:found.index("What goes wrong")]
    assert len(story) >= 2, "the story has sections"


def test_first_cell_asks_a_question_and_says_how_long_it_takes(notebook):
    first = source(notebook["cells"][0])
    number = int(re.match(r"# (\d+)\. ", first)[1])
    found = re.search(r"^\*Reading time about \d+ minutes?\. The code runs in about (\d+) seconds on two CPU cores\.\*$", first, re.M)
    assert int(found[1]) == SECONDS[number - 1] <= 120, "the set-up cell works out this machine's minutes from it"
    assert "?" in first + source(notebook["cells"][1]), "a chapter opens with its question"


def test_says_what_it_costs_at_full_scale(notebook):
    text = markdown(notebook)
    paper = text[text.index("## The paper and this page"):text.index("## Check yourself")]
    assert re.search(r"\*\*At full scale\.\*\* .*\d", paper), "beside the paper: what this chapter would cost at full scale"


def test_set_up_cell_is_the_same_everywhere_and_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = re.search(r'"(.+)"', (ROOT / "fixmatch_lite" / "version.py").read_text())[1]
    cells = {path.stem: [source(cell) for cell in code_cells(read(path)) if "setup" in tags(cell)] for path in NOTEBOOKS}
    assert all(len(found) == 1 for found in cells.values()), cells
    texts = {found[0] for found in cells.values()}
    assert len(texts) == 1
    text = texts.pop()
    assert f"{project['urls']['Repository']}/archive/refs/tags/v{version}.zip" in text
    assert "--no-deps" in text, "numpy, torch and ipywidgets stay as they are"
    assert text.splitlines()[-1] == "fm.report()"
    for path in NOTEBOOKS:
        assert "setup" in tags(code_cells(read(path))[0]), f"{path.name}: set-up comes first"


def test_cells_are_short(notebook):
    lengths = [len(source(cell).strip().splitlines()) for cell in code_cells(notebook)]
    assert statistics.median(lengths) <= 6
    assert max(lengths) <= 25


def test_story_has_ten_to_eighteen_code_cells(notebook):
    told = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and "## Exercises" in source(cell).splitlines():
            break
        if cell["cell_type"] == "code" and "setup" not in tags(cell) and "fm.widgets.Guess" not in source(cell):
            told.append(cell)
    assert 10 <= len(told) <= 18, len(told)


def test_length_of_the_text(notebook):
    text = re.sub(r"\$\$.*?\$\$|\$[^$]+\$|```.*?```", " x ", markdown(notebook), flags=re.S)
    text = re.sub(r"\]\([^)]*\)|\{[a-z:-]+\}", " ", text)
    words = re.findall(r"\w[\w'’.,%-]*", text)
    assert 1300 <= len(words) <= 2200, len(words)


def test_figures_have_a_description_and_a_caption(notebook):
    found = figures(notebook)
    assert len(found) >= 2
    names = []
    for cell in found:
        meta = cell["metadata"].get("mystnb", {})
        assert len(meta.get("image", {}).get("alt", "").split()) >= 6, source(cell)
        assert len(meta.get("figure", {}).get("caption", "").split()) >= 4, source(cell)
        names.append(meta["figure"]["name"])
    assert len(set(names)) == len(names)


def test_figure_names_are_unique_in_the_book():
    names = [cell["metadata"]["mystnb"]["figure"]["name"] for path in NOTEBOOKS for cell in figures(read(path))]
    assert len(set(names)) == len(names)


def test_a_widget_is_at_the_center(notebook):
    assert any("fm.widgets." in source(cell) or "from fixmatch_lite.widgets" in source(cell)
               for cell in code_cells(notebook))


def test_exercises_have_a_checker_and_a_folded_solution(notebook):
    import fixmatch_lite.exercises as exercises

    cells = notebook["cells"]
    starts = [i for i, cell in enumerate(cells)
              if cell["cell_type"] == "markdown" and re.search(r"^### Exercise \d+: \S", source(cell), re.M)]
    numbers = [int(re.search(r"^### Exercise (\d+)", source(cells[i]), re.M)[1]) for i in starts]
    assert numbers == list(range(1, len(starts) + 1)) and len(starts) >= 5
    seen = set()
    for start, end in zip(starts, [*starts[1:], len(cells)]):
        code = [cell for cell in cells[start:end] if cell["cell_type"] == "code"]
        stubs = [cell for cell in code if "solution" not in tags(cell)]
        solutions = [cell for cell in code if "solution" in tags(cell)]
        title = source(cells[start]).splitlines()[0]
        assert stubs and solutions, f"{title}: a stub and a solution"
        assert re.search(r"\banswer\b|\.\.\.", source(stubs[0])), f"{title}: something to fill in"
        name = re.search(r"""exercises\.check\(\s*["']([\w.]+)["']""", source(stubs[-1]))
        assert name, f"{title}: the stub is checked"
        seen.add(name[1])
        solution = solutions[-1]
        assert f'check("{name[1]}"' in source(solution), f"{title}: the solution is checked in the same way"
        assert "hide-cell" in tags(solution) and solution["metadata"]["jupyter"]["source_hidden"] is True
        assert solution["metadata"]["cellView"] == "form" and source(solution).startswith("# @title Solution")
        assert solution["metadata"]["mystnb"]["code_prompt_show"] == "Show the solution"
    assert len(seen) == len(starts)
    assert callable(exercises.check)


def test_no_solution_is_left_open(notebook):
    for cell in code_cells(notebook):
        if "solution" in tags(cell):
            assert not re.search(r"answer\s*=\s*\.\.\.", source(cell)), source(cell)
            ast.parse(re.sub(r"^%.*$", "", source(cell), flags=re.M))


def test_links_on_to_the_next_chapter():
    for path, following in zip(NOTEBOOKS, NOTEBOOKS[1:]):
        last = next(source(cell) for cell in reversed(read(path)["cells"]) if cell["cell_type"] == "markdown")
        assert following.name in last, path.name


def test_files_are_in_the_committed_form(root):
    result = subprocess.run([sys.executable, "tools/strip_notebooks.py", "--check"], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_no_outputs_but_those_that_are_compared(notebook):
    assert "widgets" not in notebook["metadata"]
    for cell in code_cells(notebook):
        assert cell["execution_count"] == (1 if cell["outputs"] else None)
        if cell["outputs"]:
            assert "nbval-check-output" in tags(cell), source(cell)
        if "nbval-check-output" in tags(cell):
            assert cell["outputs"] and "keep_output" in tags(cell), source(cell)
            assert all(output["output_type"] in ("stream", "execute_result") for output in cell["outputs"])


def test_cell_ids_are_there_and_unique(notebook):
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_nothing_that_only_ipywidgets_8_has(notebook):
    for cell in code_cells(notebook):
        if "widgets" in source(cell):
            assert not ONLY_IN_8.search(source(cell)), source(cell)


def test_no_chapter_asks_colab_for_a_gpu():
    """No chapter needs a GPU: one that asked Colab for it would use up the reader's share, or open without one."""
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        notebook = read(path)
        for metadata in [notebook["metadata"], *(cell["metadata"] for cell in notebook["cells"])]:
            assert "accelerator" not in metadata and "gpuType" not in metadata.get("colab", {}), path
    start = " ".join((ROOT / "book" / "start.md").read_text(encoding="utf-8").split())
    assert "No chapter needs a GPU, a graphics card." in start


def test_nothing_is_installed_or_fetched_but_by_the_set_up_cell(notebook):
    for cell in code_cells(notebook):
        if "setup" not in tags(cell):
            assert not re.search(r"pip install|^\s*[!%]|https?://", source(cell), re.M), source(cell)


# Copies for a lab ------------------------------------------------------------------------------------------------

@pytest.fixture()
def copies(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import blank_notebooks

    return blank_notebooks


def test_copies_are_in_step():
    result = subprocess.run([sys.executable, "tools/blank_notebooks.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, f"{result.stdout}(python tools/blank_notebooks.py writes them)"


@pytest.mark.parametrize("kind", ["blank", "unsolved"])
def test_a_copy_has_all_of_the_text_and_none_of_the_solutions(notebook, request, kind):
    import nbformat

    copy = read(ROOT / "notebooks" / kind / f"{request.node.callspec.params['notebook'].stem}.ipynb")
    nbformat.validate(nbformat.from_dict(copy))
    assert len(markdown(copy).split()) > len(markdown(notebook).split())
    mine = [cell for cell in code_cells(notebook) if "solution" not in tags(cell)]
    assert len(mine) == len(code_cells(copy)) and sum("answer = ..." in source(cell) for cell in mine) >= 5
    for cell, copied in zip(mine, code_cells(copy)):
        whole = kind == "unsolved" or "setup" in tags(cell) or "hide-input" in tags(cell) or "answer = ..." in source(cell)
        assert not copied["outputs"] and (not whole or source(cell) == source(copied) and tags(cell) == tags(copied))
    for link in re.findall(r"\]\(((?:\.\./)+[^)#]+)", markdown(copy)):
        assert (ROOT / "notebooks" / kind / link).exists(), link


def test_a_blank_copy_has_what_shows_and_names_what_that_takes(notebook, request, copies):
    blank = read(ROOT / "notebooks" / "blank" / f"{request.node.callspec.id}.ipynb")
    known = {"fm", "display", *dir(builtins)}
    copies_of = iter(code_cells(blank))
    for cell in code_cells(notebook):
        copied = cell if "solution" in tags(cell) else next(copies_of)
        statements = ast.parse(source(copied)).body
        for statement in statements:
            loads, binds = copies.loads_and_binds(statement)
            if "# makes:" in source(copied) and not isinstance(statement, copies.IMPORTS):
                loads -= named(copied)
            assert loads <= known, f"{loads - known} in {source(copied)}"
            known |= binds
        known |= named(copied)
        if figures({"cells": [cell]}) or "fm.widgets." in source(cell):
            assert source(cell).splitlines()[-1] == source(copied).splitlines()[-1], source(copied)
        elif source(cell) != source(copied):
            left = [line for line in source(copied).splitlines() if line and not line.startswith(("# ", "import ", "from "))]
            assert not left and not tags(copied), source(copied)


def named(cell):
    """The names that a blank copy's cell is to make."""
    told = re.search(r"^# makes: (.*(?:\n#        .*)*)", source(cell), re.M)
    text = re.sub(r"\n#       ", "", told[1]) if told else ""
    while "(" in text or "[" in text:
        text = re.sub(r"\([^()]*\)|\[[^][]*\]", "", text)
    return {name.partition(" =")[0].strip() for name in text.split(",")}


def test_what_is_left_of_an_emptied_cell(copies):
    emptied = lambda text, later="": copies.emptied(text, ast.parse(later).body)
    nothing = "# makes: nothing that a later cell uses"
    assert emptied("x = 1  # beside\n  # first\n# second") == f"# first\n{nothing}"
    assert emptied("import numpy as np\nx = np.ones(2)", "y = x + 1") == "import numpy as np\n\n# makes: x"
    code = "def f(a, b=2, *, c=None):\n    return g(a)\n\ng = lambda q, T=0.5: q\ntau, table, rows = 0.8, [0], []\nt = 0.9\nrows = []"
    assert emptied(code, "f(1), g(2), t, rows, table") == "# makes: f(a, b=2, *, c=None), g(q, T=0.5), table, rows, t = 0.9"
    assert emptied("x = y = f()", "x = 2\ny += x") == "# makes: y", "x is made anew before it is asked for"
    assert emptied("x, y = 1, 2", "def f(x):\n    return x + y") == "# makes: y", "an argument is not asked for"
    assert emptied("for run in runs:\n    a = run", "[run for a in b]") == "# makes: run"
    long = emptied("\n".join(f"a_long_name_{k} = {k}" for k in range(1, 12)), "\n".join(f"a_long_name_{k}" for k in range(1, 12)))
    assert all(line.startswith("# ") and len(line) <= 110 for line in long.splitlines()) and len(long.splitlines()) > 1


@pytest.mark.parametrize(("code", "metadata", "left"), [
    ("plt.plot(x)", {"mystnb": {"figure": {}}}, "plt.plot(x)"),
    ("fm.widgets.Contrast()", {}, "fm.widgets.Contrast()"),
    ("import pandas\nTABLE = {('a', 1): (2.5, None)}", {}, "import pandas\nTABLE = {('a', 1): (2.5, None)}"),
    ("x = 1\ndef f(a):\n    return a\n\nfm.widgets.See(f(x))", {}, "# makes: x = 1, f(a)\n\nfm.widgets.See(f(x))"),
    ("x = compute()\nprint(x)", {"tags": ["keep_output"]}, "# makes: nothing that a later cell uses")])
def test_a_cell_that_shows_stays(copies, code, metadata, left):
    cell, kept = {"metadata": metadata}, left.endswith(code.splitlines()[-1])
    assert copies.blanked(cell, code, []) == (left, metadata if kept else {})


def test_sections_that_teachers_are_sent_to_are_there():
    sent = re.findall(r'\(\d, "(\d+)", "([^"]+)",', (ROOT / "book" / "teachers.md").read_text(encoding="utf-8"))
    assert len(sent) >= 8
    for chapter, sections in sent:
        path = next(path for path in NOTEBOOKS if path.stem.startswith(f"{int(chapter):02}_"))
        headings = re.findall(r"^## (.+?)\s*$", markdown(read(path)), re.M)
        assert set(sections.split("; ")) <= set(headings), chapter


@pytest.mark.parametrize(("failing", "starts"), [(0, 1), (1, 2), (2, 3), (3, None)])
def test_a_kernel_that_does_not_start_is_tried_three_times(monkeypatch, failing, starts):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import second_kernel

    tried = []

    def kernel(*args, **more):
        tried.append((args, more))
        if len(tried) <= failing:
            raise RuntimeError("Kernel didn't respond in 60 seconds")
        return "a kernel"

    monkeypatch.setattr(second_kernel, "RunningKernel", kernel)
    if starts is None:
        with pytest.raises(RuntimeError, match="didn't respond"):
            second_kernel.running_kernel("python3", cwd=".")
    else:
        assert second_kernel.running_kernel("python3", cwd=".") == "a kernel"
    assert tried == [(("python3",), {"cwd": "."})] * (starts or 3)


def test_a_notebook_whose_kernel_does_not_start_gets_another(tmp_path):
    (tmp_path / "failing.py").write_text(
        "import nbval.kernel\n"
        "start, count = nbval.kernel.start_new_kernel, []\n"
        "def starts_late(*args, **more):\n"
        "    count.append(None)\n"
        "    if len(count) <= 1:\n"
        "        raise RuntimeError(\"Kernel didn't respond in 60 seconds\")\n"
        "    return start(*args, **more)\n"
        "nbval.kernel.start_new_kernel = starts_late\n")
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": "assert 1 + 1 == 2"}
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    result = subprocess.run([sys.executable, "-m", "pytest", "-p", "failing", "-p", "second_kernel", "-p", "no:xdist",
                             "--nbval-lax", "--nbval-current-env", "one.ipynb"], cwd=tmp_path, capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "tools")])})
    assert result.returncode == 0 and "1 passed" in result.stdout, result.stdout
