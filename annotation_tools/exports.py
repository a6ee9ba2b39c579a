"""Export a workspace: in the formats of `earthreason export`, or in those of annotation tools."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from earthreason.data import exports as core
from earthreason.data.pictures import untagged
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken, write_json, write_text
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import decode_rle
from earthreason.plurals import count_of
from earthreason.questions.settlement import LeftOut, left_out

from .drawing import Drawing
from .formats.labelstudio import UNNAMED, task_of_drawing
from .formats.writers.cvat import write_cvat
from .formats.writers.geojson import write_geojson
from .formats.writers.labelme import document_of_drawings
from .images import suffix_of_content
from .release import AgreedSamples, several_targets
from .reviewed import ReviewedSamples, ReviewOutcome
from .rulings import all_returns
from .workspace import Consensus, Workspace

Write = Callable[[Workspace, dict[str, Drawing], Path], None]


def _copy_pictures(workspace: Workspace, drawings: Iterable[str], folder: Path) -> dict[str, str]:
    """Copy pictures without their EXIF rotation, which these tools would apply; return file names by task.

    Tasks about one image share its copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copied: dict[str, str] = {}
    names = {}
    for name in drawings:
        task = workspace.tasks[name]
        if task.picture not in copied:
            picture = workspace.picture(name)
            content = untagged(picture.read_bytes(), picture)
            copied[task.picture] = task.image + suffix_of_content(content)
            (folder / copied[task.picture]).write_bytes(content)
        names[name] = copied[task.picture]
    return names


def _labels(workspace: Workspace, drawings: dict[str, Drawing]) -> dict[str, str]:
    """Return the labels of shapes by task: the category that was chosen, else what was to be marked."""
    tasks = workspace.tasks
    return {
        name: drawing.category or tasks[name].target or tasks[name].category or UNNAMED
        for name, drawing in drawings.items()
    }


