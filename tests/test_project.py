"""One address, one version, one set of packages, one palette: what is said twice is the same twice."""

import importlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import fixmatch_lite as fm
from conftest import ROOT, own_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ADDRESS = PROJECT["urls"]["Repository"]
SLUG = ADDRESS.removeprefix("https://github.com/")
VERSION = re.search(r'"(.+)"', (ROOT / "fixmatch_lite" / "version.py").read_text())[1]
NEEDED = {"torch", "torchvision", "numpy", "scikit-learn", "pandas", "matplotlib", "seaborn", "ipywidgets", "anywidget",
          "tqdm", "typer", "safetensors"}
# Repositories of others that the text may name.
OTHERS = {"google-research/fixmatch", "kekmodel/FixMatch-pytorch", "microsoft/Semi-supervised-learning", "you/your-fork",
          "YGZWQZD/LAMDA-SSL", "CoinCheung/fixmatch-pytorch", "fbuchert/fixmatch-pytorch"}
PINS = {canonicalize_name(name): Version(version) for name, version in
        re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)}


def texts(files):
    for path in files:
        if "vendor" not in path.parts:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                pass


@pytest.fixture()
def copy(tmp_path, project_files):
    """The repository's own files in a folder of their own."""
    target = tmp_path / "copy"
    for path in project_files:
        to = target / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
    return target


# The address -----------------------------------------------------------------------------------------------------

@pytest.fixture()
def small_copy(tmp_path):
    """What set_address.py needs, in a folder of its own."""
    for name in ("tools/set_address.py", "pyproject.toml"):
        (tmp_path / "small" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / "small" / name)
    return tmp_path / "small"


def set_address(folder, address, **environment):
    return subprocess.run([sys.executable, "tools/set_address.py", address], cwd=folder, env=os.environ | environment,
                          capture_output=True, text=True)


def test_address_is_the_same_everywhere(project_files):
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", ADDRESS)
    assert yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"] == ADDRESS
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["repository-code"] == ADDRESS
    foreign = {}
    for path, text in texts(project_files):
        for found in re.findall(r"(?:github\.com|research\.google\.com/github)/([\w.-]+/[\w-]+(?:\.\w+)*)", text):
            if found.removesuffix(".git") not in OTHERS | {SLUG}:
                foreign[path.name] = found
    foreign.pop("test_project.py", None)
    assert not foreign


def test_set_address_rewrites_all_of_it(copy):
    subprocess.run(["git", "init", "-q", "."], cwd=copy, check=True)
    before = {path: path.read_text(encoding="utf-8") for path in (copy / "notebooks").glob("*.ipynb")}
    command = [sys.executable, "tools/set_address.py"]
    subprocess.run([*command, "https://github.com/ada/my-book"], cwd=copy, check=True, capture_output=True)
    assert tomllib.loads((copy / "pyproject.toml").read_text())["project"]["urls"]["Repository"].endswith("/ada/my-book")
    left = [path.name for path, text in texts(p for p in copy.rglob("*") if p.is_file() and ".git" not in p.parts)
            if f"github.com/{SLUG}" in text or f"/github/{SLUG}" in text]
    assert not left
    for path in before:
        setup = "".join(line for cell in json.loads(path.read_text())["cells"] for line in cell["source"])
        assert "https://github.com/ada/my-book/archive" in setup
    subprocess.run([*command, ADDRESS], cwd=copy, check=True, capture_output=True)
    assert {path: path.read_text(encoding="utf-8") for path in before} == before


@pytest.mark.parametrize("address", ["", "github.com/a/b", "https://example.org/a/b", "https://github.com/only"])
def test_set_address_refuses_what_is_no_address(small_copy, address):
    result = set_address(small_copy, address)
    assert result.returncode != 0 and "Traceback" not in result.stderr and "is not an address like" in result.stderr
    assert ADDRESS in (small_copy / "pyproject.toml").read_text()


