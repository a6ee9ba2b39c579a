"""POST /segment with pictures, and the files of its answers."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from earthreason.geo.reading import open_scene
from tests.baselines.serve.fakes import RedModel, pixels_of, png, running, square


def test_an_answer_says_what_is_marked_and_where_its_files_are(server):
    answer = server.segment(png(square()), ["red?"])
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["width"], told["height"], told["bounds"], told["gsd"]) == (60, 40, None, None)
    (found,) = told["answers"]
    assert found["has_target"] is True
    assert found["share"] == pytest.approx(20 * 20 / (40 * 60))
    assert (found["regions"], found["area_m2"], found["text"]) == (1, None, "words")
    assert found["links"]["map"] is None
    mask = pixels_of(server.client.get(found["links"]["mask"]))
    assert np.array_equal(mask > 0, square()[..., 0] > 0)


def test_probabilities_are_8_bit_grey_with_alpha(server):
    link = server.segment(png(square())).json()["answers"][0]["links"]["probability"]
    grey, alpha = np.moveaxis(pixels_of(server.client.get(link)), -1, 0)
    assert (alpha == 255).all()
    assert grey[5, 10] == round(255 / (1 + np.exp(-200 / 32)))
    assert grey[0, 0] == round(255 / (1 + np.exp(200 / 32)))


def test_a_threshold_above_all_probabilities_marks_nothing(server):
    found = server.segment(png(square()), threshold="0.999").json()["answers"][0]
    assert (found["share"], found["regions"], found["has_target"]) == (0, 0, True)
    assert "threshold=0.999" in found["links"]["mask"]
    place = found["links"]["mask"].partition("?")[0]
    assert pixels_of(server.client.get(place, params={"threshold": 0.5})).any()
    assert not pixels_of(server.client.get(place, params={"threshold": 1})).any()


def test_no_target_marks_nothing_at_any_threshold(server):
    found = server.segment(png(square()), ["nothing here?"]).json()["answers"][0]
    assert (found["has_target"], found["share"], found["regions"]) == (False, 0, 0)
    assert found["no_target_score"] == pytest.approx(0.9)
    place = found["links"]["mask"].partition("?")[0]
    assert not pixels_of(server.client.get(place, params={"threshold": 0})).any()


def test_several_questions_are_answered_in_order(server, model):
    told = server.segment(png(square()), ["red?", "nothing?", "red too?"]).json()
    assert [found["question"] for found in told["answers"]] == ["red?", "nothing?", "red too?"]
    assert model.calls == [(1, ("red?", "nothing?", "red too?"))]


def test_a_question_asked_twice_is_put_to_the_model_once(server, model):
    told = server.segment(png(square()), ["red?", "red?"]).json()
    assert len(told["answers"]) == 2
    assert model.calls == [(1, ("red?",))]


def test_the_overlay_tints_the_target_only(server):
    link = server.segment(png(square())).json()["answers"][0]["links"]["overlay"]
    drawn = pixels_of(server.client.get(link))
    assert drawn.shape == (40, 60, 3)
    assert (drawn[0, 0] == (0, 200, 0)).all()
    assert (drawn[15, 20] != (200, 0, 0)).any()


def test_a_sample_is_asked_by_name(server):
    info = server.client.get("/api/info").json()
    sample = info["samples"][0]
    picture = pixels_of(server.client.get(sample["picture"]))
    assert picture.shape == (sample["height"], sample["width"], 3)
    told = server.segment(None, sample["questions"][:1], sample=sample["name"]).json()
    assert (told["width"], told["height"]) == (sample["width"], sample["height"])


def test_info_tells_the_model_the_limits_and_the_samples(server):
    info = server.client.get("/api/info").json()
    assert (info["model"], info["checkpoint"], info["tile_side"]) == ("red", "fake", 64)
    assert info["limits"] == {
        "upload_mb": 2,
        "megapixels": 4,
        "questions": 16,
        "question_length": 500,
        "queue": 3,
    }
    assert info["scenes"] == []
    assert len({sample["name"] for sample in info["samples"]}) == len(info["samples"]) > 3
    assert all(sample["questions"] for sample in info["samples"])


def test_the_page_comes_with_a_policy_for_workers_and_blobs(server):
    page = server.client.get("/")
    assert page.status_code == 200
    policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["worker-src"] == "'self' blob:"
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_the_pixels_of_a_picture_lie_as_stored_whatever_exif_says(server, tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(square()).save(file, "PNG", exif=exif)
    shown = ImageOps.exif_transpose(Image.open(file))
    assert np.array_equal(np.asarray(shown), np.rot90(square(), turn))  # Pillow would turn it
    told = server.segment(file.getvalue()).json()
    assert (told["width"], told["height"]) == (60, 40)
    assert np.array_equal(pixels_of(server.client.get(told["answers"][0]["links"]["mask"])) > 0, square()[..., 0] > 0)
    path = tmp_path / "turned.png"
    path.write_bytes(file.getvalue())
    with open_scene(path) as scene:  # segment does the same
        assert np.array_equal(scene.read(scene.grid.whole, 40, 60).pixels, square())


class TalkingModel(RedModel):
    """Also answers in words."""

    def answer(self, image, question):
        return f"{question} on {image.width} x {image.height}"


def test_words_are_given_if_asked_for(settings):
    with running(TalkingModel(), settings) as server:
        assert server.client.get("/api/info").json()["words"] is True
        silent, told = (server.segment(png(square()), ["red?", "other?"], **form) for form in ({}, {"words": "true"}))
        assert [found["text"] for found in silent.json()["answers"]] == [None, None]
        assert [found["text"] for found in told.json()["answers"]] == ["red? on 60 x 40", "other? on 60 x 40"]


def test_words_of_a_model_that_has_none_are_refused(server):
    assert server.client.get("/api/info").json()["words"] is False
    answer = server.segment(png(square()), words="true")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("words: ")
