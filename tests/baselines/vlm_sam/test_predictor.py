"""The zero-shot line over HTTP, against servers that answer in the style of five families."""

import json
import logging

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from baselines.cli import app
from baselines.common.run import predict_rows, predict_split
from baselines.registry import PredictorOptions, build_predictor
from baselines.vlm_sam.predictor import public_address
from baselines.vlm_sam.selfcheck import BOX, SIZE, draw_test_image, fits
from earthreason import load_dataset
from earthreason.errors import EarthReasonError
from earthreason.grounding.profiles import PROFILES
from earthreason.predictions import read_predictions
from tests.baselines.vlm_sam.family_server import (
    STYLES,
    FamilyServer,
    find_red,
    fractions,
    gpt5,
    qwen25,
    refuse_as_gpt5,
)

QUESTION = "Where could a fire engine stand?"


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    running = []

    def start(style):
        running.append(FamilyServer(style))
        return running[-1]

    yield start
    for server in running:
        server.shutdown()


@pytest.fixture
def heard(monkeypatch):
    """Messages of the package's loggers."""
    records, handler = [], logging.Handler()
    handler.emit = records.append
    for name in ("earthreason.baselines", "earthreason.questions"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [handler])
    return records


def predictor_of(server, model, **options):
    return build_predictor("vlm_sam", PredictorOptions(vlm=model, base_url=server.address, **options))


def scene(width, height, box):
    image = Image.new("RGB", (width, height), (90, 120, 60))
    left, top, right, bottom = box
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill=(220, 30, 30))
    truth = np.zeros((height, width), bool)
    truth[top:bottom, left:right] = True
    return image, truth


SCENES = [
    scene(640, 480, (64, 300, 320, 420)),
    scene(301, 799, (30, 50, 120, 400)),
    scene(1500, 1300, (900, 200, 1400, 500)),  # larger than Qwen2.5-VL sees
]


@pytest.mark.parametrize("model", STYLES)
def test_every_family_is_read_to_the_place_that_it_means(serve, model):
    server = serve(STYLES[model])
    server.refuse = refuse_as_gpt5 if model == "gpt-5" else server.refuse
    predictor = predictor_of(server, model, max_tokens=500)
    masks = predictor.predict([image for image, _ in SCENES], [QUESTION] * len(SCENES))
    for mask, (_, truth) in zip(masks, SCENES, strict=True):
        assert (mask & truth).sum() / (mask | truth).sum() > 0.95
    assert len(server.bodies) == 1 + len(SCENES)  # the test image and one paid call a question


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("qwen2.5-vl-7b", "whole pixels of this image, which is 644 wide and 476 high"),  # 23 and 17 patches of 28
        ("gemini-2.5-flash", '"box": [top, left, bottom, right], "points": [[y, x], ...]'),
        ("gpt-5", '"box": [left, top, right, bottom], "points": [[x, y], ...]'),
        ("internvl3-8b", "<box>[[left, top, right, bottom], ...]</box>"),
    ],
)
def test_a_family_is_asked_the_question_in_its_own_form(serve, model, form):
    server = serve(STYLES[model])
    predictor_of(server, model).predict([SCENES[0][0]], [QUESTION])
    text = server.bodies[-1]["messages"][0]["content"][0]["text"]
    assert f"Question: {QUESTION}\n" in text
    assert form in text
    assert ("response_format" in server.bodies[-1]) == (model != "internvl3-8b")  # a schema would forbid its tags


def test_no_two_paid_calls_have_the_same_key(serve):
    """A server that honours Idempotency-Key gives the answer about one image for another with the same key."""
    server = serve(gpt5)
    predictor = predictor_of(server, "gpt-5")
    predictor.predict([image for image, _ in SCENES], [QUESTION] * 3)
    server.script = ["I would rather not."]
    predictor.predict([SCENES[0][0]], ["What burns?"])
    assert len(server.keys) == len(set(server.keys)) == 1 + 3 + 2


def test_an_empty_list_is_no_target_after_one_call(serve):
    server = serve(gpt5)
    predictor = predictor_of(server, "gpt-5")
    assert predictor.predict([Image.new("RGB", (90, 60))], [QUESTION]) == [None]
    assert len(server.bodies) == 2