@pytest.mark.parametrize("git", ["none", "no repository", "somebody else's", "its own"])
def test_set_address_finds_the_files_also_where_git_does_not(small_copy, git):
    for name in ("README.md", ".github/a.md", ".ci/run", ".venv/a.md", "_build/a.md"):
        (small_copy / name).parent.mkdir(exist_ok=True)
        (small_copy / name).write_text(f"{ADDRESS}/issues")
    if git == "somebody else's":  # which is told to leave this folder alone
        (small_copy.parent / ".gitignore").write_text("small")
    if git != "none":
        (small_copy / ".gitignore").write_text("/.venv/\n/_build/\n")
    if git in ("somebody else's", "its own"):
        subprocess.run(["git", "init", "-q", "."], cwd=small_copy if git == "its own" else small_copy.parent, check=True)
    result = set_address(small_copy, "https://github.com/ada/my-book", **({"PATH": ""} if git == "none" else {}))
    assert result.returncode == 0 and not result.stderr, result.stderr
    told = {line.partition(":")[0] for line in result.stdout.splitlines()}
    assert told - {"tools/set_address.py"} == {"pyproject.toml", "README.md", ".github/a.md", ".ci/run"}
    assert "ada/my-book" in (small_copy / ".ci" / "run").read_text() and ADDRESS in (small_copy / ".venv" / "a.md").read_text()


def test_set_address_says_so_where_the_address_itself_was_not_changed(small_copy):
    """pyproject.toml says where the repository is in a way that is read and not found again."""
    text = (small_copy / "pyproject.toml").read_text().replace(ADDRESS, ADDRESS.replace("github.com/", "github.com\\u002F"))
    (small_copy / "pyproject.toml").write_text(text)
    result = set_address(small_copy, "https://github.com/ada/my-book")
    assert result.returncode == 1 and "write the new address there by hand" in result.stderr


@pytest.mark.parametrize("git", ["none", "no repository", "somebody else's", "its own"])
def test_the_projects_files_are_found_also_where_git_does_not(small_copy, monkeypatch, git):
    for name in (".ci/run", ".github/a.md", ".venv/a.md", ".cache/a.md", "_build/a.md", "runs/a/b.json"):
        (small_copy / name).parent.mkdir(parents=True, exist_ok=True)
        (small_copy / name).write_text("x")
    if git == "none":
        monkeypatch.setenv("PATH", "")
    elif git == "somebody else's":
        (small_copy.parent / ".gitignore").write_text("small")
        subprocess.run(["git", "init", "-q", "."], cwd=small_copy.parent, check=True)
    elif git == "its own":
        subprocess.run(["git", "init", "-q", "."], cwd=small_copy, check=True)
        (small_copy / ".git" / "info" / "exclude").write_text("/.venv/\n/.cache/\n/_build/\n/runs/\n")
    names = {path.relative_to(small_copy).as_posix() for path in own_files(small_copy)}
    assert names == {"pyproject.toml", "tools/set_address.py", ".ci/run", ".github/a.md"}


# Versions and packages -------------------------------------------------------------------------------------------

def test_version_is_the_same_everywhere():
    assert importlib.metadata.version("fixmatch-lite") == VERSION
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]) == VERSION
    assert re.search(r"^## (\d\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == VERSION
    for name in ("README.md", "book/index.md"):
        tagged = re.findall(r"archive/refs/tags/v([\w.]+)\.zip", (ROOT / name).read_text())
        assert tagged and set(tagged) == {VERSION}, name


def test_module_needs_floors_only_and_nothing_more():
    requirements = [Requirement(text) for text in PROJECT["dependencies"]]
    assert {requirement.name for requirement in requirements} == NEEDED
    for requirement in requirements:
        assert [spec.operator for spec in requirement.specifier] == [">="], f"{requirement}: a floor, no cap, no pin"


def test_constraints_pin_everything_that_is_asked_for():
    for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]:
        for requirement in map(Requirement, group):
            assert PINS[canonicalize_name(requirement.name)] in requirement.specifier, requirement
    for requirement in map(Requirement, PROJECT["dependencies"]):
        floor = Version(next(iter(requirement.specifier)).version)
        assert floor <= PINS[canonicalize_name(requirement.name)]


def test_constraints_are_what_is_installed():
    """The tests speak for the pinned set, so they must run in it; also nothing unpinned came along with the book."""
    wrong, todo, seen = {}, ["fixmatch-lite"], set()
    extras = {"fixmatch-lite": {"book", "test"}}
    while todo:
        name = canonicalize_name(todo.pop())
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        if name != "fixmatch-lite" and Version(distribution.version).public != str(PINS.get(name)):
            wrong[name] = (distribution.version, str(PINS.get(name)))
        for text in distribution.requires or []:
            requirement = Requirement(text)
            wanted = [{"extra": extra} for extra in ("", *extras.get(name, ()))]
            if requirement.marker is None or any(requirement.marker.evaluate(extra) for extra in wanted):
                extras.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
                todo.append(requirement.name)
    # CUDA's own libraries come with the torch that runs on it, and with no other
    wrong = {name: pair for name, pair in wrong.items() if not name.startswith(("nvidia-", "cuda-", "triton"))}
    assert not wrong, "(installed, pinned): run make again"


