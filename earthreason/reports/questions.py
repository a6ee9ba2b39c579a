"""Reports of a validation of questions: a table in the terminal, and a page."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from earthreason.questions.checks import CHECKS, SET_CHECKS
from earthreason.questions.validate import QuestionValidation
from earthreason.reports.page import write_page

SHOWN = 50


def print_validation(validation: QuestionValidation, console: Console, examples: int = 2) -> None:
    """Print a row for every check, its first findings, and the score card."""
    rules = all_rules()
    table = Table("check", "found", "rule")
    for name, findings in validation.by_check().items():
        table.add_row(name, str(len(findings)), rules[name])
    console.print(table)
    for name, findings in validation.by_check().items():
        for finding in findings[:examples]:
            console.print(
                f"{name}: {finding.sample_id}: {finding.reason}: {finding.text}", soft_wrap=True, markup=False
            )
    card = validation.card
    console.print(
        f"{validation.samples} samples, {validation.questions} questions of {card['question_words']} words (paper: "
        f"{card['question_words_paper']}), {validation.answers} answers of {card['answer_words']} (paper: "
        f"{card['answer_words_paper']}); distinct-1 {card['distinct_1']}, distinct-2 {card['distinct_2']}; "
        f"{card['commonest_opening_share']:.1%} begin with {card['commonest_opening']!r}",
        soft_wrap=True,
        markup=False,
    )


def write_validation(folder: Path, validation: QuestionValidation) -> Path:
    """Write `folder/index.html`; return its path."""
    rules = all_rules()
    rows = [(name, rules[name], findings) for name, findings in validation.by_check().items()]
    page = folder / "index.html"
    write_page(page, "questions.html", found=validation, rows=rows, shown=SHOWN)
    return page


def all_rules() -> dict[str, str]:
    """Return the rule of every check, by name."""
    return {check.name: check.rule for check in CHECKS.values()} | {c.name: c.rule for c in SET_CHECKS.values()}
