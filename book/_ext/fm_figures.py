"""The page of every figure: where ``{fm-figures}`` stands, all figures of the book follow, chapter by chapter.

A figure comes with its number, its caption, a link to its place and one to its file; below them stand links to the chapter's
widgets. Filled in when every page has been read, since only then do all figures have their numbers.
"""

import re
from inspect import getdoc

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

ASKED = {"guess", "quiz"}  # the widgets that ask: no use on a wall


class everything(nodes.General, nodes.Element):
    """Where the figures will stand."""


class Figures(SphinxDirective):
    def run(self):
        return [everything()]


def pages(env, name):
    """The pages in the order of the contents, from ``name`` on."""
    yield name
    for child in env.toctree_includes.get(name, ()):
        yield from pages(env, child)


def words(caption):
    """A copy of what the caption says; what refers to its own page is words alone."""
    copies = caption.deepcopy().children
    holder = nodes.inline("", "", *copies)
    for link in list(holder.findall(pending_xref)):
        link.replace_self(nodes.inline("", link.astext()))
    return holder.children


def plate(app, here, page, figure):
    """One figure: picture, number and caption, links to its place and to its file; None where it has no file in the book."""
    image = next(figure.findall(nodes.image), None)
    if image is None or image["uri"] not in app.env.images:
        what = "no picture" if image is None else image["uri"]
        log.warning("The page of all figures shows files of the book, and this figure has %s; put its picture beside the page.",
                    what, location=(page, figure.line))
        return None
    name = figure["ids"][0]
    number = ".".join(map(str, app.env.toc_fignumbers[page]["figure"][name]))
    image = image.deepcopy()
    file = app.env.images[image["uri"]][1]
    address = f"{'../' * here.count('/')}{app.builder.imagedir}/{file}"
    kind = file.rpartition(".")[2]
    saved = f"fig-{number}-{name.removeprefix('fig-')}.{kind}"
    place = nodes.reference("", f"Figure {number}", refuri=f"{app.builder.get_relative_uri(here, page)}#{name}", internal=True)
    link = nodes.raw("", f' <a href="{address}" download="{saved}" aria-label="{kind.upper()} of figure {number}">{kind.upper()}</a>', format="html")
    said = next(figure.findall(nodes.caption))
    return nodes.container("", image, nodes.paragraph("", "", nodes.strong("", "", place), nodes.Text(". "), *words(said), link),
                           classes=["fm-plate"])


def movable(app, here, page, doctree):
    """A list of links to the page's widgets, each with the first sentence of what its class says of itself; or None."""
    from fixmatch_lite import widgets

    classes = {kind.module.replace("_", "-"): kind for kind in (getattr(widgets, name) for name in widgets.__all__)
               if isinstance(kind, type)}
    shown = dict.fromkeys(found for raw in doctree.findall(nodes.raw)
                          for found in re.findall(r'class="fm-widget fm-([\w-]+)" id="([\w-]+)" aria-label="([^"]+)"', raw.astext()))
    items = []
    for kind, name, title in shown:
        if kind not in ASKED:
            about = " ".join(getdoc(classes[kind]).partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
            place = nodes.reference("", title, refuri=f"{app.builder.get_relative_uri(here, page)}#{name}", internal=True)
            items.append(nodes.list_item("", nodes.paragraph("", "", place, nodes.Text(f": {about[0].lower()}{about[1:]}."))))
    return nodes.bullet_list("", *items) if items else None


def fill(app, doctree, here):
    for place in list(doctree.findall(everything)):
        sections = []
        for page in pages(app.env, app.config.root_doc):
            read = app.env.get_doctree(page)
            told = (figure for figure in read.findall(nodes.figure) if any(figure.findall(nodes.caption)))
            plates = [made for figure in told if (made := plate(app, here, page, figure)) is not None]
            turned = movable(app, here, page, read)
            if plates or turned:
                title = app.env.titles[page].astext()
                section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(title)])
                section += nodes.container("", *plates, classes=["fm-plates"]) if plates else []
                if turned:
                    section += [nodes.paragraph("", "To try out there:"), turned]
                sections.append(section)
        place.replace_self(sections)


def setup(app):
    app.add_node(everything)
    app.add_directive("fm-figures", Figures)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