def test_environment_file_gives_conda_users_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert environment["name"] == "fixmatch-lite", "the Makefile knows it by this name"
    assert PROJECT["requires-python"] == ">=3.11"
    assert any(entry.startswith("python>=3.11") for entry in plain) and "pip" in plain and "make" in plain
    assert pip == ["--constraint constraints.txt", f"torch=={PINS['torch']}", f"torchvision=={PINS['torchvision']}",
                   f"--editable .[{','.join(PROJECT['optional-dependencies'])}]"]
    makefile = (ROOT / "Makefile").read_text()
    assert f"--editable '.[{','.join(PROJECT['optional-dependencies'])}]'" in makefile
    assert "--constraint constraints.txt" in makefile
    assert "ifeq ($(CONDA_DEFAULT_ENV),fixmatch-lite)" in makefile


def test_jupyter_book_is_version_1():
    assert importlib.metadata.version("jupyter-book").startswith("1.")


# The module as others get it -------------------------------------------------------------------------------------

def test_import_costs_little_more_than_torch():
    program = ("import time, sys, torch; start = time.perf_counter(); import fixmatch_lite; "
               "print(time.perf_counter() - start); print(*sys.modules)")
    best = None
    for _ in range(5):  # the machine may be busy: the best of several
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        seconds, modules = out.splitlines()
        best = min(float(seconds), best or 99)
        if best < 2:
            break
    assert best < 2, f"{best:.1f} s beyond torch's own import"
    heavy = {"sklearn", "pandas", "matplotlib", "seaborn", "ipywidgets", "anywidget", "typer", "torchvision"}
    assert not heavy & set(modules.split()), "opened on first use only"


def test_wheel_holds_widgets_and_recorded_runs(copy, tmp_path, project_files):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
                    "--wheel-dir", tmp_path / "wheel", copy], check=True)
    wheel = next((tmp_path / "wheel").glob("fixmatch_lite-*.whl"))
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in project_files if "fixmatch_lite" in path.relative_to(ROOT).parts}
    assert wanted <= names, sorted(wanted - names)
    assert any(name.endswith(".mjs") for name in wanted) and any("/recorded/" in name for name in wanted)
    extra = {name for name in names - wanted if ".dist-info/" not in name}
    assert not extra
    assert "fixmatch-lite = fixmatch_lite.cli:main" in zipfile.ZipFile(wheel).read(
        next(name for name in names if name.endswith("entry_points.txt"))).decode()


def test_files_of_the_module_are_short(project_files):
    long = {path.name: lines for path in project_files
            if path.is_relative_to(ROOT / "fixmatch_lite") and path.suffix in (".py", ".mjs")
            and (lines := len(path.read_text().splitlines())) > 270}
    assert not long


def test_reference_lists_every_public_module():
    inner = {"__init__", "__main__", "version", "files", "hints", "progress", "terminal", "lab_drawing", "places", "checks",
             "training_command"}
    folder = ROOT / "fixmatch_lite"
    modules = {path.stem for path in folder.glob("*.py")} - inner
    modules |= {path.parent.name for path in folder.glob("*/__init__.py")}
    modules |= {f"comparators.{path.stem}" for path in folder.glob("comparators/*.py")} - {"comparators.__init__"}
    listed = re.findall(r"automodule:: fixmatch_lite\.([\w.]+)", (ROOT / "book" / "api.md").read_text())
    assert sorted(listed) == sorted(modules)


def test_reference_tells_of_every_field():
    """By a comment that begins with #: beside the field. What stands before a colon there, the page shows as the type."""
    pycode = pytest.importorskip("sphinx.pycode")
    named = re.findall(r"automodule:: (fixmatch_lite\.[\w.]+)", (ROOT / "book" / "api.md").read_text())
    tuples = {kind for module in map(importlib.import_module, named) for kind in vars(module).values()
              if isinstance(kind, type) and hasattr(kind, "_fields") and kind.__module__ in named}
    assert {kind.__name__ for kind in tuples} >= {"Batch", "Loss", "PseudoLabels", "Loaded", "RemoteFile"}
    for kind in tuples | {fm.SemiSupervisedData, fm.Metrics, fm.Recipe, fm.augment.Preset}:
        told = pycode.ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
        for field in kind.__annotations__:
            words = " ".join(told.get((kind.__name__, field), ()))
            assert words, f"{kind.__name__}.{field}"
            before, colon, _ = re.sub("`.*?`", "", words).partition(": ")
            assert not colon or re.match(r"(uint8|int64|float32|tuple|str|int|bool)\b", before), f"{kind.__name__}.{field}: {before}"


