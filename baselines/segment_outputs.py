"""Write the answers about a scene as pictures, rasters and layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path, refuse_folder
from earthreason.geo.answers import AnswerRaster, SceneAnswers
from earthreason.geo.asking import read_block
from earthreason.geo.grid import GeoGrid, Window
from earthreason.geo.planning import read_overview
from earthreason.geo.scene import Scene
from earthreason.overlay import PREDICTION_COLOUR, draw_overlay, shrink_mask

if TYPE_CHECKING:
    from earthreason.geo.layers import AnswerLayer

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Formats of pictures by suffix."""
OVERLAY_SIDE = 2048
"""Longer side of an overlay at most, in pixels."""
MOST_DRAWN = 50_000_000
"""Pixels up to which an overlay is drawn from all pixels of the scene."""
_BAND = 16 << 20


@dataclass(frozen=True)
class Outputs:
    """Files to write.

    Attributes:
        out: overlays, masks as GeoTIFF and layers, told apart by their suffixes.
        mask: mask as PNG or GeoTIFF.
        probability: probabilities as GeoTIFF.
    """

    out: tuple[Path, ...] = ()
    mask: Path | None = None
    probability: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file, in the order in which it is written."""
        return (*self.out, *(path for path in (self.mask, self.probability) if path is not None))

    def check(self, grid: GeoGrid) -> None:
        """Check before long work that every file can be written for a scene.

        Raises:
            EarthReasonError: a file is a folder or named twice, or its format does not fit the scene.
        """
        from earthreason.geo.outputs import check_output
        from earthreason.geo.writing_rasters import GEOTIFF_SUFFIXES, refuse_png

        for path in self.all:
            refuse_folder(path)
            if not is_picture(path):
                check_output(path, grid)
        if self.mask is not None and self.mask.suffix.lower() not in (".png", *GEOTIFF_SUFFIXES):
            raise EarthReasonError(f"--mask {self.mask}: must end in .png or .tif")
        if self.mask is not None and is_picture(self.mask):
            refuse_png(self.mask, grid, 1)
        if self.probability is not None and self.probability.suffix.lower() not in GEOTIFF_SUFFIXES:
            raise EarthReasonError(f"--probability {self.probability}: must end in .tif")

    def check_names(self, questions: int, json_out: Path | None, inputs: Iterable[Path]) -> None:
        """Check before long work that no file is written twice or over one that is read.

        Args:
            questions: number of questions.
            json_out: a further output.
            inputs: files that are read; those that do not exist are passed over.

        Raises:
            EarthReasonError: a file would be lost.
        """
        from earthreason.geo.writing_vectors import files_of

        files = [place for path in self.all for place in (numbered(path, questions) if is_picture(path) else [path])]
        files += [json_out] if json_out is not None and str(json_out) != "-" else []
        written = [part for file in files for part in files_of(file)]
        taken: set[Path] = set()
        for file in written:
            if file.resolve() in taken:
                raise EarthReasonError(f"two outputs are written to {file}; give each its own name")
            taken.add(file.resolve())
        read = {path.resolve(): path for path in inputs}
        for file in written:
            if file.resolve() in read:
                raise EarthReasonError(f"{file} is read by this command and would be lost; write to another file")

    def needs_layer(self) -> bool:
        """Tell whether a file holds polygons."""
        from earthreason.geo.writing_vectors import vector_suffix

        return any(vector_suffix(path) is not None for path in self.out)


def is_picture(path: Path) -> bool:
    """Tell whether a file is a picture by its suffix."""
    return path.suffix.lower() in PICTURES


def write_outputs(
    outputs: Outputs, scene: Scene, answers: SceneAnswers, layer: AnswerLayer | None
) -> list[tuple[str, int | None, Path]]:
    """Write every output; return its kind, the question that it is about (None for all), and its file.

    Pictures hold one question, so several questions make `NAME-1.png`, `NAME-2.png` and so on.
    """
    from earthreason.geo.writing_rasters import GEOTIFF_SUFFIXES, write_mask, write_probability
    from earthreason.geo.writing_vectors import write_layer

    written: list[tuple[str, int | None, Path]] = []
    for path in outputs.out:
        if is_picture(path):
            for number, place in enumerate(numbered(path, len(answers.answers))):
                _write_overlay(place, scene, answers, number)
                written.append(("overlay", number, place))
        elif path.suffix.lower() in GEOTIFF_SUFFIXES:
            write_mask(path, answers)
            written.append(("mask", None, path))
        elif layer is not None:
            write_layer(path, layer)
            written.append(("layer", None, path))
    if outputs.mask is not None and is_picture(outputs.mask):
        for number, place in enumerate(numbered(outputs.mask, len(answers.answers))):
            write_mask(place, replace(answers, answers=answers.answers[number : number + 1]))
            written.append(("mask", number, place))
    elif outputs.mask is not None:
        write_mask(outputs.mask, answers)
        written.append(("mask", None, outputs.mask))
    if outputs.probability is not None:
        write_probability(outputs.probability, answers)
        written.append(("probability", None, outputs.probability))
    return written


def numbered(path: Path, count: int) -> Sequence[Path]:
    """Return a name per question: the name itself for one question, else with -1, -2, ... before the suffix."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def _write_overlay(path: Path, scene: Scene, answers: SceneAnswers, number: int) -> None:
    assert answers.scene_grid is not None
    assert answers.window is not None
    raster, window = answers.answers[number].raster, answers.window
    if window.width * window.height <= MOST_DRAWN:
        pixels = read_block(scene, answers.scene_grid, window).pixels
        mask = raster.mask(answers.grid.whole)
    else:
        pixels = read_overview(scene, answers.scene_grid, window, OVERLAY_SIDE)
        mask = read_small_mask(raster, pixels.shape[1], pixels.shape[0])
    picture = draw_overlay(Image.fromarray(pixels), mask, PREDICTION_COLOUR, side=OVERLAY_SIDE)
    try:
        with atomic_path(path) as temporary:
            picture.save(temporary, PICTURES[path.suffix.lower()])
    except EarthReasonError:  # some are OSErrors too
        raise
    except OSError as error:
        raise EarthReasonError(f"{path}: cannot write the picture: {error.strerror or error}") from error


def read_small_mask(raster: AnswerRaster, width: int, height: int) -> np.ndarray:
    """Return (height, width) bool of a mask, read in bands; a pixel is marked if any that it stands for is."""
    grid = raster.grid
    starts = np.arange(height + 1) * grid.height // height
    step = max(1, int(_BAND / (grid.width * grid.height / height)))
    found = np.zeros((height, width), bool)
    for first in range(0, height, step):
        last = min(first + step, height)
        band = raster.mask(Window(0, int(starts[first]), grid.width, int(starts[last] - starts[first])))
        found[first:last] = shrink_mask(band, (width, last - first))
    return found


def mean_probability(raster: AnswerRaster) -> float | None:
    """Return the mean probability of the marked pixels; None if there are none."""
    grid = raster.grid
    rows = max(1, _BAND // grid.width)
    total, count = 0.0, 0
    for top in range(0, grid.height, rows):
        window = Window(0, top, grid.width, min(rows, grid.height - top))
        mask = raster.mask(window)
        if mask.any():
            total += float(raster.probability(window)[mask].sum(dtype=np.float64))
            count += int(mask.sum())
    return total / count if count else None
