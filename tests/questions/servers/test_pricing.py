"""Prices: names of models, the user's own, cached and reasoning tokens, images."""

import json

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.servers.pricing import ModelPrice, Prices, Tokens, image_tokens, load_prices

TABLE = Prices(
    as_of="2026-01-01",
    models={
        "gpt-4o": ModelPrice(input=2, output=8, cached_input=0.5, reasoning=4, batch=0.25),
        "gpt-4o-2024-05-13": ModelPrice(input=5, output=15),
        "gpt-4o-mini": ModelPrice(input=0.1, output=0.4),
        "google/gemini-x": ModelPrice(input=1, output=2),
        "one/twin": ModelPrice(input=1, output=1),
        "two/twin": ModelPrice(input=2, output=2),
    },
)


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("gpt-4o", 2),
        ("gpt-4o-2024-08-06", 2),
        ("gpt-4o-2024-05-13", 5),
        ("gpt-4o-latest", 2),
        ("gpt-4o-mini", 0.1),
        ("gpt-4o-mini-2024-07-18", 0.1),
        ("openai/gpt-4o", 2),
        ("openrouter/openai/gpt-4o-2024-08-06", 2),
        ("google/gemini-x", 1),
        ("gemini-x", 1),
        ("openrouter/google/gemini-x", 1),
        ("two/twin", 2),
        ("twin", None),
        ("gpt-4o-20b", None),
        ("ft:gpt-4o:mine::1", None),
        ("local", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_name_has_the_price_of_its_model(name, price):
    found = TABLE.of(name)
    assert (None if found is None else found.input) == price


def test_every_kind_of_token_has_its_price():
    tokens = Tokens(input=1_000_000, output=1_000_000, cached=400_000, reasoning=500_000)
    usd = 0.6 * 2 + 0.4 * 0.5 + 0.5 * 8 + 0.5 * 4
    assert TABLE.cost("gpt-4o", tokens) == pytest.approx(usd)
    assert TABLE.cost("gpt-4o", tokens, batch=True) == pytest.approx(usd / 4)
    assert TABLE.cost("gpt-4o-mini", tokens) == pytest.approx(0.5)  # no price of its own for either: the usual one
    assert TABLE.cost("local", tokens) == 0


def test_a_table_of_ones_own_goes_before_the_built_in_one(tmp_path):
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"models": {"mine": {"input": 1, "output": 2}, "gpt-4o": {"input": 9, "output": 9}}}))
    table = load_prices(own)
    assert (table.of("mine").input, table.of("gpt-4o").input) == (1, 9)
    assert table.of("gpt-4o-mini").input == load_prices().of("gpt-4o-mini").input


def test_prices_are_given_for_all_models_in_use_or_for_one():
    table = load_prices(None, ["1,2", "b=3,4,0.5"], ["a", "b"])
    assert (table.of("a").input, table.of("a").output) == (1, 2)
    assert (table.of("b").input, table.of("b").output, table.of("b").cached_input) == (3, 4, 0.5)
    own = load_prices(None, ["1,2"], ["gpt-4o-mini"]).of("gpt-4o-mini")
    built_in = load_prices().of("gpt-4o-mini")
    assert own.image_tile == built_in.image_tile
    assert own.cached_input is None  # the built-in one belongs to the built-in price


@pytest.mark.parametrize(
    "text", ["", "1", "1,2,3,4", "a,b", "1,-2", "nan,1", "1,inf", "m=", "m=1", "1;2", "0,5,10", "1e308,1"]
)
def test_a_malformed_price_is_told_in_one_line(text):
    with pytest.raises(EarthReasonError, match=r"--price .*write IN,OUT or IN,OUT,CACHED or MODEL=IN,OUT") as caught:
        load_prices(None, [text], ["m"])
    assert "\n" not in str(caught.value)


def test_the_built_in_table_names_its_date_and_source_and_is_complete():
    table = load_prices()
    assert table.as_of == "2026-11-28"
    assert "LiteLLM 1.108.7" in table.note
    # genai-prices 0.2.3, US dollars per million tokens of input, output and cached input
    for name, prices in {
        "gpt-4o": (2.5, 10, 1.25),
        "gpt-5": (1.25, 10, 0.125),
        "claude-sonnet-4-6": (3, 15, 0.3),
        "gemini-2.5-flash": (0.3, 2.5, 0.03),
        "o4-mini": (1.1, 4.4, 0.275),
    }.items():
        found = table.of(name)
        assert (found.input, found.output, found.cached_input) == prices
    assert all(price.batch in (0.5, 0.8, 1.0) for price in table.models.values())


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        # OpenAI's examples for patches: 1024 x 1024 are 1,024; 1800 x 2400 more than the limit of 1,536.
        ((1024, 1024), 1024),
        ((2400, 1800), 1536),
    ],
)
def test_image_tokens_by_patches(size, tokens):
    price = ModelPrice(input=1, output=1, image_patch=32, image_limit=1536)
    assert image_tokens(price, *size) == tokens
    assert image_tokens(price.model_copy(update={"image_factor": 1.62}), *size) == -(-tokens * 162 // 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--price", "one"], "--price one: not a price"),
        (["--param", "top_p"], "--param top_p: write KEY=VALUE"),
        (["--param", "=3"], "--param =3: write KEY=VALUE"),
        (["--param", "model=x"], "model cannot be set here; give --model"),
        (["--param", "stream=true"], "answers are read whole"),
        (["--param", "max_tokens=9"], "give --max-tokens"),
        (["--param", "max_completion_tokens=many"], "write a number of tokens"),
    ],
)
def test_a_malformed_option_is_told_before_anything_is_read(tmp_path, arguments, words):
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["questions", "generate", "sample", "--out", str(out), *arguments])
    assert isinstance(result.exception, EarthReasonError)
    assert words in str(result.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    "change",
    [{"input": 1e308}, {"input": True}, {"output": "2"}, {"image_factor": 1e307}, {"batch": 2}],
)
def test_a_price_that_no_provider_has_is_refused(tmp_path, change):
    table = tmp_path / "prices.json"
    table.write_text(json.dumps({"models": {"m": {"input": 1, "output": 2} | change}}))
    with pytest.raises(DataFormatError, match=next(iter(change))):
        load_prices(table)


@pytest.mark.parametrize("number", ["1e999", "Infinity", "NaN"])
def test_infinite_prices_are_refused(tmp_path, number):
    table = tmp_path / "prices.json"
    table.write_text(f'{{"models": {{"m": {{"input": {number}, "output": 2}}}}}}')
    with pytest.raises(DataFormatError):
        load_prices(table)


def test_a_price_for_a_model_that_no_stage_uses_is_a_mistake():
    with pytest.raises(EarthReasonError, match="no stage uses the model gpt4o; in use: gpt-4o"):
        load_prices(given=["gpt4o=1,2"], models=["gpt-4o"])
    assert load_prices(given=["local =1, 2"], models=["local"]).of("local").output == 2
