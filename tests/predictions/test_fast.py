"""The fast readers give None or exactly what the tolerant readers give, for documents of every kind."""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from earthreason.errors import EarthReasonError
from earthreason.metrics.references import Reference, _Record
from earthreason.metrics.samples import decode_samples
from earthreason.predictions import open_predictions
from earthreason.predictions.fast import decode_fast
from earthreason.predictions.stream import text_predictions, text_values

MASK = {"size": [2, 2], "counts": "22"}
odd = st.sampled_from(
    [None, True, 0, 1, -1, 2**63, 10**30, 1.5, 1e308, "", "a", 'q"t', "é\u2028", "\\", "x" * 513, [], {}, [MASK], MASK]
)
masks = st.one_of(
    st.none(),
    st.just(MASK),
    st.fixed_dictionaries(
        {"size": st.lists(st.integers(-1, 100_001), max_size=3)}, optional={"counts": odd, "other": odd}
    ),
)
facts = {"score": odd, "answer": odd, "question_index": odd, "category_id": odd, "image_id": odd, "new": odd}
records = st.fixed_dictionaries(
    {"sample_id": st.one_of(st.just("s1"), odd), "segmentation": masks},
    optional=facts,
)
predictions_files = st.one_of(
    st.lists(records, max_size=3),
    st.fixed_dictionaries(
        {"predictions": st.one_of(st.lists(records, max_size=3), odd)}, optional={"info": odd, "x": odd}
    ),
    odd,
)
sample_facts = ("question_count", "height", "width", "category", "ground_resolution", "source", "reasoning_type", "new")
samples = st.fixed_dictionaries(
    {"sample_id": st.one_of(st.just("s1"), odd), "segmentation": masks}, optional=dict.fromkeys(sample_facts, odd)
)
samples_files = st.fixed_dictionaries({"samples": st.one_of(st.lists(samples, max_size=3), odd)}, optional={"x": odd})
spoilers = st.sampled_from(
    [
        None,
        *((b"22", b"2\x012"), (b"a", b"\xff"), (b"a", b"\\ud800"), (b"a", b"\\u0022")),
        *((b"1", b"01"), (b"1", b"1e999"), (b"1", b"NaN"), (b"1", b"1.0")),
        *((b"}", b"},"), (b"}", b"}\x00"), (b"{", b"["), (b'"', b"'"), (b":", b" : ")),
    ]
)


def damaged(document: object, spoiler: tuple[bytes, bytes] | None, compact: bool) -> bytes:
    content = json.dumps(document, ensure_ascii=compact, separators=(",", ":") if compact else None).encode()
    return content.replace(*spoiler, 1) if spoiler else content


def tolerant_predictions(content: bytes):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.json"
        path.write_bytes(content)
        faults: list[str] = []
        info = dict(text_values(path, faults)).get("info", {})
        predictions = list(text_predictions(path, faults))
    assert not faults
    return info, predictions


@settings(max_examples=200)
@given(predictions_files, spoilers, st.booleans())
def test_predictions_read_fast_are_those_of_the_tolerant_reader(document, spoiler, compact):
    content = damaged(document, spoiler, compact)
    if (fast := decode_fast(content)) is not None:
        info, predictions = tolerant_predictions(content)
        assert fast == (info, predictions)
        assert [type(p.score) for p in fast[1]] == [type(p.score) for p in predictions]


@settings(max_examples=200)
@given(samples_files, spoilers, st.booleans())
def test_samples_read_fast_are_those_of_the_tolerant_reader(document, spoiler, compact):
    content = damaged(document, spoiler, compact)
    if (fast := decode_samples(content)) is not None:
        tolerant = from_json(content)["samples"]
        assert [Reference(**s) for s in fast] == [_Record.model_validate(s).to_reference() for s in tolerant]


USUAL = {
    "bare list": [{"sample_id": "a", "segmentation": MASK}, {"sample_id": "b", "segmentation": None}],
    "all keys": {
        "info": {"model": 'the "best"', "n": [1, {"deep": "é"}]},
        "predictions": [
            {
                "sample_id": "a",
                "question_index": 3,
                "segmentation": MASK,
                "score": 1,
                "answer": 'the "red" roof\nand é',
            },
        ],
    },
    "COCO": [{"image_id": 7, "category_id": 1, "segmentation": MASK, "score": 0.5}],
}


@pytest.mark.parametrize("name", USUAL)
def test_usual_files_are_read_fast(name):
    content = json.dumps(USUAL[name]).encode()
    assert decode_fast(content) == tolerant_predictions(content)


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        ('"sample_id": "a"', '"sample_id": "b", "sample_id": "a"'),
        ('"counts": "22"', '"counts": "4", "counts": "22"'),
        ('"size": [2, 2]', '"size": [2, 2], "size": [2, 2]'),
        ('"size": [2, 2]', '"size": [2, 2], "other": 1'),
        ('"score": 1', '"score": 2, "score": 1'),
        ('"info": {}', '"info": {}, "info": {}'),
    ],
)
def test_a_key_given_twice_or_ignored_is_left_to_the_tolerant_reader(once, twice):
    record = '{"sample_id": "a", "segmentation": {"size": [2, 2], "counts": "22"}, "score": 1}'
    text = f'{{"info": {{}}, "predictions": [{record}]}}'
    assert decode_fast(text.encode()) is not None
    assert decode_fast(text.replace(once, twice).encode()) is None


def test_a_mark_written_by_its_number_cannot_hide_a_key_given_twice():
    record = r'{"sample_id": "a", "segmentation": null, "score": 2, "score": 1, "answer": "\u0022\u0022"}'
    assert decode_fast(f"[{record}]".encode()) is None


def test_a_file_is_hashed_as_it_was_decoded_and_read_again_by_the_second_pass(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(USUAL["bare list"]))
    opened = open_predictions(path)
    assert opened.fingerprint() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(opened.read([])) == list(opened.read([]))


def test_errors_of_the_tolerant_reader_remain(tmp_path):
    path = tmp_path / "p.json"
    path.write_text('[{"sample_id": "a"}]')
    with pytest.raises(EarthReasonError, match="segmentation"):
        open_predictions(path)


@pytest.mark.parametrize("extra", [{"height": 2}, {"width": 3}, {"category": "lake"}, {"question_count": 2}])
def test_a_sample_with_one_key_more_is_read_fast(extra):
    record = {"sample_id": "a", "segmentation": {"size": [2, 3], "counts": "123"}}
    kept = {key: value for key, value in extra.items() if key not in ("height", "width")}  # the mask says these
    assert decode_samples(json.dumps({"samples": [record | extra]}).encode()) == [record | kept]
