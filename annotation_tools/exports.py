"""Export a workspace: in the formats of `earthreason export`, or in those of annotation tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annotation_tools.drawing import Drawing
from annotation_tools.formats.cvat import write_cvat
from annotation_tools.formats.labelme import document_of_drawing
from annotation_tools.formats.labelstudio import task_of_drawing
from annotation_tools.formats.vectors import Frame, write_geojson
from annotation_tools.images import suffix_of_content
from annotation_tools.release import AgreedSamples
from annotation_tools.reviewed import ReviewedSamples, ReviewOutcome
from annotation_tools.workspace import Consensus, Workspace
from earthreason.data import exports as core
from earthreason.data.pictures import untagged
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken, write_json, write_text
from earthreason.masks.png import encode_mask_png
from earthreason.questions.settlement import LeftOut, left_out

Write = Callable[[Workspace, dict[str, Drawing], Path], None]


def _copy_pictures(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> dict[str, str]:
    """Copy pictures without their EXIF rotation, which these tools would apply; return file names by task."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for name in drawings:
        picture = workspace.picture(name)
        content = untagged(picture.read_bytes(), picture)
        names[name] = name + suffix_of_content(content)
        (folder / names[name]).write_bytes(content)
    return names


def _write_cvat(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    names = _copy_pictures(workspace, drawings, folder / "images")
    write_cvat(folder / "annotations.xml", drawings.values(), names)


def _write_labelme(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    for name, file_name in _copy_pictures(workspace, drawings, folder).items():
        write_json(folder / f"{name}.json", document_of_drawing(drawings[name], file_name))


def _write_labelstudio(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    names = _copy_pictures(workspace, drawings, folder / "images")
    tasks = [task_of_drawing(drawing, f"images/{names[name]}") for name, drawing in drawings.items()]
    write_json(folder / "tasks.json", tasks, indent=None)


def _write_png(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, drawing in drawings.items():
        (folder / f"{name}.png").write_bytes(encode_mask_png(drawing.mask))


def _write_geojson(workspace: Workspace, drawings: dict[str, Drawing], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, drawing in drawings.items():
        task = workspace.tasks[name]
        placed = None if task.transform is None else tuple(task.transform)
        frame = Frame(name, task.height, task.width, placed, task.crs)  # type: ignore[arg-type]
        write_geojson(folder / f"{name}.geojson", drawing, frame)


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
        returned: comments by task that were sent back to be drawn again.
        left_out: samples and questions left out because of a review.
    """

    counts: dict[str, int]
    undrawn: list[str]
    unadjudicated: list[str]
    unsettled: list[str]
    returned: dict[str, str]
    left_out: LeftOut


def export_workspace(
    workspace: Workspace, form: str, out: Path, annotator: str | None = None, reviews: ReviewOutcome | None = None
) -> ExportSummary:
    """Write the settled masks. The folder appears only when it is complete.

    Args:
        workspace: workspace to export.
        form: a format of `earthreason export`, or one of `TOOLS`.
        out: folder to write; must not exist, or be empty.
        annotator: write this person's drawings instead of the agreed masks.
        reviews: outcome of a review, applied to the questions.

    Raises:
        EarthReasonError: no mask is settled, a release would have samples without questions, or `reviews` is given for
            a format without questions.
    """
    if form not in TOOLS and form not in core.FORMATS:
        raise UnknownNameError("format", form, [*core.FORMATS, *TOOLS])
    refuse_taken(out)
    agreed = AgreedSamples(workspace, annotator)
    if form in TOOLS:
        if reviews is not None:
            raise EarthReasonError(f"--format {form} has no questions; omit --reviews")
        with atomic_path(out) as folder:
            TOOLS[form](workspace, {name: entry.drawing for name, entry in agreed.entries.items()}, folder)
            write_text(folder / "provenance.jsonl", "".join(map(_provenance_line, agreed.entries.values())))
        return _summary(agreed, agreed.counts)
    if form == "release":
        _require_questions(workspace, agreed)
    if reviews is None:
        core.export(agreed, form, out)
        return _summary(agreed, agreed.counts)
    reviewed = ReviewedSamples(agreed, reviews)
    core.export(reviewed, form, out)
    return _summary(agreed, reviewed.counts, reviewed.left_out)


def _summary(agreed: AgreedSamples, counts: dict[str, int], left: LeftOut | None = None) -> ExportSummary:
    return ExportSummary(
        counts, agreed.undrawn, agreed.unadjudicated, agreed.unsettled, agreed.returned, left or left_out({})
    )


def _provenance_line(entry: Consensus) -> str:
    line = {"image": entry.drawing.task, "method": entry.method, "iou": entry.iou, "drawings": entry.behind}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _require_questions(workspace: Workspace, agreed: AgreedSamples) -> None:
    without = [name for name in agreed.entries if not workspace.tasks[name].questions]
    if without:
        raise EarthReasonError(
            f"{workspace.root}: {len(without)} samples have no questions ({without[0]!r}, ...), and a release needs "
            "them. Export as coco, generate questions with `earthreason questions generate`, and review that run"
        )