def _write_cvat(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    names = _copy_pictures(workspace, drawings, folder / "images")
    write_cvat(folder / "annotations.xml", drawings.values(), names, _labels(workspace, drawings))


def _write_labelme(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    labels = _labels(workspace, drawings)
    of_picture: dict[str, list[Drawing]] = defaultdict(list)
    for name, file_name in _copy_pictures(workspace, drawings, folder).items():
        of_picture[file_name].append(drawings[name])
    for file_name, several in of_picture.items():
        document = document_of_drawings(several, file_name, labels)
        write_json(folder / f"{workspace.tasks[several[0].task].image}.json", document)


def _write_labelstudio(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    names = _copy_pictures(workspace, drawings, folder / "images")
    tasks = [task_of_drawing(drawing, f"images/{names[name]}") for name, drawing in drawings.items()]
    write_json(folder / "tasks.json", tasks, indent=None)


def _write_png(_workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, drawing in drawings.items():
        (folder / f"{name}.png").write_bytes(encode_mask_png(drawing.mask))
        for number, target in enumerate(several_targets(drawing) or (), start=1):
            (folder / "targets").mkdir(exist_ok=True)
            (folder / "targets" / f"{name}.target-{number}.png").write_bytes(encode_mask_png(decode_rle(target)))


def _write_geojson(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, drawing in drawings.items():
        write_geojson(folder / f"{name}.geojson", drawing, workspace.tasks[name])


TOOLS: dict[str, Write] = {
    "cvat": _write_cvat,
    "labelme": _write_labelme,
    "labelstudio": _write_labelstudio,
    "png": _write_png,
    "geojson": _write_geojson,
}


@dataclass(frozen=True)
class ExportSummary:
    """Counts of written samples, and the tasks that were left out.

    Attributes:
        counts: written samples by split.
        undrawn: tasks without a drawing.
        unadjudicated: tasks drawn after the last `adjudicate`.
        unsettled: tasks that wait for a third person.
        gold: gold tasks, which are left out.
        united: tasks whose separate targets the format has as one mask only.
        returned: comments by task that were sent back to be drawn again.
        redrawn: tasks left out because their mask was sent back and drawn again since the review.
        left_out: samples and questions left out because of a review.
        questions: number of written questions, None without a review.
        undecided: number of questions that the review has not decided: written, or left out by `only_reviewed`.
    """

    counts: dict[str, int]
    undrawn: list[str]
    unadjudicated: list[str]
    unsettled: list[str]
    gold: list[str]
    united: list[str]
    returned: dict[str, str]
    left_out: LeftOut
    questions: int | None = None
    undecided: int = 0
    redrawn: list[str] = field(default_factory=list)


def export_workspace(
    workspace: Workspace,
    form: str,
    out: Path,
    annotator: str | None = None,
    reviews: ReviewOutcome | None = None,
    only_reviewed: bool = False,
) -> ExportSummary:
    """Write the settled masks. The folder appears only when it is complete.

    Args:
        workspace: workspace to export.
        form: a format of `earthreason export`, or one of `TOOLS`.
        out: folder to write; must not exist, or be empty.
        annotator: write this person's drawings instead of the agreed masks.
        reviews: outcome of a review, applied to the questions.
        only_reviewed: leave out questions that the review has not decided.

    Raises:
        EarthReasonError: no mask is settled, a release would have samples without questions, `reviews` is given for a
            format without questions, or `only_reviewed` without `reviews`.
    """
    if form not in TOOLS and form not in core.FORMATS:
        raise UnknownNameError("format", form, [*core.FORMATS, *TOOLS])
    if only_reviewed and reviews is None:
        raise EarthReasonError("--only-reviewed needs --reviews, which says what was reviewed")
    refuse_taken(out)
    agreed = AgreedSamples(workspace, annotator, with_targets=form != "release")
    if form in TOOLS:
        if reviews is not None:
            raise EarthReasonError(f"--format {form} has no questions; omit --reviews")
        with atomic_path(out) as folder:
            TOOLS[form](workspace, {name: entry.drawing for name, entry in agreed.entries.items()}, folder)
            lines = [_provenance_line(entry, workspace) for entry in agreed.entries.values()]
            write_text(folder / "provenance.jsonl", "".join(lines))
        return _summary(agreed, [])
    if form == "release":
        _require_questions(workspace, agreed)
    united = agreed.apart if form == "release" else []
    if reviews is None:
        core.export(agreed, form, out)
        return _summary(agreed, united)
    sent_back = {entry.task for entry in all_returns(workspace)}
    reviewed = ReviewedSamples(agreed, reviews, only_reviewed, sent_back)
    core.export(reviewed, form, out)
    return replace(
        _summary(agreed, [task for task in united if task in reviewed.names]),
        counts=reviewed.counts,
        left_out=reviewed.left_out,
        questions=reviewed.questions,
        undecided=reviewed.undecided,
        redrawn=reviewed.redrawn,
    )


def _summary(agreed: AgreedSamples, united: list[str]) -> ExportSummary:
    return ExportSummary(
        counts=agreed.counts,
        undrawn=agreed.undrawn,
        unadjudicated=agreed.unadjudicated,
        unsettled=agreed.unsettled,
        gold=agreed.gold,
        united=united,
        returned=agreed.returned,
        left_out=left_out({}),
    )


def _provenance_line(entry: Consensus, workspace: Workspace) -> str:
    task = entry.drawing.task
    made = {"method": entry.method, "iou": entry.iou, "drawings": entry.behind}
    line = {"task": task, "image": workspace.tasks[task].image, **made}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _require_questions(workspace: Workspace, agreed: AgreedSamples) -> None:
    without = [name for name in agreed.entries if not workspace.tasks[name].questions]
    if without:
        raise EarthReasonError(
            f"{workspace.root}: {count_of(len(without), 'sample has', 'samples have')} no questions ({without[0]!r}, "
            "...), and a release needs them. Export as coco, generate questions with `earthreason questions generate`, "
            "and review that run"
        )