# The project's files ---------------------------------------------------------------------------------------------

def test_no_two_works_are_cited_alike():
    labels = {}
    for key, entry in re.findall(r"@\w+\{(\w+),(.*?)\n\}", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.S):
        field = {name: re.search(rf"^\s*{name}\s*=\s*\{{(.*)\}},?$", entry, re.M) for name in ("author", "editor", "year")}
        names = [name.partition(",")[0] for name in (field["author"] or field["editor"])[1].split(" and ")]
        shown = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        labels.setdefault((shown, field["year"][1]), []).append(key)
    assert len(labels) > 60
    assert not {label: keys for label, keys in labels.items() if len(keys) > 1}, "give the years letters: 2020a, 2020b"


def test_no_machine_and_no_registry_is_named(project_files):
    # Written in pieces, so that this file does not name them either.
    patterns = ["/wo" + "rk/", "/ro" + "ot/", r"/ho" + r"me/\w+/", "/Us" + "ers/", "py" + r"pi\.org", "python" + "hosted",
                "registry" + r"\.npm", r"deb\." + "debian", "np" + r"mjs\.com"]
    found = {f"{path.relative_to(ROOT)}": match[0] for path, text in texts(project_files)
             for match in [re.search("|".join(patterns), text)] if match}
    assert not found


def test_palette_of_the_pages_is_that_of_the_figures():
    from fixmatch_lite import plots

    css = (ROOT / "book" / "web" / "fixmatch.css").read_text()
    light = re.search(r"^html \{(.*?)^\}", css, re.M | re.S)[1]
    dark = re.search(r'^html\[data-theme="dark"\] \{(.*?)^\}', css, re.M | re.S)[1]
    said = dict(re.findall(r"--fm-(labeled|kept|dropped|wrong|accuracy): (#\w{6});", light))
    assert {name: color.upper() for name, color in plots.COLORS.items()} == {k: v.upper() for k, v in said.items()}
    assert set(re.findall(r"--fm-(\w+): #", dark)) >= set(plots.COLORS)
    assert f"--fm-paper: {plots.PAPER};" in light and f"--fm-ink: {plots.INK};" in light


def anchors(text):
    """What GitHub calls the headings of a Markdown file."""
    headings = re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(path):
    text = path.read_text()
    for link in re.findall(r"\]\(([^)\s]+)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if not link.startswith(("http", "mailto")):
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            if not target.exists() or anchor and anchor not in anchors(target.read_text()):
                yield link


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "book/web/vendor/README.md"])
def test_links_of_the_front_files_lead_somewhere(name):
    assert not list(dead_links(ROOT / name))


def test_dead_links_are_seen(tmp_path):
    (tmp_path / "b.md").write_text("# Its name, in `code`\n```\n# no heading\n```\n")
    (tmp_path / "a.md").write_text("# Here\n[1](b.md#its-name-in-code) [2](#here) [3](#there) [4](b.md#no-heading) [5](c.md) [6](b.md)")
    assert list(dead_links(tmp_path / "a.md")) == ["#there", "b.md#no-heading", "c.md"]


def test_pictures_of_the_readme_are_described():
    text = (ROOT / "README.md").read_text()
    described = re.findall(r"!\[([^\]]*)\]\(", text) + re.findall(r'<img[^>]*alt="([^"]*)"', text)
    assert len(described) >= 2 and all(len(alt.split()) >= 5 for alt in described)
    assert len(re.findall(r"<img|!\[", text)) == len(described)


# Make ------------------------------------------------------------------------------------------------------------

def test_bare_make_lists_the_targets():
    out = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("book", "test", "lab", "clean"):
        assert f"make {target} " in out