def test_a_refused_parameter_is_left_out_once_and_for_all(serve, heard):
    server = serve(gpt5)
    server.refuse = refuse_as_gpt5
    predictor = predictor_of(server, "gpt-5", max_tokens=700)
    for _ in range(2):
        (answer,) = predictor.attempt([SCENES[0][0]], [QUESTION])
    assert all(body["max_completion_tokens"] == 700 and "temperature" not in body for body in server.bodies)
    assert answer.transcript["refused_parameters"] == ["max_tokens", "temperature"]
    assert [record.getMessage().partition(" refuses ")[2] for record in heard if "refuses" in record.getMessage()] == [
        "max_tokens; asking without it",
        "temperature; asking without it",
    ]


def test_a_server_without_schemas_gets_the_schema_in_the_prompt(serve):
    server = serve(gpt5)
    server.refuse = lambda body: (
        "'response_format' of type 'json_schema' is not supported" if "response_format" in body else None
    )
    assert predictor_of(server, "gpt-4o").predict([SCENES[0][0]], [QUESTION])[0] is not None
    assert '"targets"' in server.bodies[0]["messages"][0]["content"][0]["text"].rpartition("schema:")[2]


def test_another_refusal_is_an_error_in_one_line(serve):
    server = serve(gpt5)
    server.refuse = lambda body: "Invalid image data"
    with pytest.raises(EarthReasonError, match="refused .status 400.*Invalid image data"):
        predictor_of(server, "gpt-4o").predict([SCENES[0][0]], [QUESTION])


def test_a_fault_of_the_server_is_no_failure_of_the_model(serve):
    server = serve(gpt5)
    server.refuse = lambda body: "internal limits"
    with pytest.raises(EarthReasonError, match="refused .status 400.*internal limits"):
        predictor_of(server, "gpt-4o").attempt([SCENES[0][0]], [QUESTION])


@pytest.mark.parametrize(
    ("style", "chosen", "fitting"),
    [
        (qwen25, "thousand", "pixels"),
        (gpt5, "pixels", "thousand"),
        (STYLES["gemini-2.5-flash"], "thousand", "thousand-yx"),
        (gpt5, "thousand-yx", "thousand"),
        (fractions, "thousand", "fraction"),
    ],
)
def test_the_test_image_tells_a_wrong_profile_and_the_right_one(serve, style, chosen, fitting):
    server = serve(style)
    predictor = predictor_of(server, "some-model", coordinates=chosen)
    with pytest.raises(EarthReasonError, match=f"not give coordinates as {chosen}: .* --coordinates {fitting}$"):
        predictor.predict([SCENES[0][0]], [QUESTION])


def test_of_two_answers_about_the_test_image_the_second_counts(serve):
    server = serve(qwen25)
    server.script = ["I would rather not."]
    with pytest.raises(EarthReasonError, match="fits pixels; give --coordinates pixels"):
        predictor_of(server, "some-model", coordinates="thousand").predict([SCENES[0][0]], [QUESTION])


def test_no_two_profiles_read_the_test_image_alike():
    (left, top, right, bottom), (width, height) = BOX, SIZE
    assert find_red(draw_test_image()) == (left / width, top / height, right / width, bottom / height)
    a, b, c, d = (round(1000 * side) for side in (left / width, top / height, right / width, bottom / height))
    written = {
        "pixels": [left, top, right, bottom],
        "thousand": [a, b, c, d],
        "thousand-yx": [b, a, d, c],
        "fraction": [a / 1000, b / 1000, c / 1000, d / 1000],
    }
    for name, box in written.items():
        fitting = [profile.name for profile in PROFILES.values() if fits(json.dumps({"box": box}), profile)]
        assert fitting == ([name, "internvl"] if name == "thousand" else [name])


def test_a_model_that_misses_the_rectangle_is_told_and_the_run_goes_on(serve, heard):
    server = serve(gpt5)
    server.script = ['{"box": [1, 1, 9, 9]}']
    assert predictor_of(server, "gpt-4o").predict([SCENES[0][0]], [QUESTION])[0] is not None
    assert any("under any profile, so thousand is not confirmed" in record.getMessage() for record in heard)


def test_an_unreadable_answer_is_asked_again_and_then_a_failure(serve):
    server = serve(gpt5)
    predictor = predictor_of(server, "gpt-4o")
    predictor.predict([SCENES[0][0]], [QUESTION])
    server.script = ["I would rather not."]
    assert predictor.predict([SCENES[0][0]], [QUESTION])[0] is not None
    server.script = ["I would rather not."] * 2
    (answer,) = predictor.attempt([SCENES[0][0]], [QUESTION])
    assert answer.mask is None
    assert "no box or point" in answer.failure
    replies = [reply["choices"][0]["message"]["content"] for reply in answer.transcript["replies"]]
    assert replies == ["I would rather not."] * 2
    server.script = ["I would rather not."] * 2
    with pytest.raises(EarthReasonError, match="no box or point"):
        predictor.predict([SCENES[0][0]], [QUESTION])


