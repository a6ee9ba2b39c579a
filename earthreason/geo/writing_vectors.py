"""Write a layer of polygons as GeoPackage, GeoJSON, FlatGeobuf, KML or Shapefile."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

import numpy as np

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_folder, write_text
from earthreason.geo.ellipsoid import geographic_polygons, is_on_earth
from earthreason.geo.regions import QuestionSummary, Region
from earthreason.geo.replacing import remove_stale, replace_together
from earthreason.geo.texts import printable
from earthreason.plurals import count_of

_DRIVERS = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".kml": "LIBKML",
    ".shp": "ESRI Shapefile",
    ".shp.zip": "ESRI Shapefile",
}
VECTOR_SUFFIXES = tuple(_DRIVERS)
GEOGRAPHIC_SUFFIXES = (".geojson", ".json", ".kml")
"""Formats that hold longitude and latitude of WGS 84 and nothing else."""
RUN_FIELDS = ("scene", "model", "checkpoint", "time")
"""Facts of the run that every region states, so that layers of several runs can be merged."""
_SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg", ".shp.xml", ".shp")
_SHAPEFILE_INDEXES = (".qix", ".sbn", ".sbx", ".idm", ".ind", ".qpj")
"""What GIS programs add to a Shapefile, and what is wrong beside a new one."""
_JOURNALS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a GeoPackage that is open or was not closed, and would write into a new one."""
_LONGEST_TEXT = 254
"""Bytes of a text in a Shapefile."""


class VectorLayer(Protocol):
    """What is written: an `AnswerLayer`."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """Regions of all questions."""

    @property
    def crs(self) -> str | None:
        """CRS as WKT."""

    @property
    def summaries(self) -> tuple[QuestionSummary, ...]:
        """What is said of each question."""

    @property
    def facts(self) -> dict[str, str]:
        """Facts of the run."""


@dataclass(frozen=True)
class _PrintableLayer:
    """A layer whose texts every format can hold."""

    regions: tuple[Region, ...]
    crs: str | None
    summaries: tuple[QuestionSummary, ...]
    facts: dict[str, str]

    @classmethod
    def of(cls, layer: VectorLayer) -> _PrintableLayer:
        regions = layer.regions
        if any(text != printable(text) for region in regions for text in (region.question, region.answer)):
            regions = tuple(replace(r, question=printable(r.question), answer=printable(r.answer)) for r in regions)
        summaries = (replace(s, question=printable(s.question), answer=printable(s.answer)) for s in layer.summaries)
        facts = {printable(name): printable(value) for name, value in layer.facts.items()}
        return cls(regions, layer.crs, tuple(summaries), facts)


def vector_suffix(path: Path) -> str | None:
    """Return which of `VECTOR_SUFFIXES` a path has, in lower case; None if it has another."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(VECTOR_SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


def files_of(path: Path) -> list[Path]:
    """Return every file that writing to a path replaces: a Shapefile has several."""
    return [path.with_suffix(suffix) for suffix in _SHAPEFILE_PARTS] if vector_suffix(path) == ".shp" else [path]


def write_layer(path: Path, layer: VectorLayer) -> None:
    """Write a layer; an existing file is replaced only once the new one is complete.

    One layer holds the regions of all questions, told apart by the field `question`, because every format can do so
    and GIS programs style by a field. A layer without regions keeps fields, geometry type and CRS, and says of each
    question that nothing was found: in its description, and in a GeoPackage also in the table `questions`.

    Args:
        path: the suffix decides on the format, see `VECTOR_SUFFIXES`. GeoJSON and KML are in longitude and latitude of
            WGS 84, GeoJSON with 7 decimals (about a centimetre); the others keep CRS and coordinates as they are.
        layer: an `AnswerLayer`.

    Raises:
        UnknownNameError: the suffix is unknown.
        EarthReasonError: the format needs a CRS and there is none, or the file cannot be written.
    """
    suffix = vector_suffix(path)
    if suffix is None:
        raise UnknownNameError("suffix of a layer", path.suffix, VECTOR_SUFFIXES)
    refuse_folder(path)
    refuse_unplaced(path, layer.crs)
    layer = _PrintableLayer.of(layer)
    try:
        if suffix == ".shp":
            with replace_together(path, _SHAPEFILE_PARTS, _SHAPEFILE_INDEXES) as temporary:
                _write(temporary, suffix, layer)
                write_text(temporary.with_suffix(".shp.xml"), _shapefile_metadata(layer))
        else:
            with atomic_path(path) as temporary:
                _write(temporary, suffix, layer)
            if suffix == ".gpkg":
                remove_stale(path, _JOURNALS)
    except EarthReasonError:  # some are OSErrors too
        raise
    except OSError as error:
        raise EarthReasonError(f"{path}: cannot write the layer: {error.strerror or error}") from error


