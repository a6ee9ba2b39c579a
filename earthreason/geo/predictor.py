"""Answer questions about a scene of any size: `GeoPredictor(model).segment(path, questions)`."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.files import path_of
from earthreason.geo.answers import SceneAnswer, SceneAnswers
from earthreason.geo.asking import Progress, as_tile_model, ask_tiles
from earthreason.geo.grid import Window
from earthreason.geo.journal import Journal, MemoryRows, PackedRaster, locked
from earthreason.geo.model import TileModel
from earthreason.geo.planning import Plan, Settings, check_questions, make_plan, read_overview
from earthreason.geo.scene import Scene
from earthreason.types import Predictor

if TYPE_CHECKING:
    from earthreason.geo.bands import Stretch
    from earthreason.geo.layers import AnswerLayer

logger = logging.getLogger("earthreason.geo")
LONGEST_PATH = 255
"""Characters of a text at most for it to be looked for as a file."""
IN_MEMORY = 256 << 20
"""Bytes of answers above which they are kept on disk."""


@dataclass(frozen=True)
class GeoPredictor:
    """A model that answers questions about scenes.

    Attributes:
        model: a `TileModel`, such as every predictor of `baselines`, or any `Predictor` of masks.
        checkpoint: name of its weights, for the metadata of the answers.
        facts: further facts for the metadata that also identify a run, such as the data type.
    """

    model: TileModel | Predictor
    checkpoint: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def segment(
        self,
        path: str | Path,
        questions: str | Sequence[str],
        aoi: Any = None,
        *,
        tile: int | None = None,
        overlap: float = 0.25,
        gsd: float | None = None,
        bands: str | tuple[int, ...] | None = None,
        stretch: str | Stretch | None = None,
        threshold: float = 0.5,
        simplify: float = 0.0,
        min_area: float = 0.0,
        aoi_crs: str | None = None,
        work: Path | None = None,
        progress: Progress | None = None,
    ) -> AnswerLayer:
        """Answer questions about a scene with polygons.

        Args:
            path: raster file or picture.
            questions: one question or several; each tile is encoded once for all of them.
            aoi: area of interest: bounding box, GeoJSON or window; None means the whole scene.
            tile: side of the tiles in pixels; 0 shows the model the whole scene; None takes the model's side.
            overlap: share of a tile that overlaps the next.
            gsd: ground resolution to work at, metres per pixel.
            bands: bands to show, such as "4,3,2"; None takes those that the file names.
            stretch: how numbers become 8 bits, such as "2%,98%" or "0,3000"; None takes percentiles of the pixels.
            threshold: probability above which a pixel is marked.
            simplify: distance in metres by which the polygons may be simplified; 0 keeps every pixel edge.
            min_area: area in square metres below which polygons are left out.
            aoi_crs: CRS of the area of interest; None takes what its form implies.
            work: folder from which a stopped run goes on; None keeps nothing.
            progress: function to tell of finished tiles, called with their number and that of all.

        Raises:
            EarthReasonError: the file, the area, a question or a setting is unusable, or the disk is full.
        """
        from earthreason.geo.bands import Stretch, parse_bands
        from earthreason.geo.layers import layer_of

        chosen = parse_bands(bands) if isinstance(bands, str) else bands
        limits = Stretch.parse(stretch) if isinstance(stretch, str) else stretch
        settings = Settings(tile, overlap, gsd, chosen, limits, threshold, aoi_crs)
        with self.answer(path, questions, aoi, settings, work=work, progress=progress) as answers:
            return layer_of(answers, simplify=simplify, min_area=min_area)

    @contextmanager
    def answer(
        self,
        path: str | Path,
        questions: str | Sequence[str],
        aoi: Any = None,
        settings: Settings | None = None,
        *,
        work: Path | None = None,
        progress: Progress | None = None,
    ) -> Iterator[SceneAnswers]:
        """Yield masks and probabilities of all questions; rasters of large scenes lie on disk until the block ends.

        `work` keeps what is finished when the run is killed or the block fails; it is removed when the block succeeds.

        Args:
            path: raster file or picture.
            questions: one question or several.
            aoi: area of interest; None means the whole scene.
            settings: how the scene is answered.
            work: folder from which a stopped run goes on; None keeps nothing.
            progress: function to tell of finished tiles.

        Raises:
            EarthReasonError: the file, the area, a question or a setting is unusable, the disk is full, `work` has an
                unfinished run with other settings, or another process works in it.
        """
        from earthreason.geo.reading import open_scene

        settings = settings or Settings()
        check_questions([questions] if isinstance(questions, str) else questions)
        path = path_of(path, "the scene")
        with (
            open_scene(path, bands=settings.bands, stretch=settings.stretch) as scene,
            self.answer_opened(scene, path, questions, aoi, settings, work=work, progress=progress) as answers,
        ):
            yield answers

    @contextmanager
    def answer_opened(
        self,
        scene: Scene,
        path: Path,
        questions: str | Sequence[str],
        aoi: Any = None,
        settings: Settings | None = None,
        *,
        work: Path | None = None,
        progress: Progress | None = None,
    ) -> Iterator[SceneAnswers]:
        """Answer as `answer` does about a scene that is open already, of the file at `path`."""
        settings = settings or Settings()
        asked = check_questions([questions] if isinstance(questions, str) else questions)
        model = as_tile_model(self.model)
        if settings.words and not hasattr(self.model, "answer"):
            raise EarthReasonError(f"{model.name} does not answer in words; leave --answer out")
        plan = make_plan(scene, model, aoi, settings, len(asked))
        started = datetime.now(UTC).isoformat(timespec="seconds")
        size = 2 * len(asked) * plan.tiling.area.width * plan.tiling.area.height
        with ExitStack() as stack:
            rows: MemoryRows | Journal
            if size <= IN_MEMORY and (work is None or len(plan.tiling.tops) == 1):
                rows = MemoryRows(len(asked), plan.grid)
                scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="earthreason-")))
            else:
                scratch = work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="earthreason-")))
                with told_disk_is_full(scratch, work is not None):
                    stack.enter_context(locked(scratch))
                identity = self._identity(path, scene, plan, model, asked, aoi, settings)
                with told_disk_is_full(scratch, work is not None):
                    rows = Journal(scratch, identity, started)
                started = rows.started
                if rows.records:
                    done, count = len(rows.records), len(plan.tiling.tops)
                    logger.info("resuming %s: %d of %d rows of tiles are finished", scratch, done, count)
            with told_disk_is_full(scratch, work is not None):
                ask_tiles(
                    *(scene, plan.tiling, model, asked, rows, scratch, plan.area, settings.threshold, progress),
                )
            texts = self._words(scene, plan, asked) if settings.words else [None] * len(asked)
            answers = _answers_of(rows, plan, model, asked, texts)
            facts = self._metadata(scene, plan, model, settings, started)
            yield SceneAnswers(plan.grid, answers, facts, plan.tiling.grid, plan.tiling.area)
            if isinstance(rows, Journal) and work is not None:
                rows.remove()

    def _identity(
        self,
        path: Path,
        scene: Scene,
        plan: Plan,
        model: TileModel,
        questions: Sequence[str],
        aoi: Any,
        settings: Settings,
    ) -> dict[str, Any]:
        status, tiling = path.stat(), plan.tiling
        return {
            "scene": [str(path.resolve()), status.st_size, status.st_mtime_ns],
            "bands or stretch": dict(scene.facts),
            "model": [model.name, self.checkpoint, dict(self.facts)],
            "questions": list(questions),
            "threshold": [settings.threshold, model.no_target_threshold],
            "area": [_area_stamp(aoi), settings.aoi_crs, _corners(tiling.area)],
            "tiles": [tiling.height, tiling.width, list(tiling.tops), list(tiling.lefts)],
            "grid": [tiling.grid.height, tiling.grid.width],
            "version": own_version(),
        }

    def _metadata(self, scene: Scene, plan: Plan, model: TileModel, settings: Settings, started: str) -> dict[str, str]:
        from earthreason.geo.resolution import ground_resolution

        tiling = plan.tiling
        resolution, own = ground_resolution(tiling.grid), ground_resolution(scene.grid)
        return {
            "scene": scene.name,
            "model": model.name,
            "checkpoint": self.checkpoint,
            "time": started,
            "version": f"earthreason {own_version()}",
            "threshold": f"{settings.threshold:g}",
            "no_target_threshold": f"{model.no_target_threshold:g}",
            **({} if resolution is None else {"ground_resolution": f"{resolution:g} m"}),
            **({} if own is None else {"scene_ground_resolution": f"{own:g} m"}),
            "tile": f"{tiling.width} x {tiling.height}, {len(tiling)} in all",
            **{f"read_{name}": value for name, value in scene.facts.items()},
            **dict(self.facts),
        }

    def _words(self, scene: Scene, plan: Plan, questions: Sequence[str]) -> list[str | None]:
        area = plan.tiling.area
        image = Image.fromarray(read_overview(scene, plan.tiling.grid, area, 1024))
        model: Any = self.model
        return [model.answer(image, question) for question in questions]


@contextmanager
def told_disk_is_full(folder: Path, resumable: bool) -> Iterator[None]:
    """Turn the system's error about a full disk into one that says what is left and what to do.

    Raises:
        EarthReasonError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        remedy = "run the same command again: it goes on from there" if resumable else "run again, or set TMPDIR"
        raise EarthReasonError(f"the disk of {folder} is full; make room and {remedy}") from None


