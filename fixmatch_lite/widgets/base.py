"""One front end a widget, shown two ways: by itself in a page or cell, or on request through anywidget.

A widget is a dictionary of plain data, its state, and an ES module that draws it: ``render({ model, el })``, the
contract of anywidget. The built page has no kernel, so there the state is frozen into the HTML and the model is ten
lines of JavaScript; nothing is fetched from anywhere. Taught in: book/built.md.
"""

import hashlib
import html
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import FixMatchError
from .style import CSS

HERE = Path(__file__).parent
DATA_LIMIT = 60_000  # bytes of state a page carries for one widget

# The module is imported from a Blob: a file of its own could not be imported by a page opened from disk. The same
# widget may stand twice on one page with the same id, so the script looks for its own figure first.
_LOADER = """
(async () => {
  const near = document.currentScript && document.currentScript.closest("figure");
  const el = near || document.querySelector('figure[id="%(id)s"]:not([data-fm-live])');
  if (!el || el.dataset.fmLive) return;
  el.dataset.fmLive = "1";
  for (let k = 2; document.querySelectorAll(`[id="${el.id}"]`).length > 1; k++) el.id = `%(id)s-${k}`;
  const state = %(state)s, handlers = {};
  const model = {
    get: (key) => state[key],
    set: (key, value) => { state[key] = value; for (const f of handlers["change:" + key] || []) f(); },
    on: (event, f) => { (handlers[event] ||= []).push(f); },
    off() {}, save_changes() {},
  };
  const url = URL.createObjectURL(new Blob([%(source)s], { type: "text/javascript" }));
  try {
    const widget = (await import(url)).default;
    for (const child of [...el.children]) if (child.tagName !== "STYLE") child.remove();
    const inner = document.createElement("div");
    el.append(inner);
    widget.render({ model, el: inner });
  } finally { URL.revokeObjectURL(url); }
})();
"""


@cache
def bundle(name: str) -> str:
    """The source of front end ``name`` with the modules it imports joined into one, ready for a Blob URL."""
    seen, parts = [], []

    def add(file, entry):
        if file in seen:
            return
        seen.append(file)
        source = (HERE / file).read_text(encoding="utf-8")
        for other in re.findall(r'^import [^;]*? from "\./([\w.]+)";', source, flags=re.M | re.S):
            add(other, False)
        source = re.sub(r'^import [^;]*? from "\./[\w.]+";\n', "", source, flags=re.M | re.S)
        parts.append(source if entry else re.sub(r"^export (?!default)", "", source, flags=re.M))

    add(f"{name}.mjs", True)
    return "\n".join(parts)


def quantize(value: Any, digits: int = 4) -> Any:
    """Floats to ``digits`` significant digits, arrays to lists, not-a-number to None: what JSON can hold, and short."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(k): quantize(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [quantize(v, digits) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = float(f"{value:.{digits}g}")
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value


def finite(name: str, values: Any, digits: int = 4) -> Any:
    """`quantize`, for numbers of which a figure needs every one: a value that is no finite number is refused."""
    values = quantize(values, digits)
    rows = [row if isinstance(row, list) else [row] for row in values] if isinstance(values, list) else [[values]]
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for row in rows for v in row):
        raise FixMatchError(f"{name} must hold finite numbers, and one is not (nan, None or text): leave it out, or replace it.")
    return values


def script_json(value: Any) -> str:
    """JSON that may stand inside a <script>: nothing in it can end the script or open a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("</", "<\\/").replace("<!--", "<\\!--").replace("<script", "<\\script")


class Widget:
    """A figure the reader can move.

    Attributes:
        state: what the front end reads and writes; plain data, at most 60 kB as JSON.
        id: the figure's id in a page: the same state gives the same id, build after build.
    """

    module = ""     # the front end's file, without .mjs
    summary = ""    # text/plain

    def __init__(self, state: dict[str, Any], summary: str = "") -> None:
        self.state = quantize(state, digits=5)
        self.summary = f"{type(self).__name__}({summary})"
        size = len(script_json(self.state))
        if size > DATA_LIMIT:
            raise FixMatchError(f"{type(self).__name__} would put {size:,} bytes of data into the page; give it "
                                f"fewer points, at most {DATA_LIMIT:,} bytes.")

    @property
    def id(self) -> str:
        digest = hashlib.sha256((self.module + json.dumps(self.state, sort_keys=True)).encode()).hexdigest()
        return f"fm-{self.module.replace('_', '-')}-{digest[:8]}"

    def fallback(self) -> str:
        """HTML shown until the script has run, and where scripts are off."""
        return "<p>An interactive figure; it needs JavaScript.</p>"

    def to_html(self) -> str:
        """The widget as HTML that needs no kernel and no network."""
        loader = _LOADER % {"id": self.id, "state": script_json(self.state), "source": script_json(bundle(self.module))}
        name = self.module.replace("_", " ").capitalize()  # a page has several, with the same words on their buttons
        return (f'<figure class="fm-widget fm-{self.module.replace("_", "-")}" id="{self.id}" aria-label="{name}"><style>{CSS}</style>\n'
                f"{self.fallback()}\n<script>{loader}</script></figure>")

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.summary, "text/html": self.to_html()}

    def __repr__(self):
        return self.summary

    def anywidget(self) -> Any:
        """The same figure with a kernel behind it: an anywidget whose traits are the entries of `state`.

        What the reader moves arrives in Python (``w.observe(f, "tau")``), and what Python sets moves the figure.
        """
        import anywidget
        import traitlets

        traits = {key: traitlets.Any().tag(sync=True) for key in self.state}
        kind = type(type(self).__name__, (anywidget.AnyWidget,), {
            "_esm": bundle(self.module), "_css": CSS, **traits})
        return kind(**self.state)


def escape(text: object) -> str:
    """Text for HTML, with `code` in backticks set as code; the front ends do the same."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(str(text)))


def svg(width: float, height: float, inside: str, label: str, widest: float | None = None) -> str:
    """A still picture for the fallback, at most ``widest`` pixels wide; colors come from the widget's stylesheet."""
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}" '
            f'style="max-width:{widest or width}px">{inside}</svg>')
