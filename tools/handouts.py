"""Printable sheets for the four sessions of the teachers' page, cut out of the built chapters. `make book` runs it.

Page one asks for the guesses, with the figures that stand in a chapter's own section *Guess first*; then come the other
figures without their captions, the quiz without its answers, the exercises without their solutions; the last pages answer.
First and last are papers of their own, to be given out apart. Which chapters a session has in class is read from the table
of book/teachers.md, so that the two cannot differ.
"""

import argparse
import copy
import html
from itertools import takewhile
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
OUT = HTML / "book" / "handouts"
UP = "../../"  # from a sheet to the first folder of the built book
LINE = '<p class="line"></p>'


def cannot(path, what):
    """What ends the build where a page lacks something; it names the page's source."""
    page = path.relative_to(HTML).with_suffix("").as_posix() if path.is_relative_to(HTML) else path
    return SystemExit(f"The page {page} has {what}, of which the printed sheets are made; put it back, or change "
                      "tools/handouts.py.")


def the(node, selector, path):
    """The first part of ``node``, which is of the page ``path``, that a CSS selector finds."""
    found = node.select_one(selector)
    if found is None:
        raise cannot(path, f"no {selector!r}")
    return found


def read(path):
    if not path.is_file():
        raise SystemExit(f"There is no built page {path.name}; run make book.")
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def sessions():
    """[(number, question, built pages of the chapters it has in class)], from the built teachers' page."""
    page = HTML / "book" / "teachers.html"
    table = the(read(page), "section#a-course-of-four-sessions table", page)
    found = []
    for row in table.select("tbody tr"):
        number, question, *_ = (cell.get_text(strip=True) for cell in row.select("td"))
        links = row.select("td:nth-of-type(4) a[href]")
        if not links:
            raise cannot(page, f"no link to a chapter in the fourth column of session {number}")
        found.append((number, question, [(page.parent / urlsplit(link["href"]).path).resolve() for link in links]))
    return found


def plain(node):
    """A copy of ``node`` for paper: links are text, addresses of pictures hold from a sheet, no anchors, no scripts."""
    node = copy.copy(node)
    for junk in node.select(".headerlink, script, style, details"):
        junk.decompose()
    for link in node.select("a[href]"):
        link.unwrap()
    for tag in [node, *node.find_all(True)]:
        tag.attrs.pop("id", None)
        if tag.name == "img":
            tag["src"] = UP + tag["src"].removeprefix("../")
            tag.attrs.pop("style", None)
    return str(node)


class Chapter:
    """What a sheet takes from one built chapter, each as HTML."""

    def __init__(self, path):
        page, self.path = read(path), path
        self.scripts = [str(script).replace('src="../', f'src="{UP}') for script in page.select("script")
                        if "MathJax" in script.get_text() or "mathjax" in script.get("src", "")]
        self.article = the(page, "article > section", path)
        self.title = self.part("h1").get_text().rstrip("#")
        self.number = self.title.partition(".")[0]
        self.exercises = self.part("section#exercises")
        told = [node for node in self.article.select("figure.align-default") if self.exercises not in node.parents]
        self.figures = [(f"{self.number}{chr(65 + k)}", node) for k, node in enumerate(told)]

    def part(self, selector):
        return the(self.article, selector, self.path)

    def question(self):
        return "".join(plain(p) for p in self.article.find_all("p", recursive=False)[1:2])  # the first says how long it takes

    def guess(self):
        section = self.part("section#guess-first")
        prompt = self.part("section#guess-first figure.fm-guess").find_all(["p", "ul"], recursive=False)[1:]  # without its heading
        told = "".join(map(plain, section.find_all(["p", "ul", "ol"], recursive=False)))
        small = '<div style="width: 50%; margin: 0 auto">{}</div>'  # one page is to hold both chapters
        return told + "".join(small.format(self.picture(*figure)) for figure in self.seen(first=True)) + "".join(map(plain, prompt))

    def seen(self, first):
        """The figures that stand in the section of the guess, or all others."""
        section = self.part("section#guess-first")
        return [(letter, node) for letter, node in self.figures if (section in node.parents) == first]

    def picture(self, letter, figure):
        return f"<p>Figure {letter}</p>{plain(the(figure, 'img', self.path))}"

    def formulas(self):
        """Each displayed formula between the paragraph before it and, where the sentence goes on, the one after it."""
        for math in self.article.select("div.math"):
            if self.exercises in math.parents:
                continue
            before, after = math.find_previous_sibling(), math.find_next_sibling()
            goes_on = after is not None and after.name == "p" and after.get_text()[:1].islower()
            yield "".join(plain(n) for n in (before, math, after if goes_on else None) if n is not None and n.name in ("p", "div"))

    def quiz(self):
        """(questions with their options, the letters of the right ones)."""
        widget, right = self.part("figure.fm-quiz"), []
        for number, details in enumerate(widget.select("details"), 1):
            marked = [li.get_text().startswith("✓") for li in details.select("li")]
            if True not in marked:
                raise cannot(self.path, f"no answer marked ✓ in question {number} of its quiz")
            right.append(chr(97 + marked.index(True)))
        asked = widget.find_all("ol", recursive=False)
        return "".join(f"<div>{plain(options.find_previous_sibling('p'))}{plain(options)}</div>" for options in asked), right

    def tasks(self):
        for section in self.exercises.find_all("section", recursive=False):
            text = [n for n in section.find_all(recursive=False) if n.name != "h3" and "cell" not in n.get("class", [])]
            yield the(section, "h3", self.path).get_text().rstrip("#"), "".join(map(plain, text))

    def answers(self):
        """Of each exercise what its solution says first, in its leading comment, and then prints."""
        for section in self.exercises.find_all("section", recursive=False):
            cell = the(section, ".tag_solution", self.path)
            lines = the(cell, ".cell_input pre", self.path).get_text().splitlines()[1:]  # the first is its title
            reason = [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]
            printed = [" ".join(line.split()) for output in cell.select(".output.stream") for line in output.get_text().splitlines()]
            yield html.escape(f"{' '.join(reason)} {'; '.join(filter(None, printed))}".strip())

    def key_points(self):
        return plain(self.part("section#key-points ul"))

    def caption(self, figure):
        return plain(the(figure, ".caption-text", self.path)).strip()


