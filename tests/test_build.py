"""A slip in a page is reported with its file and line, and the build goes on to the next: the book's own extensions in a
book of three pages."""

import io
import sys

import pytest

from conftest import ROOT

PAGES = {
    "index": """# Book

```{toctree}
slips
pictures
```
""",
    "slips": """# Slips

The color {fm-swatch}`kept` is there,
and {fm-swatch}`keptt` is not.

```{fm-widget} Ratio
labels: [1
```

```{fm-widget} Ratioo
```

```{fm-widget} bundle
```

```{fm-widget} style
```

```{fm-widget} RunExplorer
runs: [nosuchrun]
```

```{fm-widget} Ratio
just words
```

The last line.
""",
    "pictures": """# Pictures

```{figure} here.svg
Here.
```

```{figure} https://example.org/away.svg
Away.
```

```{figure} missing.svg
Missing.
```

```{fm-figures}
```
""",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(The built pages by name, what Sphinx warned of as lines)."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    place = tmp_path_factory.mktemp("book")
    for name, text in PAGES.items():
        (place / f"{name}.md").write_text(text)
    (place / "here.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (place / "conf.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
                                   "extensions = ['myst_parser', 'fm_book', 'fm_figures']\nnumfig = True\n")
    told, path = io.StringIO(), list(sys.path)
    try:
        with docutils_namespace():
            Sphinx(place, place, place / "out", place / "trees", "html", status=None, warning=told).build()
    finally:
        sys.path[:] = path
    return {name: (place / "out" / f"{name}.html").read_text() for name in PAGES}, told.getvalue().splitlines()


# Of words within a paragraph the paragraph's first line is told.
@pytest.mark.parametrize(("page", "line", "says"), [
    ("slips", 3, "There is no swatch 'keptt'; take one of labeled, "), ("slips", 6, "The options of Ratio are no YAML"),
    ("slips", 10, "There is no widget 'Ratioo'; take one of "), ("slips", 13, "There is no widget 'bundle'"),
    ("slips", 16, "There is no widget 'style'"), ("slips", 19, "RunExplorer: "), ("slips", 23, "must be lines like"),
    ("pictures", 7, "this figure has https://example.org/away.svg"), ("pictures", 11, "this figure has missing.svg"),
])
def test_a_slip_is_told_with_its_file_and_line(built, page, line, says):
    found = [warning for warning in built[1] if says in warning]
    assert len(found) == 1 and f"{page}.md:{line}: " in found[0], built[1]


def test_the_rest_of_the_pages_is_built(built):
    pages, _ = built
    assert 'aria-label="kept"' in pages["slips"] and "The last line." in pages["slips"]
    assert pages["pictures"].count("fm-plate docutils") == 1, "the one figure that can be shown"
    assert "Here." in pages["pictures"] and "Missing." in pages["pictures"]
