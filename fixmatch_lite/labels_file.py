"""A CSV file of paths and classes: the labels that a person made, or that a net guessed."""

import csv
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import FixMatchError
from .files import write_atomically
from .hints import PathLike

PATH, CLASS, SPLIT = ("path", "file", "filename"), ("class", "label"), ("split",)


def one_form(name: str) -> str:
    """The name of a class in one form of Unicode: a Mac's disk and a spreadsheet write ü in two characters or in one."""
    return unicodedata.normalize("NFC", name)


def read_labels(csv_file: PathLike, root: PathLike) -> tuple[dict[Path, str], dict[Path, str]]:
    """The labeled pictures that a CSV file names.

    The first line names the columns: path (or file, filename), class (or label), and, if there is one, split, with
    "train" or "test" in it. Paths are relative to ``root``. UTF-8, with or without a byte-order mark; commas,
    semicolons or tabs.

    Returns:
        Two dictionaries from path to class name, sorted by path, one to train with and one to test.

    Raises:
        FixMatchError: the file cannot be read, has no such columns, or a line names a picture that is not there, that
            another line puts elsewhere, or no class, or has more cells than there are columns; the message says which line.
    """
    try:
        with open(csv_file, encoding="utf-8-sig", newline="") as file:  # a name may hold any end of a line
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason, cure = getattr(error, "strerror", None), "give a CSV file with the columns path and class"
        if isinstance(error, UnicodeDecodeError):
            reason, cure = "it is not UTF-8 text", "save it again as CSV in UTF-8"
        raise FixMatchError(f"{csv_file} cannot be read ({reason}): {cure}.") from None
    first = text.splitlines()[0] if text.strip() else ""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    rows = _whole(reader, csv_file)
    header = [name.strip().lower() for name in next(rows, [])]
    column = lambda names: next((header.index(name) for name in names if name in header), None)
    path_at, class_at, split_at = column(PATH), column(CLASS), column(SPLIT)
    if path_at is None or class_at is None:
        raise FixMatchError(f"The first line of {csv_file} must name the columns path and class; it is "
                            f"{first[:60]!r}.")
    parts = {"train": {}, "test": {}}
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        where = f"Line {reader.line_num} of {csv_file}"
        if any(cell.strip() for cell in row[len(header):]):
            raise FixMatchError(f"{where} has {len(row)} cells, and the first line names {len(header)} columns: put a class with a comma "
                                "in quotes, and take out what has no column.")
        cells = [row[k].strip() if k is not None and k < len(row) else "" for k in (path_at, class_at, split_at)]
        path, kind, split = Path(root) / cells[0], one_form(cells[1]), cells[2].lower() or "train"
        if cells[0] and not path.is_file() and (Path(root) / row[path_at]).is_file():  # a space belongs to the name
            cells[0], path = row[path_at], Path(root) / row[path_at]
        if not cells[0] or not kind:
            raise FixMatchError(f"{where} has no {'class' if cells[0] else 'path'}: fill it in, or take the line out.")
        if split not in parts:
            raise FixMatchError(f"{where} says {cells[2]!r} where it must say train or test: correct it.")
        if Path(cells[0]).is_absolute() or ".." in Path(cells[0]).parts:  # one picture, one name
            raise FixMatchError(f"{where} names {cells[0]}: give its path relative to {root}, without '..'.")
        if not path.is_file():  # ü in one character or two: a Mac's disk and a spreadsheet write it differently
            forms = (Path(root) / unicodedata.normalize(form, cells[0]) for form in ("NFC", "NFD"))
            path = next((form for form in forms if form.is_file()), None)
        if path is None and "\\" in cells[0]:
            raise FixMatchError(f"{where} names {cells[0]}, with backslashes: write its path with /, relative to {root}.")
        if path is None:
            raise FixMatchError(f"{where} names {cells[0]}, which is not in {root}: correct the path, or take the line "
                                "out.")
        known = next(((name, part[path]) for name, part in parts.items() if path in part), None)
        if known not in (None, (split, kind)):
            raise FixMatchError(f"{where} calls {cells[0]} {kind} ({split}) and a line before it {known[1]} ({known[0]}): "
                                "keep only one of them.")
        parts[split][path] = kind
    if not parts["train"]:
        raise FixMatchError(f"{csv_file} names no picture to train with: add some lines.")
    return dict(sorted(parts["train"].items())), dict(sorted(parts["test"].items()))


def _whole(reader, csv_file):
    """The rows of a CSV reader, with a sentence for what it cannot read."""
    try:
        yield from reader
    except csv.Error as error:
        raise FixMatchError(f"{csv_file} cannot be read after line {reader.line_num} ({error}): is a quote not closed?") from None


def write_labels(csv_file: PathLike, rows: Sequence[Sequence[Any]], more: Sequence[str] = ()) -> None:
    """Write ``(path, class, confidence)`` rows as a CSV file that `read_labels` understands, whole or not at all; the
    columns ``more`` follow."""
    text = io.StringIO()
    returns = any("\r" in row[0] for row in rows)  # in a name; before Python 3.13 it would not be quoted where it must be
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
    writer.writerow(("path", "class", "confidence", *more))
    writer.writerows(rows)
    write_atomically(csv_file, text.getvalue())