def run(server, out, split="test[:4]", model="gpt-4o", **options):
    chosen = PredictorOptions(vlm=model, base_url=server.address, batch_size=1, **options)
    return predict_split("vlm_sam", chosen, "sample", split, None, "first", out)


def found(count):
    return ['{"box": [0, 0, 500, 500]}'] * count


def test_a_run_says_which_model_answered_and_keeps_every_answer(serve, tmp_path):
    server, out = serve(gpt5), tmp_path / "p.json"
    server.script = found(5)
    assert run(server, out) == 4
    made = read_predictions(out)
    assert made.info["vlm"] == {
        "model": "gpt-4o",
        "base_url": server.address,
        "coordinates": "thousand",
        "prompt": 2,
        "temperature": 0.0,
        "max_tokens": None,
        "masks": "boxes",
    }
    lines = [json.loads(line) for line in (tmp_path / "p.transcripts.jsonl").read_text().splitlines()]
    assert [line["sample_id"] for line in lines] == [prediction.sample_id for prediction in made.predictions]
    assert all(line["replies"][0]["model"] == "gpt-4o-2026-01-01" for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json", "p.transcripts.jsonl"]


def test_too_many_failures_end_the_run_with_an_error_after_saving(serve, tmp_path):
    server, out = serve(gpt5), tmp_path / "p.json"
    server.script = [*found(4), "no", "no"]
    with pytest.raises(EarthReasonError, match="1 of 4 answers could not be read .*p.transcripts.jsonl.*over 5%"):
        run(server, out)
    made = read_predictions(out)
    assert [prediction.failure is not None for prediction in made.predictions] == [False, False, False, True]


def test_few_failures_are_counted_and_the_run_succeeds(serve, tmp_path, heard):
    server, out = serve(gpt5), tmp_path / "p.json"
    server.script = [*found(20), "no", "no"]
    assert run(server, out, "test[:20]") == 20
    assert any("1 of 20 answers could not be read" in record.getMessage() for record in heard)


def test_a_run_in_which_every_answer_fails_is_an_error_of_one_line(serve, tmp_path):
    server, out = serve(gpt5), tmp_path / "p.json"
    server.script = ["no"] * 8  # two calls each for the test image and three questions
    arguments = ["predict", "--model", "vlm_sam", "--vlm", "gpt-4o", "--base-url", server.address, "--config", "sample"]
    result = CliRunner().invoke(app, [*arguments, "--split", "test[:3]", "--out", str(out)])
    assert isinstance(result.exception, EarthReasonError)
    assert "3 of 3 answers could not be read" in str(result.exception)
    assert all(prediction.failure for prediction in read_predictions(out).predictions)


def test_an_unfinished_run_of_another_model_is_not_gone_on_with(serve, tmp_path):
    server, out = serve(gpt5), tmp_path / "p.json"
    predictor, rows = predictor_of(server, "gpt-4o"), load_dataset("earthreason", "sample", split="test[:4]")

    def stop(images, questions):
        raise KeyboardInterrupt

    server.script = found(9)
    predictor.attempt = stop
    info = {
        "model": "vlm_sam",
        "config": "sample",
        "split": "test[:4]",
        "questions": "first",
        **predictor.prediction_info,
    }
    with pytest.raises(KeyboardInterrupt):
        predict_rows(predictor, rows, "first", out, info)
    asked = len(server.bodies)
    for change in ({"model": "gpt-5"}, {"temperature": 0.5}, {"coordinates": "thousand-yx"}):
        with pytest.raises(EarthReasonError, match="unfinished run with another vlm"):
            run(server, out, **change)
    assert len(server.bodies) == asked
    assert run(server, out) == 4


def test_addresses_are_kept_without_what_may_be_a_key():
    assert public_address("https://me:secret@host:8000/v1?key=abc#x") == "https://host:8000/v1"


def test_what_is_lacking_is_named():
    with pytest.raises(EarthReasonError, match="needs --vlm"):
        build_predictor("vlm_sam", PredictorOptions())
    with pytest.raises(EarthReasonError, match="give --coordinates"):
        build_predictor("vlm_sam", PredictorOptions(vlm="any"))


def test_masks_of_boxes_are_told(serve, heard):
    predictor_of(serve(gpt5), "gpt-4o")
    assert any("the masks are the boxes themselves" in record.getMessage() for record in heard)
