"""Make files from the documentation of their formats, with masks worked by hand: a pixel whose centre is inside counts.

    python make_by_hand.py

Rectangles of whole numbers need no rule about pixels. Circles and ellipses are checked pixel by pixel.
"""

import json
import math

import numpy as np
from cases import HEIGHT, HERE, WIDTH, Cases, blank, write
from PIL import Image

cases = Cases("by-hand", "documentation of VIA 2.0.12, VIA 3.0.13, Pascal VOC, LabelMe and Roboflow")


def filled(*boxes):
    mask = blank()
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 1
    return mask


def round_shape(x, y, across, down, degrees=0.0):
    """Return the pixels whose centres, turned back about (x, y), are within the half axes."""
    mask, turn = blank(), math.radians(degrees)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            right, below = column + 0.5 - x, row + 0.5 - y
            along = right * math.cos(turn) + below * math.sin(turn)
            beside = -right * math.sin(turn) + below * math.cos(turn)
            mask[row, column] = (along / across) ** 2 + (beside / down) ** 2 <= 1
    return mask


RECT = {"name": "rect", "x": 3, "y": 4, "width": 6, "height": 5}
POLYGON = {"name": "polygon", "all_points_x": [12, 20, 20, 16, 16, 12], "all_points_y": [2, 2, 8, 8, 5, 5]}
CIRCLE = {"name": "circle", "cx": 16, "cy": 12, "r": 7.3}
ELLIPSE = {"name": "ellipse", "cx": 15, "cy": 11, "rx": 10.2, "ry": 4.4}
AREA = {
    "rect": (RECT, filled((3, 4, 9, 9))),
    "polygon": (POLYGON, filled((12, 2, 20, 5), (16, 2, 20, 8))),
    "circle": (CIRCLE, round_shape(16, 12, 7.3, 7.3)),
    "ellipse": (ELLIPSE, round_shape(15, 11, 10.2, 4.4)),
    "ellipse-turned": (ELLIPSE | {"theta": math.radians(35)}, round_shape(15, 11, 10.2, 4.4, 35)),
    "circle-over-border": (CIRCLE | {"cx": 2}, round_shape(2, 12, 7.3, 7.3)),
}


def via2(name, images, skipped=None, project=True, as_object=False, **options):
    """Write a VIA 2 file; `images` has regions (shape, attributes, mask) by image."""
    entries, masks = {}, {}
    for image, regions in images.items():
        listed = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes, _ in regions]
        size = 1000 + len(entries)
        entries[f"{image}.png{size}"] = {
            "filename": f"{image}.png",
            "size": size,
            "regions": {str(number): region for number, region in enumerate(listed)} if as_object else listed,
            "file_attributes": {},
        }
        areas = [mask for _, _, mask in regions if mask is not None]
        masks[image] = np.maximum.reduce(areas) if areas else None
    settings = {"_via_settings": {"project": {"name": "t"}}, "_via_attributes": {"region": {}, "file": {}}}
    document = settings | {"_via_img_metadata": entries} if project else entries
    cases.add(write(f"via/{name}.json", json.dumps(document)), masks, skipped, **options)


for name, (shape, mask) in AREA.items():
    via2(f"2-{name}", {"a": [(shape, {"class": "pond"}, mask)]})
via2("2-export", {"a": [(RECT, {"class": "pond"}, AREA["rect"][1])], "b": []}, project=False)
via2("2-regions-as-object", {"a": [(POLYGON, {"kind": "pond"}, AREA["polygon"][1])]}, project=False, as_object=True)
lines = [({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 9]}, {"class": "road"}, None)] * 2
point = ({"name": "point", "cx": 4, "cy": 4}, {}, None)
rect = (RECT, {"class": "pond"}, AREA["rect"][1])
via2("2-lines-and-points", {"a": [*lines, point, rect]}, {"polylines": 2, "points": 1})
named = [(RECT, {"colour": "red", "Label": "pond"}, AREA["rect"][1])]
via2("2-usual-name", {"a": named})
several = [(RECT, {"kind": "mill", "state": "old"}, AREA["rect"][1]), (POLYGON, {"kind": "pond", "state": "old"}, None)]
via2("2-label-field", {"a": several}, {"shapes of other labels": 1}, label_field="kind", category="mill")
ticked = [(RECT, {"class": {"pond": True, "mill": False}}, AREA["rect"][1])]
via2("2-checkbox", {"a": ticked}, category="pond")


