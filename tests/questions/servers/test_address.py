"""The address that requests go to: from the option, the variable of the `openai` client, or neither."""

import pytest

from earthreason.errors import EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.servers.address import server_address
from earthreason.questions.servers.client import ClientConfig, ModelClient
from earthreason.questions.servers.pricing import load_prices
from tests.questions.runs import config_of, generate


@pytest.mark.parametrize(
    ("given", "variable", "address"),
    [
        (None, None, None),
        (None, "", None),
        (None, "http://a:1/v1/", "http://a:1/v1"),
        ("http://b:2/v1", "http://a:1/v1", "http://b:2/v1"),
        ("https://api.openai.com/v1/", "http://a:1/v1", None),
        ("http://b:2/v1/", None, "http://b:2/v1"),
    ],
)
def test_the_option_wins_over_the_variable_and_a_final_slash_means_nothing(monkeypatch, given, variable, address):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    if variable is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", variable)
    assert server_address(given) == address


@pytest.mark.parametrize(
    "wrong", ["nonsense", "ftp://a/v1", "http://a b/v1", "http://a\tb/v1", "http://:1", "http://a:99999"]
)
def test_what_is_no_address_is_refused_by_the_name_of_its_origin(monkeypatch, wrong):
    with pytest.raises(EarthReasonError, match="^--base-url .*not an address"):
        server_address(wrong)
    monkeypatch.setenv("OPENAI_BASE_URL", wrong)
    with pytest.raises(EarthReasonError, match="^OPENAI_BASE_URL .*not an address"):
        server_address(None)


def test_answers_of_the_server_in_the_variable_say_so(server, source, tmp_path, monkeypatch):
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    ledger = Ledger(tmp_path / "ledger.sqlite")
    generate(source, config_of(limit=1, empty_share=0), ledger, server)
    asked = len(server.served)
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    client = ModelClient(ClientConfig(api_key="x"), load_prices())
    assert client.config.base_url == address
    assert str(client.openai.base_url).rstrip("/") == address
    assert asked == len(server.served)


@pytest.mark.parametrize("key", ["sk-ü", "sk-1\n", " sk-1", "sk 1\r"])
def test_a_key_that_no_header_can_hold_is_refused_at_once_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EarthReasonError, match="OPENAI_API_KEY has characters") as caught:
        ModelClient(ClientConfig(), load_prices())
    assert "sk" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks://127.0.0.1:1"), ("HTTP_PROXY", "foo://x"), ("SSL_CERT_FILE", "/nowhere.pem")],
)
def test_an_environment_that_allows_no_connection_is_told_by_its_variables(monkeypatch, name, value):
    for other in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(EarthReasonError, match=f"no connection can be made: .*{name}"):
        ModelClient(ClientConfig(api_key="x"), load_prices())
