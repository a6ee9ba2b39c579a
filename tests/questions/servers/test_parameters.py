"""Parameters of requests from the command line, and durations of servers."""

import email.utils
import time

import pytest

from earthreason.questions.servers.pace import parse_duration, retry_after
from earthreason.questions.servers.parameters import merge_parameters


def test_values_are_json_or_text():
    given = ["top_p=0.9", "reasoning_effort=low", 'extra={"a": [1]}', "flag=true", "stop=a=b", "empty=", "x=NaN"]
    assert merge_parameters({"max_tokens": 5}, given) == {
        "max_tokens": 5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "extra": {"a": [1]},
        "flag": True,
        "stop": "a=b",
        "empty": "",
        "x": "NaN",
    }


def test_a_limit_by_its_newer_name_replaces_the_older_one():
    assert merge_parameters({"max_tokens": 5}, ["max_completion_tokens=7"]) == {"max_completion_tokens": 7}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        # OpenAI, community.openai.com/t/1268905, and its documentation; Groq; Azure
        ("12ms", 0.012),
        ("1s", 1),
        ("6m0s", 360),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723),
        ("1d", 86400),
        ("8.64s", 8.64),
        ("60", 60),
        ("-1", None),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("2026-11-28T00:00:00Z", None),
    ],
)
def test_durations_are_read_as_servers_write_them(text, seconds):
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_waits_are_read_from_numbers_dates_and_words():
    assert retry_after({"retry-after": "3"}) == 3
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert retry_after({"retry-after": in_a_minute}) == pytest.approx(60, abs=2)
    assert retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0
    assert retry_after({"retry-after": "tomorrow"}) is None
    assert retry_after({"retry-after": "-5"}) is None
    assert retry_after({}, "Rate limit reached. Please try again in 1m12.5s. Visit") == pytest.approx(72.5)
    assert retry_after({}, "try again in a while") is None
