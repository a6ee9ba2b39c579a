"""The fast readers give None or exactly what the tolerant readers give, for documents of every kind."""

import hashlib
import json
from io import StringIO
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
from earthreason.predictions.fast import decode_fast, decode_lines
from earthreason.predictions.schema import read_record
from earthreason.predictions.stream import jsonl_values, text_predictions, text_values
from earthreason.types import OPTIONAL_FACTS, Prediction

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
sample_facts = ("question_count", "height", "width", *OPTIONAL_FACTS, "new")
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
        assert (fast[0], list(fast[1])) == (info, predictions)
        assert [type(p.score) for p in fast[1]] == [type(p.score) for p in predictions]


@settings(max_examples=200)
@given(
    st.lists(st.one_of(records, st.just({"sample_id": "s1", "segmentation": MASK})), min_size=1, max_size=4), spoilers
)
def test_lines_read_fast_are_those_of_the_tolerant_reader(entries, spoiler):
    content = b"\n".join(damaged(entry, spoiler if n == 1 else None, True) for n, entry in enumerate(entries))
    outcomes = []
    for usual in (True, False):
        faults: list[str] = []
        with StringIO(content.decode(errors="replace")) as file:
            values = list(jsonl_values(file, faults, usual=usual))
        predictions = [v if isinstance(v, Prediction) else read_record(v, place) for place, v in values]
        outcomes.append((faults, [place for place, _ in values], predictions))
    assert outcomes[0] == outcomes[1]


RECORD = '{"sample_id": "a", "segmentation": {"size": [2, 2], "counts": "22"}}'


def test_usual_lines_are_read_fast():
    assert list(decode_lines([RECORD, RECORD.replace('"a"', '"b"')])) == [
        Prediction(name, {"size": [2, 2], "counts": "22"}) for name in "ab"
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [f"{RECORD} {RECORD}"],
        [f"{RECORD}{RECORD}", ""],
        [RECORD[:20], RECORD[20:]],
        [f"{RECORD} {RECORD[:-1]}", "}"],
        [f"{RECORD},", RECORD],
        [RECORD, f"[{RECORD}]"],
        [RECORD, "null"],
        ['{"info": {}}', RECORD],
    ],
)
def test_lines_with_another_number_of_values_are_left_to_the_tolerant_reader(lines):
    assert decode_lines(lines) is None


@settings(max_examples=200)
@given(samples_files, spoilers, st.booleans())
def test_samples_read_fast_are_those_of_the_tolerant_reader(document, spoiler, compact):
    content = damaged(document, spoiler, compact)
    if (fast := decode_samples(content)) is not None:
        tolerant = from_json(content)["samples"]
        read = [Reference(**dict(zip(fast, row, strict=True))) for row in zip(*fast.values(), strict=True)]
        assert read == [_Record.model_validate(s).to_reference() for s in tolerant]


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
    fast = decode_fast(content)
    assert fast is not None
    assert (fast[0], list(fast[1])) == tolerant_predictions(content)


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
    columns = decode_samples(json.dumps({"samples": [record | extra]}).encode())
    assert columns is not None
    facts = dict.fromkeys(OPTIONAL_FACTS)
    assert columns == {name: [value] for name, value in ({"question_count": 1} | facts | record | kept).items()}
