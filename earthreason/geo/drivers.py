"""Which of GDAL's drivers may read a file, by its content: others may open further files and URLs."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError

HEAD_BYTES = 4096
"""How much of a file's beginning `driver_of_head` needs."""
PNG_START = b"\x89PNG\r\n\x1a\n"
_DRIVERS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    PNG_START: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\0\0\0\x0cjP  ": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
    b"BM": "BMP",
}
_LARGEST_VRT = 64 << 20  # bytes; a mosaic of 100,000 files
_DEEPEST_VRT = 8
_MOSAIC = {"SimpleSource", "ComplexSource", "AveragedSource", "KernelFilteredSource", "NoDataFromMaskSource"}
_PLAIN = {
    *("VRTDataset", "SRS", "GeoTransform", "GCPList", "GCP", "Metadata", "MDI", "VRTRasterBand", "MaskBand"),
    *("BlockXSize", "BlockYSize", "Overview", "OverviewList", "Description", "UnitType", "Offset", "Scale"),
    *("ColorInterp", "ColorTable", "Entry", "NoDataValue", "HideNoDataValue", "CategoryNames", "Category"),
    *("Histograms", "HistItem", "HistMin", "HistMax", "BucketCount", "IncludeOutOfRange", "Approximate"),
    *("HistCounts", "SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect", "NODATA"),
    *("ScaleOffset", "ScaleRatio", "LUT", "ColorTableComponent", "UseMaskBand", "SrcMin", "SrcMax", "DstMin"),
    *("DstMax", "Exponent", "Clamp", "Kernel", "Size", "Coefs", "MaskValueThreshold", "RemappedValue"),
}
"""What a VRT of gdalbuildvrt or gdal_translate consists of, beside its sources."""


def driver_of_head(head: bytes) -> str | None:
    """Return GDAL's driver for a picture or raster by its first `HEAD_BYTES` bytes; None for others and for a VRT."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((driver for start, driver in _DRIVERS.items() if head.startswith(start)), None)


def checked_driver(path: Path) -> str:
    """Return the driver that reads a file, after a check that the file is whole as far as GDAL does not check it.

    Raises:
        DataNotFoundError: there is no such file.
        EarthReasonError: it is a folder.
        DataFormatError: its format is not read, it is a PNG that is truncated or damaged, or a VRT that is more than
            a mosaic of rasters in its folder.
    """
    if path.is_dir():
        raise EarthReasonError(f"{path} is a folder; give one raster, such as a VRT that gdalbuildvrt makes of many")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise DataNotFoundError(f"there is no scene {path}") from None
    except OSError as error:
        raise DataFormatError(f"{path}: cannot be opened ({error.strerror})") from None
    if not head:
        raise DataFormatError(f"{path}: the file is empty; get it again")
    driver = driver_of_head(head)
    if driver is None and b"<VRTDataset" in head:
        _check_vrt(path.resolve(), path, 0, set())
        return "VRT"
    if driver is None:
        raise DataFormatError(
            f"{path}: not a GeoTIFF, VRT, JPEG 2000, PNG, JPEG, BMP or WebP file; convert it first "
            f"(gdal_translate {path.name} scene.tif)"
        )
    if driver == "PNG":
        _check_png(path)
    return driver


def _check_png(path: Path) -> None:
    """Follow the chunks to the end: GDAL takes rows that are missing, or damaged, for black."""
    with path.open("rb") as file:
        file.seek(len(PNG_START))
        kind = b""
        while kind != b"IEND":
            start = file.read(8)
            if len(start) < 8:
                raise DataFormatError(f"{path}: the PNG is truncated; get the file again")
            left, kind = struct.unpack(">I4s", start)
            sum_ = zlib.crc32(kind)
            while left > 0 and (part := file.read(min(left, 1 << 20))):
                sum_, left = zlib.crc32(part, sum_), left - len(part)
            stated = file.read(4)
            if left or len(stated) < 4:
                raise DataFormatError(f"{path}: the PNG is truncated; get the file again")
            if int.from_bytes(stated) != sum_:
                raise DataFormatError(f"{path}: the PNG is damaged (wrong checksum); get the file again")


def _check_vrt(path: Path, place: Path, depth: int, seen: set[Path]) -> None:
    """Check that a VRT, which may come from a stranger, reads nothing but rasters in its folder or below."""
    if depth > _DEEPEST_VRT:
        raise DataFormatError(f"{place}: VRTs inside VRTs, more than {_DEEPEST_VRT} deep; build one of the rasters")
    if path.stat().st_size > _LARGEST_VRT:
        raise DataFormatError(f"{place}: a VRT of more than {_LARGEST_VRT >> 20} MiB; build it of fewer rasters")
    content = path.read_bytes()
    try:
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise DataFormatError(f"{place}: the VRT {path.name} declares entities, which no VRT needs; build it again")
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DataFormatError(f"{place}: {path.name} is not a readable VRT ({error}); build it again") from None
    for element in root.iter():
        _check_element(element, path, place)
        if element.tag == "SourceFilename":
            source = _source_of(element, path, place)
            if source not in seen:
                seen.add(source)
                _check_source(source, path, place, depth, seen)


def _check_element(element: ElementTree.Element, path: Path, place: Path) -> None:
    fault = None
    if element.tag not in _PLAIN | _MOSAIC:
        fault = f"has <{element.tag}>"
    elif element.get("subClass", "") not in ("", "VRTSourcedRasterBand"):
        fault = f"is a {element.get('subClass')}"
    elif element.tag == "Metadata" and element.get("domain", "").casefold() == "overviews":
        fault = "names a file of overviews"
    if fault is not None:
        raise DataFormatError(
            f"{place}: the VRT {path.name} {fault}; only mosaics of rasters are read, because other VRTs may run code "
            f"or open any file; write it as a raster if you trust it (gdal_translate {path.name} scene.tif)"
        )


def _source_of(element: ElementTree.Element, path: Path, place: Path) -> Path:
    text = (element.text or "").strip()
    if "://" in text or "/vsi" in text or re.match(r"\w+:", text) or "<" in text:
        raise DataFormatError(
            f"{place}: the VRT {path.name} reads {text[:80]!r}, which is no plain file; "
            "copy the rasters beside it and build it again"
        )
    relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
    return ((path.parent if relative else Path.cwd()) / text).resolve()


def _check_source(source: Path, path: Path, place: Path, depth: int, seen: set[Path]) -> None:
    if not source.is_relative_to(place.resolve().parent):
        raise DataFormatError(
            f"{place}: the VRT {path.name} reads {source}, which is not in the VRT's folder, so a VRT from elsewhere "
            "could read any file; move the VRT to a folder above its rasters, or write it as one (gdal_translate)"
        )
    if not source.is_file():
        raise DataFormatError(f"{place}: the VRT {path.name} needs {source}, which is missing; copy it there")
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
    driver = driver_of_head(head)
    if driver == "PNG":
        _check_png(source)
    elif driver is None and b"<VRTDataset" in head:
        _check_vrt(source, place, depth + 1, seen)
    elif driver is None:
        raise DataFormatError(f"{place}: the VRT {path.name} needs {source}, which is not a raster that is read here")
