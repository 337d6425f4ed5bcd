"""Every figure that a page tells and no cell prints has a control: the page still says it, it was measured, it can be again."""

import json
import string
import sys

import numpy as np
import pytest

from conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import controls  # noqa: E402
import pages  # noqa: E402

import fixmatch_lite as fm  # noqa: E402

NAMES = list(controls.CONTROLS)
QUICK = ["promise", "fours", "thousand", "alpha", "variance", "ahead", "all-labels",  # a second each
         *(name for name, one in controls.CONTROLS.items() if one.measure.__module__ == "controls_recorded")]
FIGURES = {name: {field for _, field, _, _ in string.Formatter().parse(one.told) if field} for name, one in controls.CONTROLS.items()}


@pytest.fixture(scope="module")
def rows():
    return {row["control"]: row for row in json.loads(controls.RECORD.read_text())["rows"]}


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["controls.py", *words])
    controls.main()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_the_control_quotes(name):
    one = controls.CONTROLS[name]
    assert " ".join(one.quote.split()) in pages.words(one.page), f"{one.page} changed: quote what it says now, or correct it"


@pytest.mark.parametrize("name", NAMES)
def test_every_control_was_measured_and_can_be_told(rows, name):
    row = rows[name]
    assert row["page"] == controls.CONTROLS[name].page and set(row["found"]) == FIGURES[name]
    assert np.isfinite(np.concatenate([np.ravel(value) for value in row["found"].values()])).all()
    assert not set("{}") & set(controls.told(name, row["found"]))


def test_each_is_recorded_once_and_in_its_place(rows):
    assert list(rows) == NAMES
    assert len(json.loads(controls.RECORD.read_text())["rows"]) == len(rows)


@pytest.mark.parametrize("name", QUICK)
def test_measured_again_it_is_what_was_recorded(monkeypatch, rows, name):
    monkeypatch.delenv("FIXMATCH_LITE_FAST", raising=False)
    again = controls.measured(name)["found"]
    for figure, value in rows[name]["found"].items():
        np.testing.assert_allclose(again[figure], value, atol=1.5, err_msg=figure)


def test_without_a_name_all_are_listed_and_none_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(controls, "measured", None)
    run(monkeypatch)
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == NAMES
    assert all(controls.CONTROLS[name].quote in line and " min " in line for name, line in zip(NAMES, listed))


@pytest.mark.parametrize(("word", "code", "says"), [("--help", 0, "usage:"), ("rarity", 2, "no control 'rarity'"), ("--al", 2, "usage:")])
def test_neither_help_nor_a_slip_measures(monkeypatch, capsys, word, code, says):
    monkeypatch.setattr(controls, "measured", None)
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "fours", word)
    said = capsys.readouterr()
    assert end.value.code == code and says in said.out + said.err


def test_what_is_measured_anew_takes_the_old_row_s_place_at_full_speed(monkeypatch, capsys, tmp_path, rows):
    monkeypatch.setattr(controls, "RECORD", tmp_path / "controls.json")
    monkeypatch.setenv("FIXMATCH_LITE_FAST", "1")
    old = [{"control": "gone"}, {"control": "fours", "found": {}}, {"control": NAMES[0], "found": {"broken": 1}}]
    controls.RECORD.write_text(json.dumps({"rows": old}))
    run(monkeypatch, "fours", "--record")
    first, second = json.loads(controls.RECORD.read_text())["rows"]
    assert first == old[2] and second["found"] == rows["fours"]["found"]
    assert "here: 0, 8, 1, 1, 9" in capsys.readouterr().out
    monkeypatch.setenv("FIXMATCH_LITE_FAST", "1")
    monkeypatch.setattr(controls.CONTROLS["fours"], "measure", lambda: {"fours": fm.devices.is_fast()})
    run(monkeypatch, "fours")
    assert "here: 0\n" in capsys.readouterr().out, "the fast speed's numbers mean nothing"


# The lines of a page that a name needs -------------------------------------------------------------------------------

CELLS = [("code", "import math\nlost = 1 / 0 if False else 0\n"), ("code", "def twice(v):\n    return 2 * base + v\n\nbase, seen = 1, {}\n"),
         ("code", "for k in range(3):\n    seen[k] = []\n    seen[k].append(twice(k))\nprint(1 / 0)\n"),
         ("markdown", "## Check yourself"), ("code", "base = 1 / 0\n")]


def test_only_what_a_name_needs_is_run(tmp_path):
    notebook = tmp_path / "a.ipynb"
    notebook.write_text(json.dumps({"cells": [{"cell_type": kind, "source": text.splitlines(True)} for kind, text in CELLS]}))
    made = pages.made_by(str(notebook), "seen")
    assert made.seen == {0: [2], 1: [3], 2: [4]} and "math" not in made.space


def test_cells_of_a_markdown_page_without_their_headers(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("Two  words.\n\n```{code-cell} ipython3\n:tags: [remove-input]\na = 1\n```\n\n"
                    "```{code-cell} ipython3\n---\nmystnb:\n  figure: 1\n---\nb = a + 1\n```\n")
    assert pages.made_by(str(page), "b").b == 2 and "Two words. " in pages.words(str(page))