def test_make_says_what_is_missing_where_python_is_too_old(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit 0\nexit 1\n')
    old.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CONDA", "MAKE", "MFLAGS"))}
    result = subprocess.run(["make", "book", f"PYTHON={old}"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stdout and "Python 3.9.1" in result.stdout
    assert not (tmp_path / ".venv").exists()


def test_a_folder_of_data_may_have_a_space_in_its_name():
    told = subprocess.run(["make", "-n", "runs", "ROOT=my data"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shlex.split(told.splitlines()[-1])[-2:] == ["--root", "my data"]


def test_ci_script_tests_everything():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "make --no-print-directory test", "its last lines are pytest's, its status is make's"
    assert "export FIXMATCH_LITE_NEEDS_BROWSER=1" in lines[:-1] and "set -euo pipefail" in lines
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert any(step.get("run") == "bash .ci/run" for step in steps)


# What a build redoes ---------------------------------------------------------------------------------------------

@pytest.fixture()
def build_book(monkeypatch):
    """tools/build_book.py, a fresh copy of the module."""
    import importlib.util

    monkeypatch.syspath_prepend(ROOT / "tools")
    spec = importlib.util.spec_from_file_location("build_book", ROOT / "tools" / "build_book.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture()
def builder(build_book, tmp_path, monkeypatch):
    """The same on a small tree, with Jupyter Book replaced by something that writes one page."""
    module = build_book
    for name in {*module.CODE, *module.PAGES, "runs/WANTED.toml"}:
        path = tmp_path / name if (ROOT / name).is_file() else tmp_path / name / "a.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("first")
    module.runs, module.status, module.commands, module.environments, module.made, module.forgotten = 0, 0, [], [], [], []

    def run(command, *, env, **more):
        module.runs += 1
        module.commands.append(command), module.environments.append(env)
        assert not (module.BUILD / ".doctrees").exists() and not (module.BUILD / "html").exists(), "built from an empty folder"
        if module.status == 0:
            module.FIRST_PAGE.parent.mkdir(parents=True, exist_ok=True)
            module.FIRST_PAGE.write_text("page")
            for kept in (".jupyter_cache", ".doctrees"):
                (module.BUILD / kept).mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, module.status)

    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(module, "RECORD", tmp_path / "_build" / "fingerprints.json")
    monkeypatch.setattr(module, "ZIP", tmp_path / "_build" / "book.zip")
    monkeypatch.setattr(module, "forget", module.forgotten.append)
    monkeypatch.setattr(module, "FIRST_PAGE", tmp_path / "_build" / "html" / "index.html")
    monkeypatch.setattr(module.subprocess, "run", run)
    # One page has no chapters to cut sheets from, and no figures.
    monkeypatch.setattr(module.handouts, "make", lambda: module.made.append("handouts"))
    monkeypatch.setattr(module.figures, "make", lambda: module.made.append("figures"))
    return module


def test_what_a_build_is_made_of(build_book):
    """Tests below change each of these; what is missing from the lists would be stale without a word."""
    assert {"fixmatch_lite", "constraints.txt", "pyproject.toml", "benchmarks/recorded", "runs/WANTED.toml",
            "tools/record_runs.py"} == set(build_book.CODE)
    assert {"book", "notebooks", "_config.yml", "_toc.yml", "tools/build_book.py", "tools/figures.py",
            "tools/handouts.py"} == set(build_book.PAGES)
    assert all((ROOT / name).exists() for name in build_book.CODE + build_book.PAGES)


def test_a_build_takes_every_warning_for_an_error_and_no_setting_of_the_readers(builder, monkeypatch):
    monkeypatch.setenv("FIXMATCH_LITE_FAST", "1"), monkeypatch.setenv("KEPT", "1")
    assert builder.build() == 0
    (command,), (env,) = builder.commands, builder.environments
    assert command[0] == sys.executable and {"-W", "-n", "--keep-going", "build", str(builder.ROOT)} <= set(command)
    assert "FIXMATCH_LITE_FAST" not in env, "the numbers of the fast speed mean nothing"
    assert env["KEPT"] == "1" and env["IPYTHONDIR"] == str(builder.BUILD / "ipython")


def test_a_build_makes_the_sheets_the_figures_and_one_file_of_all(builder):
    builder.build()
    assert builder.made == ["handouts", "figures"]
    assert zipfile.ZipFile(builder.ZIP).namelist() == ["book/index.html"]
    (builder.ROOT / "book" / "a.md").write_text("second")
    builder.build()
    assert builder.made == ["handouts", "figures"] * 2


def test_a_page_that_the_sheets_cannot_be_cut_from_ends_the_build_in_a_sentence(builder, monkeypatch, capsys):
    def make():
        raise SystemExit("The page has no quiz.")

    monkeypatch.setattr(builder.handouts, "make", make)
    monkeypatch.setattr(sys, "argv", ["build_book.py"])
    assert builder.main() == 1
    told = capsys.readouterr().out
    assert told.index("The page has no quiz.") < told.index("The book was not built") and not builder.ZIP.exists()
    assert builder.main() == 1 and builder.runs == 2, "it is tried again"


@pytest.mark.parametrize("text", ["", '{"code": "12', "\0\xff"])
def test_a_record_that_cannot_be_read_is_no_record(builder, text):
    builder.build()
    builder.RECORD.write_text(text, encoding="latin-1")
    (builder.BUILD / ".jupyter_cache" / "old").touch()
    assert builder.build() == 0 and builder.runs == 2 and not (builder.BUILD / ".jupyter_cache" / "old").exists()
    assert builder.build() == 0 and builder.runs == 2


def test_the_record_is_written_whole_or_not_at_all(builder, monkeypatch):
    builder.build()
    before = builder.RECORD.read_text()

    def full(path, text, **more):
        path.write_bytes(text[:9].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(builder.RECORD), "write_text", full)
    with pytest.raises(OSError):
        builder.write_down({"code": "another"})
    assert builder.RECORD.read_bytes().decode() == before


def test_unchanged_book_is_not_built_again(builder):
    assert builder.build() == 0 and builder.build() == 0
    assert builder.runs == 1


def test_prose_edit_rebuilds_pages_and_keeps_the_cache(builder):
    builder.build()
    (builder.BUILD / ".jupyter_cache" / "kept").touch()
    (builder.BUILD / "html" / "stale.html").touch()
    (builder.ROOT / "book" / "a.md").write_text("second")
    assert builder.build() == 0 and builder.runs == 2
    assert (builder.BUILD / ".jupyter_cache" / "kept").exists()
    assert not (builder.BUILD / "html" / "stale.html").exists()


def test_pages_that_read_the_chapters_run_again_after_one_changed(builder):
    builder.build()
    (builder.ROOT / "book" / "a.md").write_text("second")
    assert builder.build() == 0 and builder.forgotten == []
    (builder.ROOT / "notebooks" / "a.md").write_text("second")
    assert builder.build() == 0 and builder.forgotten == [builder.READERS]
    reads = {f"book/{page.name}" for page in (ROOT / "book").glob("*.md") if re.search(r'"notebooks"', page.read_text())}
    assert reads == set(builder.READERS)


def test_forgetting_a_page_leaves_the_others(build_book, tmp_path, monkeypatch):
    import nbformat
    from jupyter_cache import get_cache

    monkeypatch.setattr(build_book, "BUILD", tmp_path)
    cache = get_cache(tmp_path / ".jupyter_cache")
    for number, name in enumerate(("start.md", "engine.md")):
        path = tmp_path / "book" / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(str(number))]), path)
        cache.cache_notebook_file(path, check_validity=False)
    build_book.forget(("book/start.md",))
    assert [record.uri.rpartition("/")[2] for record in cache.list_cache_records()] == ["engine.md"]


@pytest.mark.parametrize("name", ["fixmatch_lite/a.md", "constraints.txt", "pyproject.toml", "benchmarks/recorded/a.md",
                                  "runs/WANTED.toml", "tools/record_runs.py"])
def test_change_of_the_module_runs_every_notebook_again(builder, name):
    builder.build()
    (builder.BUILD / ".jupyter_cache" / "old").touch()
    (builder.ROOT / name).write_text("second")
    assert builder.build() == 0 and builder.runs == 2
    assert not (builder.BUILD / ".jupyter_cache" / "old").exists()


@pytest.mark.parametrize("name", ["book/a.md", "notebooks/a.md", "_config.yml", "_toc.yml", "tools/build_book.py",
                                  "tools/figures.py", "tools/handouts.py"])
def test_change_of_a_page_or_of_what_makes_pages_builds_them_again(builder, name):
    builder.build()
    (builder.BUILD / ".jupyter_cache" / "kept").touch()
    (builder.ROOT / name).write_text("second")
    assert builder.build() == 0 and builder.runs == 2
    assert (builder.BUILD / ".jupyter_cache" / "kept").exists()


def test_another_python_runs_every_notebook_again(builder, monkeypatch):
    builder.build()
    (builder.BUILD / ".jupyter_cache" / "old").touch()
    monkeypatch.setattr(sys, "version", "another")
    assert builder.build() == 0 and builder.runs == 2
    assert not (builder.BUILD / ".jupyter_cache" / "old").exists()


def test_failed_build_is_tried_again(builder):
    builder.status = 1
    assert builder.build() == 1
    builder.status = 0
    assert builder.build() == 0 and builder.runs == 2
