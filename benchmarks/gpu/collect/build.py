"""Build the page from the results of some runs."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import relpath
from pathlib import Path

from benchmarks.gpu.collect import overview, sections
from benchmarks.gpu.collect.page import ResultPage
from benchmarks.gpu.collect.reading import check_together, read_run
from benchmarks.gpu.errors import KitError

_BEFORE_NOTES = (overview.write_head, overview.write_steps, overview.write_goals)
_AFTER_NOTES = (
    sections.write_inference,
    sections.write_backends,
    sections.write_kernels,
    sections.write_end_to_end,
    sections.write_training,
    sections.write_variants,
    sections.write_learning,
    sections.write_scores,
    sections.write_tests,
    sections.write_how_to,
)


def collect(folders: Sequence[Path], path: Path, images: Path, notes: Path | None = None) -> None:
    """Write the page and its figures.

    Args:
        folders: folders with a results.json each; a step of a later run replaces that of an earlier one.
        path: Markdown file to write.
        images: folder for the figures.
        notes: Markdown file to insert after the goals, which interprets the figures.

    Raises:
        KitError: a results.json cannot be read, the runs do not belong together, or the page cannot be written.
    """
    runs = [read_run(folder) for folder in folders]
    check_together(runs, folders)
    page = ResultPage(runs, images, relpath(images.absolute(), path.absolute().parent).replace("\\", "/"))
    for n, run in enumerate(runs, 1):
        for step in run.steps:
            if step.began or step.name not in page.steps:
                page.steps[step.name], page.origins[step.name] = step, n
    try:
        comments = "" if notes is None else notes.read_text(encoding="utf-8").strip()
        for write in _BEFORE_NOTES:
            write(page)
        if comments:
            page.say("## Findings", comments)
        for write in _AFTER_NOTES:
            write(page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(page.lines).rstrip() + "\n", encoding="utf-8")
    except OSError as error:
        raise KitError(f"{error.filename or path}: {error.strerror or error}; the page was not written") from None
