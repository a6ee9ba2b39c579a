"""The chunked JSON reader, cut at every place, and the names of masks in folders and zips."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from earthreason.masks.rle import encode_mask
from earthreason.predictions import open_predictions, read_predictions
from earthreason.predictions import stream as stream_module
from earthreason.predictions.stream import json_values, text_values
from earthreason.types import Prediction

MASK = np.eye(4, dtype=bool)
# Numbers, escapes (in "escaped" also a surrogate pair), characters of two, three and four bytes in UTF-8.
VALUES = [
    1234567890,
    True,
    False,
    None,
    'quote " backslash \\ newline \n slash / end',
    "\u00e9 \u6c34 \U0001f30d",
    "",
    [0, -1, 98765],
    {"a b": {"c": []}},
]
PLACES = [f"predictions[{number}]" for number in range(len(VALUES))]
WRITTEN = {
    "compact": json.dumps({"info": {"n": 42}, "predictions": VALUES}, separators=(",", ":"), ensure_ascii=False),
    "escaped": json.dumps({"info": {"n": 42}, "predictions": VALUES}, indent=3, ensure_ascii=True),
}


class Cut(io.StringIO):
    """A file that gives `first` characters and then `rest` at a time, however many are asked for."""

    def __init__(self, text, first, rest=1 << 20):
        super().__init__(text)
        self._sizes = iter([first])
        self._rest = rest

    def read(self, size=-1):
        return super().read(next(self._sizes, self._rest))


@pytest.mark.parametrize("style", WRITTEN)
def test_values_survive_a_cut_at_every_character(style):
    text = WRITTEN[style]
    expected = [("info", {"n": 42}), *zip(PLACES, VALUES, strict=True)]
    for at in range(1, len(text)):
        assert list(json_values(Cut(text, at))) == expected, f"cut before character {at}: {text[at - 5 : at + 5]!r}"


@pytest.mark.parametrize("style", WRITTEN)
def test_values_survive_one_character_at_a_time(style):
    found = list(json_values(Cut(WRITTEN[style], 1, 1)))
    assert found == [("info", {"n": 42}), *zip(PLACES, VALUES, strict=True)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 11])
def test_a_file_is_read_in_chunks_of_characters_not_bytes(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(stream_module, "_CHUNK", chunk)
    path = tmp_path / "preds.json"
    path.write_text(WRITTEN["compact"], encoding="utf-8")
    faults = []
    found = list(text_values(path, faults))
    assert found == [("info", {"n": 42}), *zip(PLACES, VALUES, strict=True)]
    assert not faults


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_number_is_not_taken_for_its_first_digits(cut):
    assert list(json_values(Cut("[12345]", cut, 1))) == [("[0]", 12345)]


@pytest.mark.parametrize("text", ["0.5", "-12.75", "3e2", "3E2", "3e-2", "3e+2", "1.5e-3"])
def test_a_number_is_not_taken_for_what_stands_before_its_point_or_exponent(text):
    for cut in range(1, len(text) + 2):
        for rest in (1, 1000):
            assert list(json_values(Cut(f"[{text}]", cut, rest))) == [("[0]", float(text))]


def test_the_longest_value_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_module, "_CHUNK", 4)
    monkeypatch.setattr(stream_module, "MAX_VALUE_CHARACTERS", 16)
    path = tmp_path / "preds.json"
    path.write_text(json.dumps(["a" * 8, "b" * 64]))
    faults = []
    assert list(text_values(path, faults)) == [("[0]", "a" * 8)]
    assert len(faults) == 1
    assert "line 1: one value is over" in faults[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [("[\n1,\n2\n3]", 4), ('{"predictions": [\n1,\n2\n}', 4), ("[1]\n\n2", 3), ("[1,\n2", 2)],
)
@pytest.mark.parametrize("chunk", [1, 4, 1000])
def test_faults_name_the_line_whatever_the_chunk(tmp_path, monkeypatch, text, line, chunk):
    monkeypatch.setattr(stream_module, "_CHUNK", chunk)
    path = tmp_path / "preds.json"
    path.write_text(text)
    faults = []
    list(text_values(path, faults))
    assert len(faults) == 1
    assert f"line {line}:" in faults[0]


@pytest.mark.parametrize(("text", "line"), [('{"predictions": [\n1,\n\n]}', 4), ("[1,\n2,\n3,\n]", 4)])
def test_a_comma_before_the_end_of_a_list_is_a_fault_of_its_line(tmp_path, text, line):
    path = tmp_path / "preds.json"
    path.write_text(text)
    faults = []
    list(text_values(path, faults))
    assert len(faults) == 1
    assert f"line {line}:" in faults[0]


def save_masks(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(MASK).save(folder / name, format="PNG")
    return folder


@pytest.mark.parametrize("name", [".DS_Store", "._x.png", ".hidden.png", ".x__1.png"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_dot_files_are_no_predictions(tmp_path, name, kind):
    folder = save_masks(tmp_path / "masks", "x.png")
    before = open_predictions(folder).fingerprint()
    save_masks(folder, name)
    path = folder
    if kind == "zip":
        path = tmp_path / "masks.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("inner")
            for file in sorted(folder.iterdir()):
                archive.write(file, f"inner/{file.name}")
            archive.writestr(f"__MACOSX/inner/{name.lstrip('.')}", b"not a mask")
    assert read_predictions(path).predictions == [Prediction("x", encode_mask(MASK))]
    assert open_predictions(folder).fingerprint() == before


@pytest.mark.parametrize(
    ("name", "sample_id", "question_index"),
    [
        ("x.png", "x", 0),
        ("x.PNG", "x", 0),
        ("x__0.png", "x", 0),
        ("x__12.png", "x", 12),
        ("x_1.png", "x_1", 0),
        ("x__y.png", "x__y", 0),
        ("x__1__2.png", "x__1", 2),
        ("a.b.png", "a.b", 0),
    ],
)
def test_names_of_masks_hold_sample_and_question(tmp_path, name, sample_id, question_index):
    folder = save_masks(tmp_path / "masks", name)
    expected = [Prediction(sample_id, encode_mask(MASK), question_index=question_index)]
    assert read_predictions(folder).predictions == expected
