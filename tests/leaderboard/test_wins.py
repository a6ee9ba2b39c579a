"""Wins between models: counts worked by hand, and what the page tells of open and hidden splits."""

import re

import numpy as np
import pytest

from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.references import Reference, References
from leaderboard.wins import count_wins
from tests.leaderboard.toys import METADATA, make_predictions


def row_of_pixels(count):
    mask = np.zeros((1, 4), bool)
    mask[0, :count] = True
    return encode_mask(mask)


def scored(*counts, truth=4):
    """Score a model that marks so many of the four pixels of each image; its IoUs are quarters."""
    references = References([Reference(f"s{n}", row_of_pixels(truth)) for n in range(len(counts))], "toy")
    answers = {f"s{n}": row_of_pixels(count) for n, count in enumerate(counts)}
    return evaluate(answers, references, protocol="native", resamples=0).scored


def test_wins_of_three_models_on_four_questions():
    matrix = count_wins([scored(4, 3, 2, 1), scored(4, 2, 3, 1), scored(1, 1, 1, 2)])
    assert matrix.questions == 4
    assert matrix.wins == [[0, 1, 3], [1, 0, 3], [1, 1, 0]]


def test_models_of_other_questions_or_masks_are_left_out():
    matrix = count_wins([scored(4, 4), scored(4, 4, 4), scored(4, 4, truth=3), scored(1, 1)])
    assert list(matrix.chosen) == [0, 3]
    assert matrix.wins == [[0, 2], [0, 0]]


@pytest.fixture
def published(hand, references):
    """The truth itself, and a file that turns a fifth of all pixels, on the open split."""
    for name, noise in (("Perfect", 0.0), ("Noisy<b>", 0.2)):
        metadata = {**METADATA, "model": name}
        hand.published(make_predictions(references, 3, noise), split="toy/open", metadata=metadata)


def cells(page):
    body = re.search(r"<tbody>(.*)</tbody>", page, re.DOTALL)[1]
    return [re.findall(r"<td[^>]*>([^<]+)</td>", row) for row in body.split("</tr>")[:-1]]


def test_the_page_shows_who_beats_whom(hand, published):
    answer = hand.client.get("/wins?split=toy/open")
    assert cells(answer.text) == [["–", "100.0"], ["0.0", "–"]]
    assert 'title="40 better, 0 equal, 0 worse"' in answer.text
    assert "Noisy&lt;b&gt;" in answer.text
    assert hand.client.get("/wins?split=toy/open&protocol=native").text.count("100.0") == 1
    assert hand.client.get("/wins?split=toy/open&protocol=geo-r1").status_code == 200
    assert "/wins?split=toy%2Fopen" in hand.client.get("/?split=toy/open").text
    assert hand.client.get("/wins?split=no/split").status_code == 404


def test_filters_choose_the_models_that_are_compared(hand, published):
    text = hand.client.get("/wins?split=toy/open&search=noisy").text
    assert "It takes two models" in text


def test_a_hidden_split_tells_nothing_of_single_questions(hand, references):
    for seed in (1, 2):
        hand.published(make_predictions(references, seed))
    text = hand.client.get("/wins?split=toy/test").text
    assert "withheld" in text
    assert "<table" not in text
    assert "/wins" not in hand.client.get("/?split=toy/test").text


def test_the_page_follows_the_rows(hand, references, published):
    before = hand.client.get("/wins?split=toy/open")
    row = hand.client.get("/api/board?split=toy/open").json()["rows"][0]["id"]
    hand.set(row, "private")
    after = hand.client.get("/wins?split=toy/open", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert "It takes two models" in after.text
