"""What the calls of the API share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from earthreason.geo.model import TileModel

from .jobs import JobQueue
from .metrics import Measures
from .results import Results
from .samples import Samples
from .scenes import Scenes
from .settings import Settings


@dataclass(frozen=True)
class State:
    """What the calls of the API share."""

    settings: Settings
    model: TileModel
    scenes: Scenes
    samples: Samples
    results: Results
    jobs: JobQueue
    measures: Measures

    def without_folders(self, line: str) -> str:
        """Return a line without the server's own folders, which say nothing to a client."""
        for folder in filter(None, (self.settings.scenes, self.scenes.folder, self.results.folder)):
            line = line.replace(f"{folder}{os.sep}", "")
        return line


def get_state(request: Request) -> State:
    """Return the state of the application that a request reached."""
    state: State = request.app.state.serve
    return state


Shared = Annotated[State, Depends(get_state)]
