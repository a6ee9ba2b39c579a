"""Files of other tools give a score or one clear line that says what they are and what to do."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from earthreason import evaluate
from earthreason.errors import EarthReasonError, PredictionsError, TruthError
from earthreason.metrics.references import read_references
from earthreason.predictions import open_predictions
from tests.encodings import compressed

MASK = np.zeros((30, 50), bool)
MASK[4:9, 5:16] = True
NAMES = ["field", "caf\u00e9 au lait"]
TRUTH = dict.fromkeys(NAMES, MASK)
RING = [5, 4, 16, 4, 16, 9, 5, 9]


def png():
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "PNG")
    return buffer.getvalue()


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("masks/field.png")
        info.size = len(png())
        archive.addfile(info, io.BytesIO(png()))
    return buffer.getvalue()


RESULTS = json.dumps([{"image_id": name, "segmentation": compressed(MASK), "score": 0.5} for name in NAMES]).encode()
AVI = b"RIFF\0\0\0\0AVI "
OTHERS = {
    "COCO dataset": ({"images": [{"id": 1}], "annotations": []}, "a COCO dataset; unite the shapes of each image"),
    "panoptic": ({"annotations": [{"segments_info": []}]}, "a file of annotations; unite the shapes"),
    "LabelMe": ({"version": "5.0.1", "shapes": [], "imagePath": "a.png"}, "a LabelMe or ReasonSeg file of one image"),
    "ReasonSeg": ({"text": [], "shapes": []}, "a LabelMe or ReasonSeg file of one image; unite the shapes"),
    "GeoJSON": ({"type": "FeatureCollection", "features": []}, "GeoJSON, whose coordinates are usually not pixels"),
    "GeoJSON feature": ({"type": "Feature", "geometry": {}}, "GeoJSON, whose coordinates are usually not pixels"),
    "mmdet": ({"labels": [0], "masks": []}, "an object with the keys labels, masks; .*, but there is no list under"),
    "YOLO": (b"0 0.5 0.5 0.2 0.2\n", "found '0 0.5 0.5 0.2 0.2'; write the file with json.dump"),
    "CSV": (b"ImageId,EncodedPixels\na,1 3\n", "found 'ImageId,EncodedPixels'; write the file with json.dump"),
    "XML": (b"<annotations/>", "found '<annotations/>'; write the file"),
    "YAML": (b"- sample_id: a\n", "found '- sample_id: a'; write the file"),
    "Python": (b"[{'sample_id': 'a'}]", "line 1: expecting property name .*; write the file with json.dump"),
    "trailing comma": (b"[,]", "line 1: expecting value; write the file with json.dump"),
    "indented lines": (
        b'{\n "sample_id": "a"\n}\n{\n}',
        "line 1 ends inside a value; each line holds one .*, without indent",
    ),
    "empty": (b"", "the file is empty; write it again"),
    "blank": (b" \n\n", "the file is empty; write it again"),
    "Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel file; write JSON"),
    "mp4": (b"\0\0\0\x18ftypmp42", "a video; write JSON, or masks as PNG"),
    "webm": (b"\x1aE\xdf\xa3", "a video; write JSON, or masks as PNG"),
    "avi": (AVI, "a WebP picture or a video; save SAMPLE_ID.png"),
    "gif": (b"GIF89a", "a GIF picture; save SAMPLE_ID.png"),
    "bmp": (b"BM\0\0", "a BMP picture; save SAMPLE_ID.png"),
    "jpeg": (b"\xff\xd8\xff\xe0", "a JPEG picture, which changes the pixels of a mask; save SAMPLE_ID.png"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture; save SAMPLE_ID.png"),
    "png": (png(), "one picture; put it as SAMPLE_ID.png into a folder"),
    "png in gzip": (gzip.compress(png()), "unpacked, it is one picture; put it as SAMPLE_ID.png into a folder"),
    "gzip in gzip": (gzip.compress(gzip.compress(RESULTS)), "gzip packs another archive; unpack it with gunzip"),
    "zip in gzip": (gzip.compress(b"PK\3\4"), "gzip packs another archive; unpack it with gunzip"),
    "tar": (tar(), "a tar archive; make a zip"),
    "tar in gzip": (gzip.compress(tar()), "unpacked, it is a tar archive; make a zip"),
    "bzip2": (bz2.compress(RESULTS), "packed by bzip2; pack it by gzip or zip"),
    "xz": (lzma.compress(RESULTS), "packed by xz; pack it by gzip or zip"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "a 7z archive; make a zip"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform", "a MATLAB file; write JSON"),
    "Arrow": (b"ARROW1\0\0", "an Arrow file; write JSON"),
}


@pytest.mark.parametrize(("content", "words"), OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_kind_is_named_with_a_remedy(content, words, tmp_path):
    path = tmp_path / "p.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    for read, error in ((open_predictions, PredictionsError), (read_references, TruthError)):
        with pytest.raises(error, match=words) as raised:
            read(path)
        assert len(raised.value.faults) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (MASK.astype(int).tolist(), "rows of pixels instead of polygons; encode the mask with pycocotools"),
        ([[0.1, 0.1, 0.3, 0.1, 0.3, 0.3]], "fractions of the image; multiply x by its width and y by its height"),
        ([[0, 0, 1, 0.5, 1, 1]], "fractions of the image"),
        ([RING[:4]], "ring 0 of the polygons has 4 numbers"),
    ],
)
def test_lists_of_numbers_that_are_no_polygons_are_refused(value, words, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"image_id": "field", "segmentation": value}]))
    with pytest.raises(PredictionsError, match=words):
        evaluate(path, TRUTH, "native", missing="empty")


@pytest.mark.parametrize("ring", [[0, 0, 1, 0, 1, 1, 0, 1], [0.5, 0.5, 2.5, 0.5, 2.5, 2.5]])
def test_small_polygons_in_the_corner_are_drawn(ring, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"image_id": "field", "segmentation": [ring]}]))
    mask = coco.decode(coco.frPyObjects([list(map(float, ring))], *MASK.shape)).any(axis=2)
    assert evaluate(path, {"field": mask}, "native", resamples=0)["gIoU"] == 1


def _folder(path, form):
    path.mkdir()
    for name in NAMES:
        Image.fromarray(MASK).save(path / f"{unicodedata.normalize(form, name)}.png")
    return path


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("truth_form", ["NFC", "NFD"])
def test_names_match_in_either_unicode_form(form, truth_form, tmp_path):
    truth = {unicodedata.normalize(truth_form, name): MASK for name in NAMES}
    named = {unicodedata.normalize(form, name): MASK for name in NAMES}
    folder = _folder(tmp_path / "folder", form)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name in named:
            archive.writestr(f"{name}.png", png())
    np.savez(tmp_path / "p.npz", **named)
    (tmp_path / "polygons.json").write_text(json.dumps([{"sample_id": n, "segmentation": [RING]} for n in named]))
    records = [json.dumps({"sample_id": n, "segmentation": compressed(MASK)}, ensure_ascii=False) for n in named]
    (tmp_path / "fast.json").write_text(f"[{','.join(records)}]", encoding="utf-8")
    (tmp_path / "fast.jsonl").write_text("\n".join(records), encoding="utf-8")
    files = ("p.zip", "p.npz", "polygons.json", "fast.json", "fast.jsonl")
    for source in (folder, *(tmp_path / name for name in files), named):
        assert evaluate(source, truth, "native", resamples=0, boundary=True)["gIoU"] == 1


def test_one_name_in_both_unicode_forms_is_one_sample(tmp_path):
    folder = _folder(tmp_path / "folder", "NFC")
    Image.fromarray(MASK).save(folder / f"{unicodedata.normalize('NFD', NAMES[1])}.png")
    if len(list(folder.iterdir())) == 2:
        pytest.skip("the file system takes both forms for one name")
    with pytest.raises(PredictionsError, match="the same sample and question as"):
        evaluate(folder, TRUTH, "native")


def test_two_samples_whose_names_differ_in_the_form_alone_stay_two():
    both = {unicodedata.normalize(form, NAMES[1]): MASK for form in ("NFC", "NFD")}
    assert evaluate(both, both, "native", resamples=0)["gIoU"] == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("field.png", "not in ground truth; name it 'field', without folder and ending"),
        ("test/images/field.jpg", "not in ground truth; name it 'field', without folder and ending"),
        ("feild", "not in ground truth; nearest: 'field'"),
        ("17", "not in ground truth; its samples have names such as 'field'; `from_coco.* turns the numbers of COCO"),
        ("xyz", "not in ground truth; its samples have names such as 'field'$"),
    ],
)
def test_an_unknown_sample_says_how_to_name_it(name, words):
    with pytest.raises(PredictionsError, match=words):
        evaluate({name: MASK}, TRUTH, "native")


def test_links_to_files_are_read_and_links_to_folders_and_nowhere_are_named(tmp_path):
    real = _folder(tmp_path / "real", "NFC")
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in NAMES:
        (linked / f"{name}.png").symlink_to(real / f"{name}.png")
    assert evaluate(linked, TRUTH, "native", resamples=0)["gIoU"] == 1
    (linked / ".hidden").symlink_to(linked)
    assert evaluate(linked, TRUTH, "native", resamples=0)["gIoU"] == 1
    (linked / "loop").symlink_to(linked)
    with pytest.raises(PredictionsError, match="'loop' in it is a link to a folder, which is not followed"):
        evaluate(linked, TRUTH, "native")
    (linked / "loop").unlink()
    (linked / "field.png").unlink()
    (linked / "field.png").symlink_to("nowhere.png")
    with pytest.raises(
        PredictionsError, match="field.png: .* not a regular file, such as a link that leads nowhere; copy"
    ):
        evaluate(linked, TRUTH, "native")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.bmp", "save masks as PNG"),
        ("a.txt", "save masks as PNG, or move other files away"),
        ("data-00000-of-00001.arrow", "save masks as PNG, or move other files away"),
        ("p.ndjson", "give this file itself, not the folder or zip around it"),
        ("p.json.gz", "give this file itself"),
        ("a", "give the name its ending, or move other files away"),
        ("README.md", "move other files away"),
    ],
)
def test_another_file_among_masks_says_what_to_do(name, words, tmp_path):
    folder = _folder(tmp_path / "folder", "NFC")
    (folder / name).write_bytes(b"x")
    with pytest.raises(EarthReasonError, match=f"{name}: expected SAMPLE_ID.png .*; {words}"):
        evaluate(folder, TRUTH, "native")
