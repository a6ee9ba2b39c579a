"""The answers about a scene as a layer of polygons, for Python and for files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import path_of
from earthreason.geo.answers import SceneAnswer, SceneAnswers
from earthreason.geo.ellipsoid import geodesic_areas, geographic_polygons, ground_pixel_size, transform_polygons
from earthreason.geo.grid import GeoGrid
from earthreason.geo.regions import QuestionSummary, Region, find_regions
from earthreason.geo.writing_vectors import write_layer
from earthreason.plurals import count_of

if TYPE_CHECKING:
    import geopandas  # type: ignore[import-not-found, import-untyped, unused-ignore]

COLUMNS = ("question", "answer", "score", "area_m2", "pixels", "geometry")
_SHOWN = 10


@dataclass(frozen=True, repr=False)
class AnswerLayer(Sequence[Region]):
    """Polygons of all answers about a scene: a sequence of regions, and a table by the names of its columns.

    Attributes:
        regions: regions of all questions, in the order of the questions.
        crs: CRS of the polygons as WKT. None if the scene has none; without a transform too, polygons are in pixels:
            x is the column and y the row, downwards.
        summaries: one per question, also where nothing was found.
        facts: model, checkpoint, scene, time and settings of the run.
    """

    regions: tuple[Region, ...]
    crs: str | None = None
    summaries: tuple[QuestionSummary, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return COLUMNS

    def __len__(self) -> int:
        return len(self.regions)

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    @overload
    def __getitem__(self, key: int) -> Region: ...
    @overload
    def __getitem__(self, key: slice) -> AnswerLayer: ...
    @overload
    def __getitem__(self, key: str) -> np.ndarray: ...
    def __getitem__(self, key: int | slice | str) -> Region | AnswerLayer | np.ndarray:
        """Return a region by its place, a layer by a slice, or a column (n,) by its name.

        Raises:
            UnknownNameError: there is no such column.
        """
        if isinstance(key, slice):
            return self._with(self.regions[key])
        if not isinstance(key, str):
            return self.regions[key]
        if key not in COLUMNS:
            raise UnknownNameError("column", key, COLUMNS)
        values = [getattr(region, key) for region in self.regions]
        if key in ("score", "area_m2"):
            return np.array(values, np.float64)  # None becomes NaN
        return np.array(values, np.int64 if key == "pixels" else object)

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """FeatureCollection as in GeoJSON: WGS 84 if the CRS is known, else the layer's own coordinates."""
        polygons = self["geometry"]
        if self.crs is not None:
            polygons = geographic_polygons(polygons, self.crs)
        features = [
            {
                "type": "Feature",
                "properties": {name: getattr(region, name) for name in COLUMNS[:-1]},
                "geometry": polygon.__geo_interface__,
            }
            for region, polygon in zip(self.regions, polygons, strict=True)
        ]
        return {"type": "FeatureCollection", "features": features}

    def to_crs(self, crs: str) -> AnswerLayer:
        """Return the layer in another CRS, such as "EPSG:4326". Areas stay; edges over a kilometre get more corners.

        Raises:
            EarthReasonError: the layer has no CRS, or the other is unknown or does not fit.
        """
        from pyproj import CRS
        from pyproj.exceptions import CRSError

        if self.crs is None:
            raise EarthReasonError("the layer has no CRS; give the scene one, for example with gdal_edit.py -a_srs")
        try:
            target = CRS.from_user_input(crs).to_wkt()
        except CRSError as error:
            raise EarthReasonError(f"unknown CRS {str(crs)[:60]!r}; give one such as EPSG:4326") from error
        polygons = transform_polygons(self["geometry"], self.crs, target)
        regions = (replace(region, geometry=p) for region, p in zip(self.regions, polygons, strict=True))
        return replace(self, regions=tuple(regions), crs=target)

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Return the layer as a GeoDataFrame.

        Raises:
            EarthReasonError: geopandas is not installed.
        """
        try:
            import geopandas
        except ImportError as error:
            raise EarthReasonError("to_geodataframe() needs geopandas: pip install geopandas") from error
        columns = {name: self[name] for name in COLUMNS}
        return geopandas.GeoDataFrame(columns, geometry="geometry", crs=self.crs)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the layer to a file; the suffix decides on the format, see `write_layer`."""
        write_layer(path_of(path, "path of the layer"), self)

    def __repr__(self) -> str:
        lines = [
            f"AnswerLayer: {count_of(len(self), 'region')}, {count_of(len(self.summaries), 'question')}, "
            f"{self._place()}"
        ]
        for summary in self.summaries:
            found = count_of(summary.regions, "region") if summary.has_target else "no target"
            area = f", {_area(summary.area_m2)}" if summary.area_m2 else ""
            lines.append(f"  {summary.question!r}: {found}{area} (no-target score {summary.no_target_score:.2f})")
        if self.regions:
            lines.append(f"  {'question':<32} {'answer':<16} {'score':>5} {'area':>14} {'pixels':>10}")
        lines += [
            f"  {_cut(region.question, 32):<32} {_cut(region.answer, 16):<16} {region.score:5.2f} "
            f"{_area(region.area_m2):>14} {region.pixels:10,}"
            for region in self.regions[:_SHOWN]
        ]
        if len(self) > _SHOWN:
            lines.append(f"  ... and {len(self) - _SHOWN:,} more")
        return "\n".join(lines)

    def _place(self) -> str:
        from pyproj import CRS

        return "no CRS" if self.crs is None else str(CRS.from_user_input(self.crs).name)

    def _with(self, regions: tuple[Region, ...]) -> AnswerLayer:
        return replace(self, regions=regions)


