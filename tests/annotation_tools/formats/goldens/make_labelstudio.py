"""Write labelstudio.json: exports that the converter of label-studio-sdk made of annotations, and a brush's mask.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install label-studio-sdk==2.1.2 && /tmp/venv/bin/python \
        make_labelstudio.py
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter, brush

CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="category" toName="image"><Choice value="pond"/><Choice value="no target"/></Choices>
<BrushLabels name="brush" toName="image"><Label value="brush"/></BrushLabels>
<PolygonLabels name="polygon" toName="image"><Label value="polygon"/></PolygonLabels>
<KeyPointLabels name="kp" toName="image"><Label value="k" model_index="0"/></KeyPointLabels></View>"""
SIZE = {"original_width": 30, "original_height": 20, "image_rotation": 0}


def result(name, kind, value, number):
    return {"id": f"r{number}", "type": kind, "from_name": name, "to_name": "image", "value": value, **SIZE}


def choice(said):
    return {"id": "c", "type": "choices", "from_name": "category", "to_name": "image", "value": {"choices": [said]}}


def task(number, image, results, who):
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    annotation = {"id": 10 + number, "completed_by": who, "was_cancelled": False, "lead_time": 3.2, **times}
    return {
        "id": number,
        "data": {"image": image},
        "annotations": [annotation | {"result": results}],
        "predictions": [],
    }


mask = np.zeros((20, 30), np.uint8)
mask[3:12, 2:10] = 1
mask[5:7, 4:6] = 0
rle = brush.mask2rle(mask * 255)
points = {"points": [[10, 10], [50, 10], [50, 60]], "polygonlabels": ["polygon"], "closed": True}
key = {"x": 1, "y": 2, "width": 0.5, "keypointlabels": ["k"]}
painted = {"format": "rle", "rle": rle, "brushlabels": ["brush"]}
tasks = [
    task(1, "/data/upload/1/1a2b3c4d-a.png",
         [result("polygon", "polygonlabels", points, 1), result("kp", "keypointlabels", key, 2), choice("pond")],
         {"id": 1, "email": "anna@example.org"}),
    task(2, "/data/upload/1/2a2b3c4d-b.png", [choice("no target")], 2),
    task(3, "/data/upload/1/3a2b3c4d-lake_north.png", [result("brush", "brushlabels", painted, 3), choice("pond")], 2),
]  # fmt: skip
flat = mask.astype(bool).ravel()
edges = np.flatnonzero(np.diff(flat)) + 1
golden = {"label-studio-sdk": version("label-studio-sdk"), "brush": np.diff([0, *edges, flat.size]).tolist()}
with tempfile.TemporaryDirectory() as folder:
    source = Path(folder) / "tasks.json"
    source.write_text(json.dumps(tasks))
    for form in ("JSON", "JSON_MIN", "COCO"):
        out = Path(folder) / form
        Converter(CONFIG, folder).convert(str(source), str(out), form, is_dir=False)
        golden[form] = json.loads(next(out.glob("*.json")).read_text())
Path(__file__).with_name("labelstudio.json").write_text(json.dumps(golden) + "\n")
