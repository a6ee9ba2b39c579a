"""Make the cases of CVAT. Their masks come from Datumaro 0.3.1, from which CVAT's own copy was made.

    pip install datumaro==0.3.1 && python make_cvat.py

CVAT exports masks by `polygons_to_masks` and `boxes_to_masks` of that copy, which rounds coordinates to two digits.
Datumaro 1.13 differs: it keeps coordinates in 32 bits. A rotated box becomes a polygon first, and an ellipse is drawn
by OpenCV from whole numbers (github.com/cvat-ai/cvat, `cvat/apps/dataset_manager/formats/transformations.py`).
"""

import cmath
import math
from collections import defaultdict
from xml.etree import ElementTree as Tree

import cv2
import numpy as np
from cases import HEIGHT, HERE, WIDTH, Cases, blank, cvat_task, cvat_xml, write
from datumaro.components.annotation import Bbox, Polygon
from datumaro.plugins.transforms import BoxesToMasks, PolygonsToMasks

cases = Cases("cvat", "datumaro 0.3.1")


def shape(tag, label="pond", **attributes):
    inner = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<{tag} label="{label}" source="manual" occluded="0"{inner} z_order="0"></{tag}>'


def polygon(points, **attributes):
    return shape("polygon", points=points, **attributes)


def box(left, top, right, bottom, **attributes):
    return shape("box", xtl=left, ytl=top, xbr=right, ybr=bottom, **attributes)


