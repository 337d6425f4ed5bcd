"""The book's own Sphinx extension: a directive that shows a widget, and a role that shows one of the five colors.

    ```{fm-widget} Playground
    labels: 6
    ```

makes ``fixmatch_lite.widgets.Playground(labels=6)`` when the page is built and puts its HTML there. The same
object shows itself in a notebook, so pages and notebooks share one front end. The body is YAML, and may be empty.

    {fm-swatch}`kept`

draws the color and the marker that stand for kept pseudo-labels in every figure. And every fold is named by the words
that are seen on it; myst-nb gives all of them one and the same other name. The bibliography is a list to those who hear
it; docutils gives its entries a role that no list may hold. An empty corner of a table heads nothing. A number and its
percent sign stay on one line.
"""

import re

import yaml
from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective, SphinxRole

_SHAPES = {
    "labeled": '<circle cx="12" cy="12" r="6" fill="{c}"/>',
    "dropped": '<circle cx="12" cy="12" r="3.5" fill="none" stroke="{c}" stroke-width="2"/>',
    "kept": '<path d="M12 5 L19 18 H5 Z" fill="{c}"/>',
    "wrong": '<path d="M6 6 L18 18 M18 6 L6 18" stroke="{c}" stroke-width="3" stroke-linecap="round"/>',
    "accuracy": '<rect x="6" y="6" width="12" height="12" fill="{c}"/>',
}


class Widget(SphinxDirective):
    required_arguments = 1
    has_content = True

    def run(self):
        from fixmatch_lite import widgets

        name = self.arguments[0]
        kinds = {word: getattr(widgets, word) for word in widgets.__all__ if word not in ("Widget", "bundle")}
        if name not in kinds:
            raise self.error(f"There is no widget {name!r}; take one of {', '.join(kinds)}.")
        try:
            given = yaml.safe_load("\n".join(self.content)) or {}
        except yaml.YAMLError as problem:
            raise self.error(f"The options of {name} are no YAML: {' '.join(str(problem).split())}") from problem
        if not isinstance(given, dict):
            raise self.error(f"The options of {name} must be lines like \"labels: 6\", and are {given!r}.")
        try:
            html = kinds[name](**given)._repr_mimebundle_()["text/html"]
        except Exception as problem:  # whatever a typo leads to: the page's author needs the file and the line of it
            raise self.error(f"{name}: {type(problem).__name__}: {problem}") from problem
        return [nodes.raw("", html, format="html")]


class Swatch(SphinxRole):
    def run(self):
        if self.text not in _SHAPES:
            wrong = f"There is no swatch {self.text!r}; take one of {', '.join(_SHAPES)}."
            told = self.inliner.reporter.error(wrong, line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, told)], [told]
        shape = _SHAPES[self.text].format(c=f"var(--fm-{self.text})")
        svg = f'<svg class="fm-swatch" viewBox="0 0 24 24" role="img" aria-label="{self.text}">{shape}</svg>'
        return [nodes.raw("", f"{svg} <code>{self.text}</code>", format="html")], []


class Percent(SphinxTransform):
    """Joins a number and its percent sign by a space that breaks no line, everywhere but in code and formulas."""

    default_priority = 700
    _as_it_is = nodes.literal, nodes.math, nodes.FixedTextElement

    def apply(self):
        for text in list(self.document.findall(nodes.Text)):
            if not isinstance(text.parent, self._as_it_is) and (joined := re.sub(r"(?<=\d) (?=%)", "\u00a0", text)) != text:
                text.parent.replace(text, nodes.Text(joined))


def mend(app, pagename, templatename, context, doctree):
    body = context.get("body", "").replace('<summary aria-label="Toggle hidden content">', "<summary>")
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')
    context["body"] = re.sub(r"<th[^>]*>(<p></p>)?</th>", "<td></td>", body)


def setup(app):
    app.connect("html-page-context", mend)
    app.add_transform(Percent)
    app.add_directive("fm-widget", Widget)
    app.add_role("fm-swatch", Swatch())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
