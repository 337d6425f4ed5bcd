"""The tools and benchmarks that change files or take hours: what they refuse, what they leave alone, what they print."""

import importlib.util
import json
import runpy
import shutil
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

from conftest import ROOT

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py") if path.stem != "second_kernel")  # that one is a plugin


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture()
def small(tmp_path):
    """A small tree with the tools in it, which take the folder above their own for the repository."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks" / "blank").mkdir(parents=True)
    chapter = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# 1. Title\n", "\n", "Text."]}], "metadata": {}}
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(json.dumps(chapter))
    return tmp_path


@pytest.mark.parametrize("word", ["--help", "--chekc"])
@pytest.mark.parametrize("tool", TOOLS)
def test_neither_help_nor_a_slip_does_the_work(small, monkeypatch, capsys, tool, word):
    before = files(small)
    monkeypatch.syspath_prepend(small / "tools")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "argv", [f"{tool}.py", word])
    for shared in ("figures", "handouts"):  # of the small tree, for build_book
        monkeypatch.delitem(sys.modules, shared, raising=False)
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(small / "tools" / f"{tool}.py"), run_name="__main__")
    assert end.value.code == (0 if word == "--help" else 2)
    said = capsys.readouterr()
    assert "usage:" in (said.out if word == "--help" else said.err) and files(small) == before


def run(place, tool, *words):
    return subprocess.run([sys.executable, f"tools/{tool}.py", *words], cwd=place, capture_output=True, text=True)


def test_strip_notebooks_checks_or_strips(small):
    before = files(small)
    told = run(small, "strip_notebooks", "--check")
    assert told.returncode == 1 and told.stdout == "01_a.ipynb: not in the committed form\n" and files(small) == before
    assert run(small, "strip_notebooks").stdout == "01_a.ipynb: stripped\n"
    assert run(small, "strip_notebooks", "--check").returncode == 0


def test_blank_notebooks_deletes_nobodys_work(small):
    mine = small / "notebooks" / "blank" / "mine.ipynb"
    mine.write_text("hours of typing")
    told = run(small, "blank_notebooks")
    assert told.returncode == 0 and mine.read_text() == "hours of typing"
    first, second, third = told.stdout.splitlines()
    assert (first, second) == ("written: notebooks/blank/01_a.ipynb", "written: notebooks/unsolved/01_a.ipynb")
    assert third.startswith("of no chapter: notebooks/blank/mine.ipynb")
    assert run(small, "blank_notebooks", "--check").returncode == 1, "the repository has copies of its chapters only"
    mine.unlink()
    assert run(small, "blank_notebooks", "--check").returncode == 0
    (small / "notebooks" / "unsolved" / "01_a.ipynb").write_text("{}")
    assert run(small, "blank_notebooks", "--check").stdout == "not in step: notebooks/unsolved/01_a.ipynb\n"


# Colab -----------------------------------------------------------------------------------------------------------

@pytest.fixture()
def colab(monkeypatch):
    """The tool, which installs nothing and makes no environment here."""
    module = load(ROOT / "tools" / "colab_check.py")
    monkeypatch.setattr(module.venv, "create", lambda folder, **more: folder.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(module.subprocess, "run", lambda words, **more: subprocess.CompletedProcess(words, 0))
    return module


def test_colab_check_leaves_everything_alone_that_was_in_the_folder(colab, tmp_path, monkeypatch):
    for name in ("notebooks/a.ipynb", "wheels/a.whl", "env/a"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("precious")
    before = files(tmp_path)
    monkeypatch.setattr(sys, "argv", ["colab_check.py", "--keep", str(tmp_path)])
    for _ in range(2):  # the second time its own folder is there
        assert colab.main() == 0
    after = files(tmp_path)
    assert before.items() <= after.items()
    chapters = {f"colab-check/notebooks/{path.stem}/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(after) - set(before) == chapters


def test_colab_check_refuses_the_repository(colab, tmp_path, monkeypatch, capsys):
    repository = tmp_path / "book"
    shutil.copytree(ROOT / "notebooks", repository / "notebooks")
    before = files(repository)
    monkeypatch.setattr(colab, "ROOT", repository)
    monkeypatch.chdir(repository)
    for folder in (".", "notebooks"):
        monkeypatch.setattr(sys, "argv", ["colab_check.py", "--keep", folder])
        with pytest.raises(SystemExit):
            colab.main()
        assert "give a folder outside it" in capsys.readouterr().err and files(repository) == before


# The printed sheets ----------------------------------------------------------------------------------------------

TEACHERS = """<section id="a-course-of-four-sessions"><table><tbody><tr><td>1</td><td>Why?</td><td>2 h</td>
<td><a href="../notebooks/01_a.html">1</a></td></tr></tbody></table></section>"""
CHAPTER = """<article><section><h1>1. Title#</h1><p>Time.</p><p>Question?</p>
<section id="guess-first"><p>Guess.</p><figure class="fm-guess"><p>Head</p><p>What?</p></figure>
<figure class="align-default"><img src="../g.png"><span class="caption-text">Below.</span></figure></section>
<figure class="align-default"><img src="../a.png"><span class="caption-text">Seen.</span></figure>
<figure class="fm-quiz"><p>Q?</p><ol><li>a</li></ol><details><ul><li>✓ yes</li></ul></details></figure>
<section id="exercises"><section><h3>Exercise 1: do#</h3><p>Do it.</p><div class="cell tag_solution"><div class="cell_input">
<pre># @title Solution
# Because 2 &lt; 3.
answer = 3
# later</pre></div><div class="output stream"><pre>near  2
Right: 3.
</pre></div></div></section></section>
<section id="key-points"><ul><li>Point.</li></ul></section></section></article>"""


@pytest.fixture()
def handouts(tmp_path, monkeypatch):
    module = load(ROOT / "tools" / "handouts.py")
    monkeypatch.setattr(module, "HTML", tmp_path), monkeypatch.setattr(module, "OUT", tmp_path / "book" / "handouts")
    for name, text in (("book/teachers.html", TEACHERS), ("notebooks/01_a.html", CHAPTER)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return module


def test_a_sheet_holds_what_the_chapter_asks(handouts):
    (path,) = handouts.make()
    text = BeautifulSoup(path.read_text(), "html.parser").get_text(" ")
    assert all(word in text for word in ("Why?", "Question?", "What?", "Q?", "exercise 1: do", "Do it.", "Seen.", "Point.", "1 a"))
    asked, answered = text.split("Afterward")
    assert "Because 2 < 3. near 2; Right: 3." in answered and "Right" not in asked and "later" not in text
    assert asked.index("Guess.") < asked.index("Figure 1A") < asked.index("What?") < asked.index("What do you see?") < asked.index("Figure 1B")


@pytest.mark.parametrize(("page", "old", "new", "says"), [
    ("book/teachers", "a-course-of-four-sessions", "a-course", "section#a-course-of-four-sessions"),
    ("book/teachers", '<a href="../notebooks/01_a.html">1</a>', "1", "no link to a chapter in the fourth column of session 1"),
    ("notebooks/01_a", 'id="exercises"', 'id="tasks"', "section#exercises"),
    ("notebooks/01_a", 'id="guess-first"', 'id="guess"', "section#guess-first"),
    ("notebooks/01_a", 'class="fm-guess"', "", "figure.fm-guess"),
    ("notebooks/01_a", 'id="key-points"', 'id="points"', "section#key-points"),
    ("notebooks/01_a", 'class="fm-quiz"', "", "figure.fm-quiz"),
    ("notebooks/01_a", "✓", "", "no answer marked ✓ in question 1"),
    ("notebooks/01_a", 'class="caption-text"', "", ".caption-text"),
    ("notebooks/01_a", '<img src="../a.png">', "", "img"),
    ("notebooks/01_a", "tag_solution", "", ".tag_solution"),
    ("notebooks/01_a", "cell_input", "", ".cell_input pre"),
    ("notebooks/01_a", "h3>", "h4>", "h3"),
])
def test_what_a_sheet_cannot_be_cut_from_is_named(handouts, tmp_path, page, old, new, says):
    path = tmp_path / f"{page}.html"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SystemExit) as end:
        handouts.make()
    assert str(end.value).startswith(f"The page {page} has no ") and says in str(end.value)
    path.unlink()
    with pytest.raises(SystemExit, match="There is no built page .* run make book"):
        handouts.make()


# Benchmarks ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("ways", "times"), [(["the port", "joint"], [1.0, 2.0]), (["joint"], [None])])
def test_a_step_is_compared_with_the_port_only_where_that_was_measured(monkeypatch, capsys, tmp_path, ways, times):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    step = load(ROOT / "benchmarks" / "step.py")
    measured = {"the port": (1.0, 0.5, 2.0), "joint": (1.0, 0.25, 2.0)}
    monkeypatch.setattr(step, "in_a_process_of_its_own", lambda name, options: measured[name])
    monkeypatch.setattr(step, "peak", lambda device: 100.0), monkeypatch.setattr(step, "gigaflop", lambda: 10.0)
    monkeypatch.setattr(sys, "argv", ["step.py", "--device", "cpu", "--out", str(tmp_path / "step.json"), "--ways", *ways])
    step.main()
    assert [row["times_the_port"] for row in json.loads((tmp_path / "step.json").read_text())["rows"]] == times
    lines = {line.split("  ")[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    assert [lines[way] for way in ways] == ["-" if value is None else f"{value:.2f}" for value in times]