def layer_of(answers: SceneAnswers, *, simplify: float = 0.0, min_area: float = 0.0) -> AnswerLayer:
    """Return the regions of all answers as a layer in the CRS of their grid.

    Args:
        answers: answers about a scene.
        simplify: metres; corners go whose triangle with their neighbours is smaller than the square of it. Regions of
            a question do not come to overlap, none vanishes, and holes stay. 0 keeps every pixel edge; then
            rasterising the polygons gives the mask again. Areas, scores and pixels stay those of the mask.
        min_area: square metres; smaller regions are left out.

    Raises:
        EarthReasonError: a size is negative, or is given for a scene without a CRS; an answer is noise.
    """
    grid = answers.grid
    placed = grid.crs if grid.transform is not None else None
    pixel = ground_pixel_size(grid)
    for name, value in (("simplify", simplify), ("min_area", min_area)):
        if not 0 <= value < np.inf:
            raise EarthReasonError(f"{name}: {value} is not a size; give 0 or more")
        if value and pixel is None:
            raise EarthReasonError(f"{name} is in metres, and the scene has no CRS on the Earth; leave it out")
    regions: list[Region] = []
    summaries = []
    for answer in answers.answers:
        found = _regions_of(answer, grid, placed, pixel, simplify, min_area)
        areas = [region.area_m2 for region in found if region.area_m2 is not None]
        summaries.append(
            QuestionSummary(
                question=answer.question,
                answer=_in_words(answer, "target" if answer.has_target else "no target"),
                has_target=answer.has_target,
                no_target_score=float(answer.no_target_score),
                regions=len(found),
                area_m2=None if pixel is None else float(sum(areas)),
            )
        )
        regions += found
    return AnswerLayer(tuple(regions), placed, tuple(summaries), dict(answers.facts))


def _regions_of(
    answer: SceneAnswer,
    grid: GeoGrid,
    crs: str | None,
    pixel: tuple[float, float] | None,
    simplify: float,
    min_area: float,
) -> list[Region]:
    if not answer.has_target:
        return []
    outlines = find_regions(answer.raster)
    polygons, pixels, scores = outlines.polygons, outlines.pixels, outlines.scores
    del outlines
    placed = _to_world(polygons, grid)
    polygons = polygons if simplify else placed  # millions of corners are not held twice
    areas = geodesic_areas(placed, crs)
    if min_area and areas is not None:
        kept = areas >= min_area
        polygons, placed = polygons[kept], placed[kept]
        pixels, scores, areas = pixels[kept], scores[kept], areas[kept]
    if simplify and pixel is not None and len(placed):
        placed = _to_world(_simplified(polygons, pixel, simplify), grid)
    words = _in_words(answer, "target")
    known = [None] * len(placed) if areas is None else areas.tolist()
    rows = zip(scores.tolist(), known, pixels.tolist(), placed, strict=True)
    return [Region(answer.question, words, *row) for row in rows]


def _to_world(polygons: np.ndarray, grid: GeoGrid) -> np.ndarray:
    """Bring polygons from pixels to the CRS of their grid, outlines counterclockwise."""
    import shapely

    if grid.transform is not None:
        a, b, c, d, e, f = grid.transform
        polygons = shapely.transform(
            polygons, lambda p: np.stack([a * p[:, 0] + b * p[:, 1] + c, d * p[:, 0] + e * p[:, 1] + f], axis=1)
        )
    return shapely.orient_polygons(polygons)


def _simplified(polygons: np.ndarray, size: tuple[float, float], metres: float) -> np.ndarray:
    """Return simplified polygons in pixels of `size` metres, all at once, so that neighbours do not come to overlap.

    Where an outline would cross itself or a neighbour, which is rare, it stays as it was.
    """
    import shapely

    scaled = shapely.transform(polygons, lambda points: points * size)
    thinned = shapely.coverage_simplify(scaled, metres)
    thinned = shapely.transform(thinned, lambda points: np.round(points / size))  # corners are pixel corners
    crossed = ~shapely.is_valid(thinned) | shapely.is_empty(thinned)
    while crossed.any():  # ends, because outlines as they were do not cross
        thinned[crossed] = polygons[crossed]
        crossed = _overlapping(thinned)
    return thinned


def _overlapping(polygons: np.ndarray) -> np.ndarray:
    """Return (n,) bool: polygons whose insides meet another's."""
    import shapely

    first, second = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    apart = first < second
    first, second = first[apart], second[apart]
    crossing = shapely.relate_pattern(polygons[first], polygons[second], "T********")
    marked = np.zeros(len(polygons), bool)
    marked[first[crossing]] = marked[second[crossing]] = True
    return marked


def _in_words(answer: SceneAnswer, outcome: str) -> str:
    return f"{outcome}: {answer.text}" if answer.text else outcome


def _area(area: float | None) -> str:
    if area is None:
        return "-"
    return f"{area / 1e6:,.2f} km²" if area >= 1e6 else f"{area:,.1f} m²"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
