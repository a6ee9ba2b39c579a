"""What a model is asked about: the picture of a Label Studio task, and the question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from earthreason.data.pictures import open_picture
from earthreason.errors import DataFormatError

from ..formats.labelstudio import IMAGE
from ..labelstudio.client import LabelStudioClient
from ..workspace import AnnotationTask, Workspace
from .recent import Recent

ASK = "Where is what stands out from its surroundings?"
_KEPT = 4
"""Pictures kept decoded; 8,000 x 8,000 pixels take 192 MB."""
LARGEST_PICTURE = 256 * 2**20
"""Largest picture file that is fetched, bytes."""


@dataclass(frozen=True)
class Subject:
    """An RGB picture, and the question about it."""

    image: Image.Image
    question: str


class Subjects(Protocol):
    """Finds the picture and the question of a task as Label Studio sends it."""

    def of_task(self, task: Mapping[str, Any]) -> Subject:
        """Return picture and question.

        Raises:
            DataFormatError: the task is unknown here, or its picture cannot be read.
        """


def question_of(task: AnnotationTask) -> str:
    """Return the first question of a task, or one about what it says to mark."""
    if task.questions:
        return task.questions[0]
    what = task.target or task.category
    return f"Where is the {what}?" if what else ASK


class WorkspaceSubjects:
    """Takes both from the workspace by the name that `masks start` gave the task; needs no network."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._kept: Recent[Image.Image] = Recent(_KEPT)

    def of_task(self, task: Mapping[str, Any]) -> Subject:
        name = str(task["data"].get("task"))
        if name not in self._workspace.tasks:
            self._workspace = Workspace.open(self._workspace.root)  # tasks may have been imported since
        if name not in self._workspace.tasks:
            raise DataFormatError(f"task {task.get('id')} ({name}): not in {self._workspace.root}")
        path = self._workspace.picture(name)
        try:
            key = path.name, path.stat().st_mtime_ns
            image = self._kept.get(key, lambda: open_picture(path.read_bytes()).convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise DataFormatError(f"{path}: not a readable picture ({error})") from None
        return Subject(image, question_of(self._workspace.tasks[name]))


class ServerSubjects:
    """Fetches pictures from one Label Studio, and from nowhere else."""

    def __init__(self, client: LabelStudioClient) -> None:
        self._client = client
        self._kept: Recent[Image.Image] = Recent(_KEPT)

    def of_task(self, task: Mapping[str, Any]) -> Subject:
        data = task["data"]
        address = data.get(IMAGE)
        if not isinstance(address, str):
            raise DataFormatError(f"task {task.get('id')}: its data has no text {IMAGE!r}, the address of the picture")

        def fetch() -> Image.Image:
            content = self._client.download(address, LARGEST_PICTURE)
            try:
                return open_picture(content).convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:
                raise DataFormatError(f"task {task.get('id')}: {address} is not a readable picture ({error})") from None

        asked = data.get("asked")
        return Subject(self._kept.get(address, fetch), asked if isinstance(asked, str) and asked else ASK)
