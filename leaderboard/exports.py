"""The table as CSV, LaTeX and Markdown, piece by piece, so that a long one need not be in memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .board import BoardQuery, BoardRow, digits, number_text
from .records import ALL

_ENDS = ("", " low", " high")
_FACTS = ("training", "backbone", "parameters_millions", "paper", "code", "checkpoint")
_HEADS = ("#", "Model", "Team", "Parameters, M")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    **{character: f"\\{character}" for character in "&%$#_"},
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$@-]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
"""What has a meaning in Markdown, and what GitHub makes links of."""
_LIGATURES = re.compile(r"(?<=([-',]))(?=\1)")
"""Places between two characters that LaTeX would join into a dash or quotation mark."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""How a formula may begin; some spreadsheets take the full-width signs for the others."""
_ID = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class ExportFormat:
    """A form in which the table can be fetched.

    Attributes:
        ending: ending of the file.
        write: function from the query, its columns and rows to pieces of text.
    """

    ending: str
    title: str
    media_type: str
    write: Callable[[BoardQuery, Sequence[str], Iterable[BoardRow]], Iterator[str]]


def write_csv(query: BoardQuery, columns: Sequence[str], rows: Iterable[BoardRow]) -> Iterator[str]:
    """Write CSV with scores as fractions. Cells that a spreadsheet would run as a formula get an apostrophe first."""
    scores = [f"{column}{end}" for column in columns for end in _ENDS]
    yield _csv_line(["place", "model", "team", *_FACTS, "published", "tied_with_best", "flag", *scores, "id"])
    for row in rows:
        numbers: list[float | None] = []
        for column in columns:
            numbers += row.cells[column].estimate if column in row.cells else (None, None, None)
        facts = row.facts
        texts = [facts.model, facts.team, *(facts.metadata.get(fact) for fact in _FACTS)]
        after = [facts.date, row.tied, _harmless(facts.flag or ""), *numbers]
        # An ID that begins with a dash is no formula: it has neither brackets nor anything that somebody chose.
        name = facts.id if _ID.fullmatch(facts.id) else _harmless(facts.id)
        yield _csv_line([row.place, *map(_harmless, texts), *after, name])


def _csv_line(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _harmless(value: Any) -> Any:
    text = isinstance(value, str) and value[:1] in _FORMULA
    return f"'{value}" if text else value


def write_markdown(query: BoardQuery, columns: Sequence[str], rows: Iterable[BoardRow]) -> Iterator[str]:
    """Write a Markdown table with scores in per cent, the best in bold."""

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |\n"

    yield f"{_escape_markdown(_caption(query))}\n\n"
    yield line(map(_escape_markdown, (*_HEADS, *columns)))
    yield line(("---:", "---", "---", "---:", *("---:" for _ in columns)))
    for row in rows:
        yield line(_cells(row, columns, _escape_markdown, "**{}**"))


def write_latex(query: BoardQuery, columns: Sequence[str], rows: Iterable[BoardRow]) -> Iterator[str]:
    """Write a LaTeX longtable with scores in per cent, the best in bold; its first line says what it needs."""

    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(cells)} \\\\\n"

    yield "% \\usepackage[T1]{fontenc}, \\usepackage{booktabs,longtable}; other scripts need LuaLaTeX or XeLaTeX\n"
    yield f"\\begin{{longtable}}{{rllr{'r' * len(columns)}}}\n"
    yield f"\\caption{{{escape_latex(_caption(query))}}} \\\\\n\\toprule\n"
    yield line(map(escape_latex, (*_HEADS, *columns)))
    yield "\\midrule\n\\endhead\n"
    for row in rows:
        yield line(_cells(row, columns, escape_latex, "\\textbf{{{}}}"))
    yield "\\bottomrule\n\\end{longtable}\n"


def _caption(query: BoardQuery) -> str:
    subset = "" if query.subset == ALL else f", {query.subset}"
    return f"{query.split}, protocol {query.protocol}{subset}. Scores in per cent."


def _cells(row: BoardRow, columns: Sequence[str], escape: Callable[[str], str], bold: str) -> Iterator[str]:
    facts = row.facts
    size = facts.metadata.get("parameters_millions")
    yield str(row.place or "–")
    yield escape(facts.model)
    yield escape(facts.team)
    yield "" if size is None else number_text(size)
    for column in columns:
        cell = row.cells.get(column)
        text = "–" if cell is None else f"{100 * cell.estimate.value:.{digits(row)}f}"
        yield bold.format(text) if cell is not None and cell.best else text


def _escape_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def escape_latex(text: str) -> str:
    """Escape every character that LaTeX gives a meaning."""
    return "".join(_LATEX.get(character, character) for character in _LIGATURES.sub("\0", text)).replace("\0", "{}")


FORMATS = (
    ExportFormat("csv", "CSV", "text/csv", write_csv),
    ExportFormat("tex", "LaTeX", "application/x-tex", write_latex),
    ExportFormat("md", "Markdown", "text/markdown", write_markdown),
)
