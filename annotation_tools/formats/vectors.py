"""Place the features of vector files on georeferenced images.

A pixel belongs to a feature if its centre is inside, as `gdal_rasterize` burns them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError

from ..workspace import AnnotationTask
from .base import AnnotatedImage, Mark, Patch
from .features import GEOJSON_TYPES, Feature, Layer, read_layers
from .source import Format, Source

SUFFIXES = (".geojson", ".gpkg", ".shp", ".fgb", ".kml")
_WORLD = 360.0


def _read(source: Source) -> Iterator[AnnotatedImage]:
    """Yield the features that lie on each georeferenced image, clipped at its border.

    A vector file usually covers several images, so it matches them by place. Features beside all images are counted.

    Raises:
        DataFormatError: the file is not a vector file, one of the two has no CRS, or no feature lies on an image.
        EarthReasonError: no image has a georeference.
    """
    placed = {task.image: task for task in source.tasks.values() if task.transform is not None}
    if not placed:
        raise EarthReasonError(
            f"{source.shown}: vectors have world coordinates, but no image of the workspace has a georeference; import "
            "GeoTIFFs"
        )
    for image, task in placed.items():
        if task.crs is None:
            raise DataFormatError(
                f"{source.shown}: vectors have world coordinates, but image {image!r} has no CRS; use a GeoTIFF with "
                "one (gdal_edit.py -a_srs), or pixel polygons as COCO, CVAT or labelme"
            )
    layers = [_Placed(layer, source) for layer in read_layers(source)]
    for image, task in placed.items():
        place = f"{source.shown}, image {image!r}"
        by_task: dict[str | None, list[Mark]] = {}
        grazed = Counter[str]()
        for layer in layers:
            for feature, mark in layer.on(task, grazed):
                own = source.tasks.get(feature.task) if feature.task is not None else None
                by_task.setdefault(own.task if own is not None and own.image == image else None, []).append(mark)
        for name, marks in by_task.items() or [(None, [])]:
            yield AnnotatedImage((), tuple(marks), place, task=name, image=image, skipped=grazed)
            grazed = Counter()
    if not any(layer.used for layer in layers):
        raise DataFormatError(f"{source.shown}: {_describe_misses(layers, list(placed.values()))}")
    skipped = sum((layer.left_out() for layer in layers), Counter[str]())
    yield AnnotatedImage((), (), source.shown, skipped=skipped)


def _claims(source: Source) -> bool:
    if source.suffix == ".json":
        return isinstance(source.document, dict) and source.document.get("type") in GEOJSON_TYPES
    return source.suffix in SUFFIXES


FORMAT = Format("vectors (GeoJSON, GeoPackage, Shapefile, FlatGeobuf, KML)", _claims, _read)


class _Placed:
    """The features of a layer, found by place."""

    def __init__(self, layer: Layer, source: Source) -> None:
        from shapely import STRtree

        self.layer = layer
        self.used: set[int] = set()
        self._source = source
        self._tree = STRtree([feature.shape for feature in layer.features])
        self._moves: dict[str, Any] = {}

    def left_out(self) -> Counter[str]:
        beside = len(self.layer.features) - len(self.used)
        return self.layer.skipped + Counter({"features beside all images": beside} if beside else {})

    def on(self, task: AnnotationTask, grazed: Counter[str]) -> Iterator[tuple[Feature, Mark]]:
        """Yield the features on an image with their marks; count those that have pixels only beyond its border."""
        if not self.layer.features:
            return
        for index in self._near(task):
            feature = self.layer.features[index]
            place = f"{self._source.shown}, {feature.place}, image {task.image!r}"
            pixels = self._in_pixels(feature, task, place)
            if not _overlaps(pixels.bounds, task.height, task.width):
                continue
            draw = partial(_drawn, pixels, place, self._source.options.repair)
            left, top, right, bottom = pixels.bounds
            if left < 0 or top < 0 or right > task.width or bottom > task.height:
                if not _has_area_on(pixels, task.height, task.width):
                    continue
                inside = burn_window(pixels, task.height, task.width).mask.any()
                if not inside and _burnt(pixels, *_whole(pixels.bounds)).any():
                    self.used.add(index)
                    grazed["features with pixels only beyond the border of an image"] += 1
                    continue
            self.used.add(index)
            yield feature, Mark(feature.label, draw, place)

    def _near(self, task: AnnotationTask) -> list[int]:
        """Return the features whose bounding box meets that of the image, in the order of the file."""
        from shapely.geometry import box

        xs, ys = self.border(task)
        if not np.isfinite([xs, ys]).all():
            return list(range(len(self.layer.features)))
        turns = (-_WORLD, 0.0, _WORLD) if self.layer.crs.is_geographic else (0.0,)
        found: set[int] = set()
        for turn in turns:
            found.update(self._tree.query(box(xs.min() + turn, ys.min(), xs.max() + turn, ys.max())).tolist())
        return sorted(found)

    def border(self, task: AnnotationTask) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of points along the border of an image, a pixel outside it, in the CRS of the layer."""
        assert task.transform is not None
        a, b, c, d, e, f = task.transform
        steps = np.linspace(0, 1, 22)
        columns = np.concatenate([steps, steps, np.zeros(22), np.ones(22)]) * (task.width + 2) - 1
        rows = np.concatenate([np.zeros(22), np.ones(22), steps, steps]) * (task.height + 2) - 1
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
        move = self._move(task, inverse=True)
        return (x, y) if move is None else tuple(np.asarray(move(x, y)))

    def _move(self, task: AnnotationTask, inverse: bool = False) -> Any:
        """Return the transformation from the layer to an image, or back; None if they have the same CRS."""
        from pyproj import CRS, Transformer
        from pyproj.exceptions import CRSError

        assert task.crs is not None
        if task.crs not in self._moves:
            try:
                target = CRS.from_user_input(task.crs)
                same = self.layer.crs.equals(target, ignore_axis_order=True)
                there = Transformer.from_crs(self.layer.crs, target, always_xy=True).transform
                back = Transformer.from_crs(target, self.layer.crs, always_xy=True).transform
            except CRSError as error:
                raise DataFormatError(
                    f"{self._source.shown}: its CRS does not lead to that of image {task.image!r} ({error})"
                ) from None
            self._moves[task.crs] = (target.is_geographic, *((None, None) if same else (there, back)))
        return self._moves[task.crs][2 if inverse else 1]

    def _in_pixels(self, feature: Feature, task: AnnotationTask, place: str) -> Any:
        from affine import Affine
        from shapely import transform
        from shapely.affinity import affine_transform

        assert task.transform is not None
        assert task.crs is not None
        move = self._move(task)
        shape = feature.shape if move is None else transform(feature.shape, move, interleaved=False)
        if not np.isfinite(shape.bounds).all():
            raise DataFormatError(f"{place}: reaches too far for the CRS of the image; cut it to the images first")
        if self._moves[task.crs][0]:
            shape = _unwrapped(shape, task)
        inverse = ~Affine(*task.transform)
        return affine_transform(shape, [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f])