def sheet(number, question, chapters):
    """One session's sheet as a page of HTML."""
    title = f"Session {number}: {question}"
    parts = [f"<h1>{html.escape(title)}</h1><p>Name: <span class=short></span> Date: <span class=short></span></p>"]
    for chapter in chapters:
        parts.append(f"<section><h2>Chapter {html.escape(chapter.title)}</h2>{chapter.question()}"
                     f"{chapter.guess()}<p>My guess, and why:</p>{LINE}</section>")
    parts.append("<h2 class=new>What do you see?</h2><p>One sentence for each figure, before you read its caption.</p>")
    parts += [f"<div class=look>{chapter.picture(*figure)}{LINE * 2}</div>"
              for chapter in chapters for figure in chapter.seen(first=False)]
    formulas = [f"<div>{formula}</div>" for chapter in chapters for formula in chapter.formulas()]
    parts += ["<h2>Formulas</h2>", *formulas] if formulas else []
    parts.append("<h2>Check yourself</h2>")
    parts += [f"<h3>Chapter {chapter.number}</h3>{chapter.quiz()[0]}" for chapter in chapters]
    parts.append("<h2>Exercises</h2><p>The checkers are in the notebooks; set-up and names are those of the chapter.</p>")
    parts += [f"<div><h3>Chapter {chapter.number}, {html.escape(name[0].lower() + name[1:])}</h3>{text}</div>"
              for chapter in chapters for name, text in chapter.tasks()]
    parts.append("<section><h2 class=new>Afterward</h2><h3>What the figures show</h3>")
    parts += [f"<p><b>{letter}.</b> {chapter.caption(figure)}</p>"
              for chapter in chapters for letter, figure in chapter.figures]
    for chapter in chapters:
        answers = ", ".join(f"{k} {letter}" for k, letter in enumerate(chapter.quiz()[1], 1))
        parts.append(f"<h3>Key points of chapter {chapter.number}</h3>{chapter.key_points()}<p>Check yourself: {answers}.</p>")
        parts += [f"<h3>Exercises of chapter {chapter.number}: what their solutions say</h3>",
                  *(f"<p><b>{k}.</b> {answer}</p>" for k, answer in enumerate(chapter.answers(), 1))]
    parts.append("</section><p class=end>FixMatch Lite, CC BY 4.0. "
                 'The chapters with their code, widgets and solutions: <a href="../teachers.html">the book</a>.</p>')
    head = (f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
            f'<link rel="stylesheet" href="{UP}_static/handout.css">{"".join(chapters[0].scripts)}')
    return (f'<!DOCTYPE html><html lang="en"><head>{head}</head>'
            f'<body class="tex2jax_ignore"><main><article>{"".join(parts)}</article></main></body></html>')


def make():
    """Write a sheet for each session below the built book; returns their paths."""
    OUT.mkdir(exist_ok=True)
    written = []
    for number, question, pages in sessions():
        written.append(OUT / f"session-{number}.html")
        written[-1].write_text(sheet(number, question, [Chapter(page) for page in pages]), encoding="utf-8")
    return written


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(*make(), sep="\n")
