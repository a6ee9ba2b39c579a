"""Files that are damaged or strange give one clear error, whatever the format."""

import copy
import json
import re
from pathlib import Path
from xml.etree import ElementTree as Tree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import EarthReasonError

CORPUS = Path(__file__).parent / "corpus"
TASKS = {name: AnnotationTask(name, f"{name}.png", 24, 32) for name in "abcd"}
OPTIONS = [ReadOptions(), ReadOptions(repair=True, instances=True, unmarked_is_empty=True, new_targets=True)]
FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
STRANGE = ["", "3", "null", "[[[[", "[[[[]]]]", "{}", "[]", "NaN", '"x"', "<a/>", "<annotation/>", "\x00", "[" * 99_999]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just([[1, 2]]),
)


def complaint(path, options=OPTIONS[0]):
    """Read a file; return the message of the error, or what was drawn."""
    try:
        return str(read_masks(path, TASKS, options).drawings)
    except EarthReasonError as error:
        return str(error)


def attempt(path):
    for options in OPTIONS:
        assert complaint(path, options)


@pytest.mark.parametrize("name", ["x.json", "x.xml", "x.csv", "x.zip", "x.yaml", "x.png", "x.geojson", "labels/a.txt"])
@pytest.mark.parametrize("content", STRANGE, ids=lambda text: text[:12])
def test_strange_files_are_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    said = complaint(tmp_path if "/" in name else path)
    assert said == "[]" or (name.partition("/")[0] in said and "\n" not in said)


def places_in(document, found=()):
    """List the ways to all values in a JSON document."""
    yield found
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield from places_in(document[key], (*found, key))


@FUZZ
@given(data=st.data())
def test_json_of_via_with_a_wrong_value_or_without_one(data, tmp_path):
    name = data.draw(st.sampled_from(sorted((CORPUS / "via").glob("*.json"))))
    document = json.loads(name.read_text())
    way = data.draw(st.sampled_from(sorted(set(places_in(document)) - {()}, key=str)))
    changed = copy.deepcopy(document)
    holder = changed
    for key in way[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[way[-1]] = data.draw(VALUES)
    else:
        del holder[way[-1]]
    (tmp_path / "x.json").write_text(json.dumps(changed))
    attempt(tmp_path / "x.json")


NUMBER = st.one_of(
    st.sampled_from(["", "nan", "inf", "-1", "1e400", "1e30", "99999999999999999999", "x", ",", ";", "1,2", "0"]),
    st.floats().map(repr),
)


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("folder", ["cvat", "voc-xml"])
def test_xml_with_a_wrong_value_or_without_one(folder, data, tmp_path):
    name = data.draw(st.sampled_from(sorted((CORPUS / folder).glob("*.xml"))))
    tree = Tree.parse(name)
    element = data.draw(st.sampled_from(list(tree.iter())))
    if element.attrib and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(element.attrib)))
        if data.draw(st.booleans()):
            element.attrib[key] = data.draw(NUMBER)
        else:
            del element.attrib[key]
    elif len(element) and data.draw(st.booleans()):
        element.remove(data.draw(st.sampled_from(list(element))))
    else:
        element.text = data.draw(NUMBER)
    tree.write(tmp_path / "x.xml")
    attempt(tmp_path / "x.xml")


@FUZZ
@given(words=st.lists(NUMBER, max_size=12), settings_text=st.sampled_from(["", "names: [a]\n", "names: {0: a}\n"]))
def test_labels_of_yolo(words, settings_text, tmp_path):
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "labels" / "a.txt").write_text(" ".join(re.sub(r"\s", "", word) for word in words))
    (tmp_path / "data.yaml").write_text(settings_text)
    attempt(tmp_path)


@FUZZ
@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
@pytest.mark.parametrize("name", ["data.yaml", "classes.txt", "labels/a.txt"])
def test_texts_of_a_yolo_folder(name, text, tmp_path):
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (tmp_path / name).write_text(text)
    attempt(tmp_path)


TABLE = "filename,region_shape_attributes,region_attributes"


@FUZZ
@given(cells=st.lists(st.one_of(NUMBER, st.sampled_from(['"{}"', "{}", "a.png", '"{""name"": 3}"'])), max_size=5))
def test_tables_of_via(cells, tmp_path):
    (tmp_path / "x.csv").write_text(f"{TABLE}\n{','.join(cells)}\n")
    attempt(tmp_path / "x.csv")


@FUZZ
@given(cut=st.integers(0, 400), flip=st.integers(0, 400), value=st.integers(0, 255))
@pytest.mark.parametrize("name", ["voc-2012/SegmentationClass/a.png", "voc-2012/SegmentationObject/a.png"])
def test_damaged_class_pictures(name, cut, flip, value, tmp_path):
    for other in ("SegmentationClass", "SegmentationObject"):
        (tmp_path / other).mkdir(exist_ok=True)
        (tmp_path / other / "a.png").write_bytes((CORPUS / "voc-2012" / other / "a.png").read_bytes())
    content = bytearray((CORPUS / name).read_bytes())
    content[flip % len(content)] = value
    target = tmp_path / Path(name).parent.name / "a.png"
    target.write_bytes(content[: len(content) - cut % 50])
    attempt(tmp_path)