def via2_csv(name, rows, masks, skipped=None):
    head = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    lines = [head]
    for image, count, number, shape, attributes in rows:
        cells = [image, 1000, json.dumps({}), count, number, json.dumps(shape), json.dumps(attributes)]
        lines.append(",".join(f'"{str(cell).replace(chr(34), chr(34) * 2)}"' for cell in cells))
    cases.add(write(f"via/{name}.csv", "\n".join(lines) + "\n"), masks, skipped)


via2_csv(
    "2-table",
    [
        ("a.png", 2, 0, RECT, {"class": "pond"}),
        ("a.png", 2, 1, POLYGON, {"class": "pond"}),
        ("b.png", 1, 0, CIRCLE, {"class": "pond"}),
        ("c.png", 0, 0, {}, {}),
    ],
    {"a": AREA["rect"][1] | AREA["polygon"][1], "b": AREA["circle"][1], "c": None},
)


def via3(name, coordinates, mask, skipped=None, value="1", z=()):
    document = {
        "project": {"pid": "__VIA_PROJECT_ID__", "pname": "t", "data_format_version": "3.1.1"},
        "attribute": {
            "1": {"aname": "class", "type": 4, "options": {"1": "pond", "2": "mill"}, "anchor_id": "FILE1_Z0_XY1"}
        },
        "file": {"1": {"fid": "1", "fname": "a.png", "type": 2, "loc": 1, "src": ""}},
        "metadata": {"1_x": {"vid": "1", "flg": 0, "z": list(z), "xy": coordinates, "av": {"1": value}}},
        "view": {"1": {"fid_list": ["1"]}},
    }
    cases.add(write(f"via/3-{name}.json", json.dumps(document)), {"a": mask}, skipped)


pairs = [value for pair in zip(POLYGON["all_points_x"], POLYGON["all_points_y"], strict=True) for value in pair]
via3("rectangle", [2, 3, 4, 6, 5], AREA["rect"][1])
via3("circle", [3, 16, 12, 7.3], AREA["circle"][1])
via3("ellipse", [4, 15, 11, 10.2, 4.4], AREA["ellipse"][1])
via3("polygon", [7, *pairs], AREA["polygon"][1])
via3("extreme-rectangle", [8, 3, 6, 5, 4, 9, 7, 6, 9], AREA["rect"][1])
via3("extreme-circle", [9, 16, 4, 24, 12, 16, 20], round_shape(16, 12, 8, 8))
via3("point", [1, 4, 4], None, {"points": 1})
via3("line", [5, 1, 1, 9, 9], None, {"lines": 1})
via3("polyline", [6, 1, 1, 9, 9, 3, 4], None, {"polylines": 1})
via3("time", [], None, {"time segments": 1}, z=[0.5, 2.0])


def voc_xml(name, objects, mask, skipped=None, size=(WIDTH, HEIGHT), head="", **options):
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    text = f"<annotation>{head}<filename>a.png</filename>{stated}<segmented>0</segmented>{objects}</annotation>\n"
    cases.add(write(f"voc-xml/{name}.xml", text), {"a": mask}, skipped, **options)


def voc_object(label, left, top, right, bottom, inner=""):
    bounds = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return f"<object><name>{label}</name><difficult>0</difficult><bndbox>{bounds}</bndbox>{inner}</object>"


def numbered(*points):
    inner = "".join(f"<x{at}>{x}</x{at}><y{at}>{y}</y{at}>" for at, (x, y) in enumerate(points, start=1))
    return f"<polygon>{inner}</polygon>"


