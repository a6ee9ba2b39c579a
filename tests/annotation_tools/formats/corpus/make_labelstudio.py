"""Let Label Studio's own converter write COCO, YOLO and Pascal VOC of polygons and boxes.

    pip install label-studio-sdk==2.1.2 && python make_labelstudio.py

The polygons are boxes of whole pixels. COCO fills them as they are. YOLO, whose readers draw the outline too, adds the
last row and column. Boxes in YOLO and VOC are no masks.
"""

import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from cases import HEIGHT, HERE, WIDTH, Cases, blank
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format

cases = Cases("labelstudio", f"label-studio-sdk {version('label-studio-sdk')}")
CONFIG = """<View><Image name="image" value="$image"/>
<PolygonLabels name="polygon" toName="image"><Label value="pond"/></PolygonLabels>
<RectangleLabels name="box" toName="image"><Label value="pond"/></RectangleLabels></View>"""
SIZE = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}


def region(kind, number, value):
    names = {"id": f"r{number}", "from_name": "polygon" if "points" in value else "box", "to_name": "image"}
    return names | {"type": kind, "value": value | {kind: ["pond"]}} | SIZE


def polygon(number, *points):
    value = {"points": [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in points], "closed": True}
    return region("polygonlabels", number, value)


def box(number, left, top, right, bottom):
    value = {"x": 100 * left / WIDTH, "y": 100 * top / HEIGHT, "rotation": 0}
    value |= {"width": 100 * (right - left) / WIDTH, "height": 100 * (bottom - top) / HEIGHT}
    return region("rectanglelabels", number, value)


def task(number, name, results):
    annotation = {"id": number, "completed_by": 1, "was_cancelled": False, "result": results}
    return {"id": number, "data": {"image": f"/data/upload/1/{number:08x}-{name}.png"}, "annotations": [annotation]}


CORNERS = (4, 3), (16, 3), (16, 12), (4, 12)
POLYGONS = [task(1, "a", [polygon(1, *CORNERS)]), task(2, "b", [polygon(2, (20, 6), (28, 6), (28, 18), (20, 18))])]
BOXES = [task(1, "a", [box(1, 4, 3, 16, 12)])]


def convert(name, form, tasks):
    """Convert tasks to a format below this folder."""
    folder = HERE / "labelstudio" / name
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "tasks.json"
        source.write_text(json.dumps(tasks))
        converter = Converter(CONFIG, scratch, download_resources=False)
        converter.convert(str(source), str(folder), form, is_dir=False)
    for empty in [path for path in folder.rglob("*") if path.is_dir() and not any(path.iterdir())]:
        empty.rmdir()
    return f"labelstudio/{name}"


def filled(left, top, right, bottom):
    mask = blank()
    mask[top:bottom, left:right] = 1
    return mask


cases.add(convert("coco", Format.COCO, POLYGONS), {"a": filled(4, 3, 16, 12), "b": filled(20, 6, 28, 18)})
cases.add(convert("yolo", Format.YOLO, POLYGONS), {"a": filled(4, 3, 17, 13), "b": filled(20, 6, 29, 19)})
cases.add(convert("yolo-boxes", Format.YOLO, BOXES), {"a": None}, {"boxes without a mask": 1})
cases.add(convert("voc-boxes", Format.VOC, BOXES), {"a": None}, {"boxes without a mask": 1})
cases.write()
