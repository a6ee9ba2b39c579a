"""Names of categories: which words name one, and which are ordinary words of a long concept."""

import pytest

from earthreason.questions.language import parse
from earthreason.questions.names import names_of


@pytest.mark.parametrize(
    ("category", "text", "named"),
    [
        ("stadium", "Which of the stadia is older?", "stadia"),
        ("golf course", "Where do people go golfing?", "golfing"),
        ("airport", "Where is the air port?", "air port"),
        ("footbridge", "Which foot-bridge is closed?", "foot-bridge"),
        ("port", "Which harbour is deep enough?", "harbour"),
        ("harbor", "Which harbour is deep enough?", "harbour"),
        ("school", "Where do schoolboys play?", "schoolboys"),
        ("rows of parked school buses", "Which bus leaves first?", "bus"),
        ("a marina with moored boats", "Which marinas are full?", "marinas"),
    ],
)
def test_a_category_is_named(category, text, named):
    assert names_of(category).find(parse(text)) == named


@pytest.mark.parametrize(
    ("category", "text"),
    [
        ("a marina with moored boats", "Where could someone with a trailer get into the water?"),
        ("a large commercial area", "Which large place is busy on Saturdays?"),
        ("island", "Which place is land that boats circle?"),
        ("car", "Where would a carpenter carry his careful work?"),
        ("port", "Which part of the trip is important for transport?"),
        ("wind turbine", "What turns when the wind picks up?"),
    ],
)
def test_ordinary_words_name_nothing(category, text):
    assert names_of(category).find(parse(text)) is None