def own_version() -> str:
    """Return the version of this package; "unknown" where it runs from a folder without being installed."""
    try:
        return version("earthreason")
    except PackageNotFoundError:
        return "unknown"


def _answers_of(
    rows: MemoryRows | Journal, plan: Plan, model: TileModel, questions: Sequence[str], texts: Sequence[str | None]
) -> tuple[SceneAnswer, ...]:
    known = sum(record.known for record in rows.records)
    if not any(record.asked for record in rows.records):
        logger.warning("no tile has data in the area, so the model was not asked")
    found = []
    for number, question in enumerate(questions):
        scores = [record.no_target_scores[number] for record in rows.records if record.no_target_scores]
        count = sum(record.marked[number] for record in rows.records)
        lowest = min(scores, default=1.0)
        has_target = count > 0 and lowest <= model.no_target_threshold
        raster = PackedRaster(plan.grid, rows, number, silent=not has_target)
        count = count if has_target else 0
        found.append(SceneAnswer(question, lowest, has_target, raster, texts[number], count / max(1, known), count))
    return tuple(found)


def _area_stamp(aoi: Any) -> list[Any]:
    """Return what identifies an area of interest: its text, and size and time of its file if it is one."""
    text = json.dumps(aoi, default=str, sort_keys=True)
    found: list[Any] = [hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()]
    if isinstance(aoi, str | Path) and len(str(aoi)) < LONGEST_PATH and Path(aoi).is_file():
        status = Path(aoi).stat()
        found += [status.st_size, status.st_mtime_ns]
    return found


def _corners(window: Window) -> list[int]:
    return [window.left, window.top, window.right, window.bottom]