def refuse_unplaced(path: Path, crs: str | None) -> None:
    """Check that a format of longitude and latitude gets a CRS on the Earth.

    Raises:
        EarthReasonError: it does not.
    """
    if vector_suffix(path) in GEOGRAPHIC_SUFFIXES and not is_on_earth(crs):
        lack = "has no CRS" if crs is None else "has a CRS without a place on the Earth"
        raise EarthReasonError(
            f"{path}: {vector_suffix(path)} holds longitudes and latitudes, and the scene {lack}; write a .gpkg"
        )


def describe_layer(layer: VectorLayer) -> str:
    """Describe in one text what was asked and found, and how."""
    lines = []
    for summary in layer.summaries:
        found = count_of(summary.regions, "region")
        if not summary.has_target:
            found = "nothing found (no target)"
        elif not summary.regions:
            found = "nothing found (no region is as large as asked)"
        area = f", {summary.area_m2:.1f} m2" if summary.regions and summary.area_m2 is not None else ""
        lines.append(f"{summary.question}: {found}{area}, no-target score {summary.no_target_score:.3f}")
    lines += [f"{name}: {value}" for name, value in layer.facts.items()]
    return "\n".join(lines)


def _write(path: Path, suffix: str, layer: VectorLayer) -> None:
    """Write one file, and check that all of it arrived, because GDAL does not report every full disk."""
    import pyogrio
    import shapely

    driver = _DRIVERS[suffix]
    polygons = np.array([region.geometry for region in layer.regions], object)
    crs = layer.crs
    if suffix in GEOGRAPHIC_SUFFIXES and crs is not None:
        polygons, crs = geographic_polygons(polygons, crs), "EPSG:4326"
    fields = _fields(layer)
    if suffix == ".kml":
        fields = {"Name": fields["question"], "description": _balloons(layer), **fields}
        if "model" in fields:  # in KML, a three-dimensional model; GDAL leaves out other values
            fields["model_name"] = fields.pop("model")
        small = not len(polygons) or fields["pixels"].max() < 1 << 31  # KML has no larger integers
        fields["pixels"] = fields["pixels"].astype(np.int32 if small else np.float64)
    if driver == "ESRI Shapefile":
        fields = {name[:10]: _cut_texts(name, values) for name, values in fields.items()}
    parts = bool(len(polygons)) and bool((shapely.get_type_id(polygons) != shapely.GeometryType.POLYGON).any())
    options = _options(suffix, layer)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # a scene without a CRS is said elsewhere
            pyogrio.raw.write(
                path,
                shapely.to_wkb(polygons) if len(polygons) else np.zeros(0, object),
                list(fields.values()),
                np.array(list(fields), object),
                driver=driver,
                geometry_type="Unknown" if parts and driver != "ESRI Shapefile" else "Polygon",
                crs=crs,
                encoding="UTF-8",
                **options,
            )
            if suffix == ".gpkg":
                _write_questions(path, layer)
        _check_complete(path, suffix, len(polygons))
    except (pyogrio.errors.FeatureError, pyogrio.errors.GeometryError, RuntimeError) as error:  # most are RuntimeErrors
        reason = " ".join(str(error).split())
        if "database or disk is full" in reason:  # after a page of SQL
            raise OSError("the disk is full; make room") from error
        raise OSError(f"{reason[:300]}; is the disk full?") from error


def _check_complete(path: Path, suffix: str, count: int) -> None:
    """Read a written file back as far as it takes to see that its end is there."""
    import pyogrio

    info = pyogrio.read_info(path, layer="answers" if suffix == ".gpkg" else None, force_feature_count=True)
    if info["features"] != count:
        raise OSError(f"only {info['features']} of {count_of(count, 'region')} could be written; is the disk full?")
    if _DRIVERS[suffix] in ("GeoJSON", "LIBKML"):  # texts, which are read although their end is missing
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16))
            if not file.read().rstrip().endswith(b"</kml>" if suffix == ".kml" else b"}"):
                raise OSError("the end of the file is missing; is the disk full?")