def _drawn(pixels: Any, place: str, repair: bool, height: int, width: int) -> Patch:
    from shapely.validation import explain_validity

    fault = next((explain_validity(part) for part in _parts(pixels) if not part.is_valid), None)
    if fault is not None and not repair:
        raise DataFormatError(f"{place}: {fault}; redraw the shape, or use --repair to fill it even-odd")
    return burn_window(pixels, height, width)


def _parts(pixels: Any) -> Sequence[Any]:
    """Return the polygons of a shape. Those of one feature may touch or overlap: it covers what any of them does."""
    return list(pixels.geoms) if pixels.geom_type == "MultiPolygon" else [pixels]


def _unwrapped(shape: Any, task: AnnotationTask) -> Any:
    """Bring longitudes to the turn of the image, if one of the two goes past the antimeridian."""
    from shapely import transform

    assert task.transform is not None
    a, b, c, *_ = task.transform
    corners = [c, c + a * task.width, c + b * task.height, c + a * task.width + b * task.height]
    left, _, right, _ = shape.bounds
    if max(map(abs, (*corners, left, right))) <= _WORLD / 2:
        return shape
    centre = sum(corners) / 4
    return transform(shape, lambda x, y: (x + _WORLD * np.round((centre - x) / _WORLD), y), interleaved=False)


def _overlaps(bounds: Sequence[float], height: int, width: int) -> bool:
    left, top, right, bottom = bounds
    return left < width and right > 0 and top < height and bottom > 0


def _has_area_on(pixels: Any, height: int, width: int) -> bool:
    from shapely import make_valid
    from shapely.geometry import box

    shape = pixels if pixels.is_valid else make_valid(pixels)
    return bool(shape.intersection(box(0, 0, width, height)).area > 0)


def _whole(bounds: Sequence[float]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the pixels that bounds meet."""
    left, top, right, bottom = bounds
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def burn_window(pixels: Any, height: int, width: int) -> Patch:
    """Rasterise polygons in pixel coordinates, each with its holes, in the window of an image that they meet.

    Args:
        pixels: Polygon or MultiPolygon; parts that overlap are united, rings that cross are filled even-odd.
        height: height of the image, pixels.
        width: width of the image, pixels.
    """
    left, top, right, bottom = _whole(pixels.bounds)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        return Patch(np.zeros((1, 1), bool))
    return Patch(_burnt(pixels, left, top, right, bottom), top, left)


def _burnt(pixels: Any, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    from affine import Affine
    from rasterio.features import rasterize

    size, place = (bottom - top, right - left), Affine.translation(left, top)
    return rasterize(_parts(pixels), out_shape=size, transform=place, fill=0, default_value=1, dtype="uint8").astype(
        bool
    )


def _describe_misses(layers: Sequence[_Placed], tasks: Sequence[AnnotationTask]) -> str:
    """Say that no feature lies on an image, where both are, and whether x and y seem to be swapped."""
    layer = next(layer for layer in layers if layer.layer.features)
    boxes = np.array([feature.shape.bounds for feature in layer.layer.features])
    (left, bottom), (right, top) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    xs, ys = layer.border(tasks[0])
    swapped = left <= ys.max() and right >= ys.min() and bottom <= xs.max() and top >= xs.min()
    hint = "; x and y seem to be swapped" if swapped else "; is its CRS right?"
    return (
        f"no feature lies on an image: they are at x {left:g} to {right:g}, y {bottom:g} to {top:g}, image "
        f"{tasks[0].image!r} at x {xs.min():g} to {xs.max():g}, y {ys.min():g} to {ys.max():g}{hint}"
    )