def mask_of(element):
    """Return the mask of an element; None if it has no area."""
    values = element.attrib
    if element.tag == "polygon":
        points = [float(value) for pair in values["points"].split(";") for value in pair.split(",")]
        return PolygonsToMasks.convert_polygon(Polygon(points), HEIGHT, WIDTH).image
    if element.tag == "box":
        left, top, right, bottom = (float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        if "rotation" not in values:
            return BoxesToMasks.convert_bbox(Bbox(left, top, right - left, bottom - top), HEIGHT, WIDTH).image
        middle = complex(left + right, top + bottom) / 2
        turn = cmath.exp(1j * math.radians(float(values["rotation"])))
        corners = [complex(left, top), complex(right, top), complex(right, bottom), complex(left, bottom)]
        turned = [middle + (corner - middle) * turn for corner in corners]
        points = [value for corner in turned for value in (corner.real, corner.imag)]
        return PolygonsToMasks.convert_polygon(Polygon(points), HEIGHT, WIDTH).image
    if element.tag == "ellipse":
        x, y, across, down = (round(float(values[key])) for key in ("cx", "cy", "rx", "ry"))
        mask = blank()
        cv2.ellipse(mask, (x, y), (across, down), float(values.get("rotation", 0)), 0, 360, 1, thickness=-1)
        return mask
    if element.tag == "mask":
        left, top, width, height = (int(values[key]) for key in ("left", "top", "width", "height"))
        mask, at = blank(), 0
        for number, run in enumerate(map(int, values["rle"].split(","))):
            for pixel in range(at, at + run):
                mask[top + pixel // width, left + pixel % width] = number % 2
            at += run
        assert at == width * height
        return mask
    return None


def cvat(name, images, skipped=None, labels=("pond",), **options):
    images = images if isinstance(images, dict) else {"a.png": images}
    path = write(f"cvat/{name}.xml", cvat_xml(images, cvat_task(*labels)))
    whole, groups = {}, {}
    for image in Tree.parse(HERE / path).getroot().iter("image"):
        several = defaultdict(blank)
        for number, element in enumerate(image):
            mask = mask_of(element)
            if mask is not None and options.get("category") in (None, element.get("label")):
                group = element.get("group_id")
                several[("group", group) if group else number] |= mask.astype(np.uint8)
        stem = image.get("name").rsplit("/")[-1].removesuffix(".png")
        whole[stem] = np.maximum.reduce(list(several.values())) if several else None
        groups[stem] = list(several.values())
    cases.add(path, whole, skipped, groups if options.get("instances") else None, **options)


OUTLINES = {
    "polygon-whole": "2,3;10,3;10,12;2,12",
    "polygon-half": "2.50,3.50;10.50,3.50;10.50,12.50;2.50,12.50",
    "polygon-tilted": "2.30,2.70;25.10,4.40;18.60,17.90;5.20,14.10",
    "polygon-concave": "3.00,3.00;28.00,3.00;28.00,20.00;16.00,9.00;3.00,20.00",
    "polygon-thin": "1.20,1.10;30.70,22.30;30.90,22.90;1.10,1.60",
    "polygon-triangle": "5.05,20.95;15.55,2.45;29.15,18.65",
    "polygon-border": "0.00,0.00;32.00,0.00;32.00,24.00;0.00,24.00",
    "polygon-many": ";".join(f"{16 + 11 * np.cos(t):.2f},{12 + 9 * np.sin(t):.2f}" for t in np.arange(0, 6.2, 0.2)),
}
for name, points in OUTLINES.items():
    cvat(name, polygon(points))
cvat("box-whole", box(2, 3, 10, 12))
cvat("box-half", box("2.50", "3.50", "10.50", "12.50"))
cvat("box-thirds", box("4.33", "5.67", "20.31", "17.69"))
for degrees in (30, 45, 90, "123.40", "200.50", 359):
    cvat(f"box-rotated-{degrees}", box("9.00", "8.00", "22.00", "15.00", rotation=degrees))
cvat("box-rotated-over-border", box("1.00", "1.00", "15.00", "5.00", rotation=60))
cvat("two-shapes", polygon(OUTLINES["polygon-triangle"]) + box(1, 1, 6, 6))
cvat("groups", box(1, 1, 6, 6, group_id=3) + box(10, 2, 14, 9, group_id=3) + box(20, 20, 30, 23), instances=True)
cvat("mask", shape("mask", rle="0, 2, 3, 5, 2", left=4, top=5, width=4, height=3))
cvat("mask-and-polygon", shape("mask", rle="1, 10, 1", left=20, top=12, width=4, height=3) + polygon("1,1;9,1;9,9"))
two = polygon(OUTLINES["polygon-tilted"]) + box(1, 16, 9, 23, label="mill")
cvat("labels-pond", two, {"shapes of other labels": 1}, ("pond", "mill"), category="pond")
cvat("labels-mill", two, {"shapes of other labels": 1}, ("pond", "mill"), category="mill")
cvat("polyline", polygon("1,1;9,1;9,9") + shape("polyline", points="1,1;20,20;25,3"), {"polylines": 1})
cvat("points", box(3, 3, 9, 9) + shape("points", points="1,1;5,5") * 2, {"points": 2})
cvat("tag", '<tag label="pond" source="manual"></tag>' + box(3, 3, 9, 9), {"tags": 1})
cvat("several-images", {f"{name}.png": box(3, 3, 9 + at, 9) for at, name in enumerate("abc")} | {"d.png": ""})
cvat("folders", {"train/site/a.png": box(3, 3, 9, 9), "test/b.png": polygon(OUTLINES["polygon-thin"])})
cvat("attributes", box(3, 3, 9, 9).replace("></box>", '><attribute name="depth">2</attribute></box>'))
for name, values in {
    "upright": {"cx": "16.00", "cy": "12.00", "rx": "8.00", "ry": "5.00"},
    "halves": {"cx": "15.50", "cy": "10.50", "rx": "6.50", "ry": "3.50"},
    "turned": {"cx": "16.20", "cy": "11.70", "rx": "10.40", "ry": "4.60", "rotation": "30.00"},
    "over-border": {"cx": "3.00", "cy": "4.00", "rx": "9.00", "ry": "6.00"},
    "thin": {"cx": "16.00", "cy": "12.00", "rx": "9.00", "ry": "0.40"},
}.items():
    cvat(f"ellipse-{name}", shape("ellipse", **values))
skeleton = '<skeleton label="man" z_order="0"><points label="1" outside="0" points="3,3"></points></skeleton>'
cuboid = shape("cuboid", xtl1=1, ytl1=1, xbl1=1, ybl1=5, xtr1=4, ytr1=1, xbr1=4, ybr1=5)
cvat("skeleton-and-cuboid", box(3, 3, 9, 9) + skeleton + cuboid, {"skeletons": 1, "cuboids": 1})
named = box(3, 3, 9, 9).replace("></box>", '><attribute name="kind">old pond</attribute></box>')
both = named + box(12, 3, 19, 9).replace("></box>", '><attribute name="kind">mill</attribute></box>')
path = write("cvat/attribute-as-label.xml", cvat_xml({"a.png": both}, cvat_task("pond")))
only = mask_of(Tree.fromstring(box(12, 3, 19, 9)))
cases.add(path, {"a": only}, {"shapes of other labels": 1}, label_field="kind", category="mill")
project = "<meta><project><id>1</id><tasks><task><id>2</id></task><task><id>3</id></task></tasks></project></meta>"
images = {"first/a.png": box(3, 3, 9, 9), "second/b.png": box(4, 4, 9, 9)}
tasks = cvat_xml(images, project).replace('<image id="1"', '<image id="0" subset="Train" task_id="3"')
masks = [mask_of(Tree.fromstring(element)) for element in images.values()]
cases.add(write("cvat/project.xml", tasks), dict(zip("ab", masks, strict=True)))
cases.write()