def _fields(layer: VectorLayer) -> dict[str, np.ndarray]:
    """Return the columns of a layer, (n,) each, without its geometry."""
    regions = layer.regions
    fields = {
        "question": np.array([region.question for region in regions], object),
        "answer": np.array([region.answer for region in regions], object),
        "score": np.array([region.score for region in regions], np.float64),
        "area_m2": np.array([region.area_m2 for region in regions], np.float64),  # None becomes NaN, and NaN null
        "pixels": np.array([region.pixels for region in regions], np.int64),
    }
    constant = {name: layer.facts[name] for name in RUN_FIELDS if name in layer.facts}
    return fields | {name: np.array([value] * len(regions), object) for name, value in constant.items()}


def _balloons(layer: VectorLayer) -> np.ndarray:
    """Return (n,) texts that KML viewers show when a region is clicked."""
    texts = []
    for region in layer.regions:
        area = "" if region.area_m2 is None else f", {region.area_m2:,.1f} m²"
        texts.append(f"{region.answer}, score {region.score:.2f}{area}")
    return np.array(texts, object)


def _cut_texts(name: str, values: np.ndarray) -> np.ndarray:
    """Return texts of at most 254 bytes, and warn of those that were longer."""
    if values.dtype != object:
        return values
    packed = {value: value.encode() for value in set(values.tolist())}
    if any(len(data) > _LONGEST_TEXT for data in packed.values()):
        warnings.warn(
            f"a Shapefile holds texts of {_LONGEST_TEXT} bytes; {name!r} was cut. Write a .gpkg to keep it",
            stacklevel=5,
        )
    return np.array([packed[value][:_LONGEST_TEXT].decode(errors="ignore") for value in values], object)


def _options(suffix: str, layer: VectorLayer) -> dict[str, Any]:
    """Return the arguments of pyogrio that name and describe a layer."""
    text, title = describe_layer(layer), _title(layer)
    metadata = {"DESCRIPTION": text, **layer.facts}
    if suffix == ".gpkg":
        return {
            "layer": "answers",
            "layer_options": {"DESCRIPTION": text, "IDENTIFIER": title},
            "layer_metadata": dict(layer.facts) or None,
            "dataset_options": {"VERSION": "1.2"},  # what GDAL opens without a warning since 2.2
        }
    if _DRIVERS[suffix] == "GeoJSON":
        members = {"questions": _plain(layer.summaries), "facts": layer.facts}
        native = {"type": "FeatureCollection", "earthreason": members, "features": []}
        return {
            "layer": "answers",
            "layer_options": {
                "RFC7946": "YES",
                "DESCRIPTION": text,
                "NATIVE_DATA": json.dumps(native, ensure_ascii=False, allow_nan=False),
                "NATIVE_MEDIA_TYPE": "application/vnd.geo+json",
            },
        }
    if suffix == ".kml":
        return {
            "layer": "answers",
            "layer_options": {"NAME": title, "DESCRIPTION": text},
            "dataset_options": {"NAME": title, "DESCRIPTION": text},
        }
    if suffix == ".fgb":
        return {"layer_options": {"TITLE": title, "DESCRIPTION": text}, "layer_metadata": metadata}
    return {"layer_options": {"RESIZE": "YES"}}


def _title(layer: VectorLayer) -> str:
    asked = "; ".join(summary.question for summary in layer.summaries)
    return asked if len(asked) <= 100 else f"{asked[:99]}…"


def _plain(summaries: Sequence[QuestionSummary]) -> list[Mapping[str, Any]]:
    return [asdict(summary) for summary in summaries]


def _write_questions(path: Path, layer: VectorLayer) -> None:
    """Add the table `questions` to a GeoPackage, one row each, so that "nothing here" can be read."""
    import pyogrio

    rows = layer.summaries
    columns = {
        "question": np.array([row.question for row in rows], object),
        "answer": np.array([row.answer for row in rows], object),
        "has_target": np.array([row.has_target for row in rows], bool),
        "no_target_score": np.array([row.no_target_score for row in rows], np.float64),
        "regions": np.array([row.regions for row in rows], np.int64),
        "area_m2": np.array([row.area_m2 for row in rows], np.float64),
    }
    names = np.array(list(columns), object)
    pyogrio.raw.write(path, None, list(columns.values()), names, driver="GPKG", layer="questions", encoding="UTF-8")


def _shapefile_metadata(layer: VectorLayer) -> str:
    """Return metadata in the FGDC's form, which GIS programs look for beside a Shapefile."""
    title, text = escape(_title(layer)), escape(describe_layer(layer))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata><idinfo>'
        f"<citation><citeinfo><title>{title}</title></citeinfo></citation>"
        f"<descript><abstract>{text}</abstract></descript></idinfo></metadata>\n"
    )
