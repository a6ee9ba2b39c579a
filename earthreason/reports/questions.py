"""Reports of a validation of questions: a table in the terminal, and a page."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from earthreason.plurals import count_of
from earthreason.questions.checks import CHECKS, SET_CHECKS
from earthreason.questions.measures import Shares
from earthreason.questions.validate import QuestionValidation
from earthreason.reports.page import write_page
from earthreason.reports.question_figures import draw_measures
from earthreason.reports.tables import new_table, print_table

SHOWN = 50


def print_validation(validation: QuestionValidation, console: Console, examples: int = 2) -> None:
    """Print a row for every check, its first findings, and the measures of the set."""
    rules = all_rules()
    texts = count_of(validation.questions, "question"), count_of(validation.answers, "answer")
    console.print(f"{count_of(validation.samples, 'sample')}, {', '.join(texts)}")
    table = new_table("check", "rule", numbers=("found",))
    for name, findings in validation.by_check().items():
        table.add_row(name, rules[name], str(len(findings)))
    print_table(table, console)
    for name, findings in validation.by_check().items():
        for finding in findings[:examples]:
            console.print(
                f"{name}: {finding.sample_id}: {finding.reason}: {finding.text}", soft_wrap=True, markup=False
            )
        if len(findings) > examples:
            more = f"{len(findings) - examples:,} more"
            console.print(f"{name}: {more}; --report and --json list them all", soft_wrap=True)
    for name, value in summarise(validation):
        console.print(f"{name}: {value}", soft_wrap=True, markup=False)


def summarise(validation: QuestionValidation) -> list[tuple[str, str]]:
    """Return names and values of the measures of a set, as text."""
    card, measures = validation.card, validation.measures
    opening, share = measures.openings[0] if measures.openings else ("", None)
    lines = [
        ("words of a question", f"{card['question_words']} (paper: {card['question_words_paper']})"),
        ("words of an answer", f"{card['answer_words']} (paper: {card['answer_words_paper']})"),
        ("distinct-1, -2, -3", ", ".join(_number(value) for value in measures.distinct)),
        ("different openings of three words", str(measures.different_openings)),
        ("commonest opening", f"{opening!r}, {_percent(share)} of the questions"),
        ("mean similarity to the nearest question about another image", _number(measures.nearest)),
        ("effective number of different meanings (Vendi score)", _number(measures.vendi, 1)),
        ("images by emptiness", _spread(measures.emptiness, "share of empty targets", "empty")),
        ("images by category", _spread(measures.categories, "largest share")),
        ("images by type of reasoning", _spread(measures.reasoning_types, "largest share")),
    ]
    for found in measures.shortcuts:
        value = f"{found.accuracy:.3f} [{found.low:.3f}, {found.high:.3f}], chance {found.chance:.3f}"
        lines.append((f"balanced accuracy of words that guess the {found.fact}", value))
    return lines


def _spread(shares: Shares, label: str, value: str | None = None) -> str:
    if not shares.counts:
        return "not stated"
    share = shares.largest if value is None else shares.counts.get(value, 0) / sum(shares.counts.values())
    even = "" if shares.evenness is None or value else f", evenness {shares.evenness:.3f} (1: all equally frequent)"
    return f"{count_of(len(shares.counts), 'value')}, {label} {_percent(share)}{even}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def write_validation(folder: Path, validation: QuestionValidation) -> Path:
    """Write `folder/index.html`; return its path."""
    rules = all_rules()
    rows = [(name, rules[name], findings) for name, findings in validation.by_check().items()]
    page = folder / "index.html"
    lines, figures = summarise(validation), draw_measures(validation.measures)
    write_page(page, "questions.html", found=validation, rows=rows, shown=SHOWN, lines=lines, figures=figures)
    return page


def all_rules() -> dict[str, str]:
    """Return the rule of every check, by name."""
    return {check.name: check.rule for check in CHECKS.values()} | {c.name: c.rule for c in SET_CHECKS.values()}