corners = list(zip(POLYGON["all_points_x"], POLYGON["all_points_y"], strict=True))
outline = voc_object("pond", 12, 2, 20, 8, numbered(*corners))
folder = "<folder>pictures</folder><path>C:\\photos\\pictures\\a.png</path>"
voc_xml("box", voc_object("pond", 3, 4, 9, 9), None, {"boxes without a mask": 1})
voc_xml("labelimg", voc_object("pond", 3, 4, 9, 9) * 2, None, {"boxes without a mask": 2}, head=folder)
voc_xml("polygon", outline, AREA["polygon"][1])
voc_xml("polygon-and-box", outline + voc_object("mill", 1, 1, 5, 5), AREA["polygon"][1], {"boxes without a mask": 1})
voc_xml("size-unknown", outline, AREA["polygon"][1], size=(0, 0))
voc_xml("no-object", "", None)
points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in corners)
web = f"<object><name>pond</name><deleted>0</deleted><polygon><username>x</username>{points}</polygon></object>"
gone = f"<object><name>pond</name><deleted>1</deleted><polygon>{points}</polygon></object>"
voc_xml("labelme-web", web + gone, AREA["polygon"][1], {"deleted objects": 1})
two = outline + voc_object("mill", 1, 1, 5, 5, numbered((1, 1), (5, 1), (5, 5), (1, 5)))
voc_xml("category", two, filled((1, 1, 5, 5)), {"shapes of other labels": 1}, category="mill")


def save(path, pixels, palette=None):
    (HERE / path).parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette(palette.tobytes())
    picture.save(HERE / path)


pond, mill = filled((3, 4, 9, 9)), filled((14, 3, 25, 20))
for image, values in {"a_png.rf.12ab": pond + 2 * mill, "b_png.rf.34cd": 2 * pond}.items():
    save(f"roboflow-masks/train/{image}_mask.png", values)
write("roboflow-masks/train/_classes.csv", "Pixel Value, Class\n0, background\n1, pond\n2, mill\n")
write("roboflow-masks/README.roboflow.txt", "Exported by Roboflow\n")
cases.add("roboflow-masks", {"a": mill, "b": pond}, {"shapes of other labels": 1}, category="mill")
cases.add("roboflow-masks", {"a": pond, "b": None}, {"shapes of other labels": 2}, category="pond")

for split, image, boxes in (("train", "a", [(3, 4, 9, 9)]), ("valid", "b", [(2, 2, 7, 6), (10, 10, 20, 20)])):
    annotations = [
        {"id": at, "image_id": 0, "category_id": 1, "bbox": [x, y, right - x, low - y], "area": 1, "iscrowd": 0}
        | {"segmentation": [[x, y, right, y, right, low, x, low]]}
        for at, (x, y, right, low) in enumerate(boxes)
    ]
    picture = {"id": 0, "license": 1, "file_name": f"{image}_png.rf.77aa.jpg", "height": HEIGHT, "width": WIDTH}
    categories = [
        {"id": 0, "name": "ponds", "supercategory": "none"},
        {"id": 1, "name": "pond", "supercategory": "ponds"},
    ]
    document = {"images": [picture | {"extra": {"name": f"{image}.png"}}], "annotations": annotations}
    document |= {"categories": categories}
    write(f"roboflow-coco/{split}/_annotations.coco.json", json.dumps(document))
write("roboflow-coco/README.dataset.txt", "# ponds\n")
cases.add("roboflow-coco", {"a": pond, "b": filled((2, 2, 7, 6), (10, 10, 20, 20))})

palette = np.zeros((256, 3), np.uint8)  # of VOC 2012: aeroplane 1, bicycle 2, boat 4, and 255 for what is left open
palette[[1, 2, 4, 255]] = (128, 0, 0), (0, 128, 0), (0, 0, 128), (224, 224, 192)
open_ring = filled((13, 2, 26, 21)) - mill
for folder, (first, second) in {"SegmentationClass": (1, 4), "SegmentationObject": (1, 2)}.items():
    save(f"voc-2012/{folder}/a.png", first * pond + second * mill + 255 * open_ring, palette)
void = "images with void pixels, which are no target"
cases.add(
    "voc-2012", {"a": mill}, {"shapes of other labels": 1, void: 1}, {"a": [mill]}, category="boat", instances=True
)
cases.add("voc-2012", {"a": pond}, {"shapes of other labels": 1, void: 1}, category="aeroplane")
cases.write()
