"""Reports of an audit: a table in the terminal, and a page with pictures of the samples with findings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from PIL import Image
from rich.console import Console

from earthreason.data.audit.verify import Audit
from earthreason.files import atomic_path
from earthreason.plurals import count_of
from earthreason.reports.page import write_page
from earthreason.reports.tables import new_table, print_table

SHOWN = 10
_UNFOLDED = 50
"""Findings of a rule that the page shows at once; the others are folded, and their pictures are not loaded."""
_SIDE = 240


def print_audit(result: Audit, console: Console) -> None:
    """Print counts beside the published ones, and findings by rule with the first of each."""
    headings = ("samples", *(("published",) if result.published else ()), "empty targets")
    table = new_table("split", numbers=headings)
    for split, count in result.counts.items():
        published = (_published(result, split),) if result.published else ()
        table.add_row(split, str(count), *published, str(result.empty[split]))
    empty = str(sum(result.empty.values()))
    if result.published_empty is not None:
        empty += f" (published: {result.published_empty})"
    total = (str(sum(result.published.values())),) if result.published else ()
    table.add_row("all", str(sum(result.counts.values())), *total, empty)
    print_table(table, console)
    by_rule = Counter((finding.rule, finding.severity) for finding in result.findings)
    for (rule, severity), count in by_rule.items():
        console.print(f"{severity}: {count} x {rule}", soft_wrap=True)
        for finding in [f for f in result.findings if f.rule == rule and f.severity == severity][:SHOWN]:
            console.print(f"  {finding.message}", soft_wrap=True, markup=False)
        if count > SHOWN:
            console.print(f"  ... and {count - SHOWN} more (--json or --report lists all)")
    warnings = len(result.findings) - result.errors
    what = "file" if result.pictures else "sample"
    counted = (count_of(result.files, what), count_of(result.errors, "error"), count_of(warnings, "warning"))
    console.print(", ".join(counted))
    if result.left_out:
        console.print(
            f"loading leaves out {len(result.left_out):,} of {count_of(sum(result.counts.values()), 'sample')}"
        )


def write_audit(folder: Path, result: Audit) -> Path:
    """Write `folder/index.html` with thumbnails of the samples with findings; return its path."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, list[tuple[str, str]]] = {}
    for finding in result.findings:
        for sample in finding.samples[:4]:
            if sample not in drawn:
                drawn[sample] = _thumbnails(result, sample, pictures, len(drawn))
    rules: dict[str, list[object]] = {}
    for finding in result.findings:
        rules.setdefault(f"{finding.rule} ({finding.severity})", []).append(finding)
    page = folder / "index.html"
    published = [
        (split, count, _published(result, split), result.empty[split]) for split, count in result.counts.items()
    ]
    write_page(page, "audit.html", result=result, published=published, rules=rules, drawn=drawn, shown=_UNFOLDED)
    return page


def _published(result: Audit, split: str) -> str:
    return str(result.published.get(split, "unknown"))


def _thumbnails(result: Audit, sample: str, pictures: Path, number: int) -> list[tuple[str, str]]:
    thumbnails = []
    for part, path in result.pictures.get(sample, {}).items():
        try:
            with Image.open(path) as image:
                small = image.convert("RGB")
                if part == "labels":
                    small = Image.eval(image.convert("L"), lambda value: 255 if value else 0).convert("RGB")
        except (OSError, SyntaxError, ValueError):
            continue  # the finding reports it
        small.thumbnail((_SIDE, _SIDE))
        target = pictures / f"{number:05d}-{part}.jpg"
        with atomic_path(target) as temporary:
            small.save(temporary, "JPEG", quality=80)
        thumbnails.append((f"pictures/{target.name}", f"{sample} {part}"))
    return thumbnails
