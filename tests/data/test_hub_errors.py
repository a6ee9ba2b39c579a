"""What the Hub refuses gets one line that says why and what to do, in one process for all the cases."""

import json

import pytest

from tests.data.hub_clients import GET, archives_of, run_client
from tests.hub_server import HubServer

CASES = {
    "get('no-such')": "there is no revision 'no-such' in it; {url}/datasets/a/b/commits/main lists the commits",
    "get(repository='a/absent')": "there is no such repository, or it is private (401); check the name 'a/absent'",
    "get(repository='a/absent', token='hf_good')": "there is no such repository, or it is private (404)",
    "get(repository='a/gated')": "gated; ask for access in a browser at {url}/datasets/a/gated, then log in with",
    "get(repository='a/gated', token='hf_good')": "your token's account has no access yet (403)",
    "get(token='hf_bad')": "the Hub does not accept your token (401); make a new one and log in with `hf auth login`",
    "get(repository='a b')": "'a b' is not the id of a repository; write OWNER/NAME",
    "get(repository='a/busy')": "limit of requests (429); wait 120 seconds and try again",
    "get(repository='a/silent-busy')": "limit of requests (429); wait some minutes and try again",
    "get(repository='a/failing')": "the Hub fails at the moment (503); try again later",
    "get(repository='a/counted')": "limit of requests (429); wait 55 seconds and try again",
    "get(repository='a/forbidden', token='hf_good')": "no right to do this (403); change its rights at {url}/settings",
    "get(repository='a/forbidden')": "access is refused (403); log in with `hf auth login`, or check the proxy",
    "get(repository='a/slow')": "no answer from {url}",
    "get(repository='a/broken')": "no answer from {url}",
    "get(repository='a/forbidden-file')": "access is refused (403)",
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with HubServer() as hub:
        for name in ("b", "gated", "forbidden-file"):
            hub.publish(f"a/{name}", {"README.md": b"#", "train.zip": b"PK"})
        hub.repositories["a/gated"].gated = True
        hub.fail("a/busy", status=429, headers={"Retry-After": "120"}, times=99)
        hub.fail("a/silent-busy", status=429, times=99)
        hub.fail("a/counted", status=429, headers={"RateLimit": '"api";r=0;t=55'}, times=99)
        hub.fail("a/slow", seconds=2, times=99)
        hub.fail("a/failing", status=503, times=99)
        hub.fail("a/forbidden$", status=403, times=99)
        hub.fail("a/broken", cut=0, times=99)
        hub.publish("a/broken", {"README.md": b"#"})
        hub.fail("/cdn/", status=403, times=99)
        lines = run_client(hub, home, GET + "\n".join(CASES), HF_HUB_ETAG_TIMEOUT="1").splitlines()
    return dict(zip(CASES, map(json.loads, lines), strict=True)), hub.url


@pytest.mark.parametrize("case", CASES)
def test_the_reason_and_the_remedy_are_named(messages, case):
    answers, url = messages
    assert CASES[case].format(url=url) in answers[case]
    assert "\n" not in answers[case]
    assert answers[case].startswith("DataNotFoundError: ")


def test_without_a_server_and_without_the_network_it_says_how_to_go_on(release, tmp_path):
    with HubServer() as hub:
        hub.publish("a/b", archives_of(release))
    (message,) = map(json.loads, run_client(hub, tmp_path, GET + "get()").splitlines())
    assert f"no answer from {hub.url}" in message
    assert "or set HF_ENDPOINT to a mirror" in message
    assert "in a browser from https://huggingface.co/datasets/a/b" in message
    (message,) = map(json.loads, run_client(hub, tmp_path, GET + "get()", HF_HUB_OFFLINE="1").splitlines())
    assert "the network is switched off (HF_HUB_OFFLINE" in message
    assert not (tmp_path / "data").exists()


def test_a_full_disk_is_named(tmp_path):
    full = "import errno, huggingface_hub\ndef fail(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')\n"
    code = GET + full + "huggingface_hub.snapshot_download = fail\nget()"
    with HubServer() as hub:
        hub.publish("a/b", {"README.md": b"#"})
        assert "the disk is full; free some space" in run_client(hub, tmp_path, code)
