"""The guards that all pages share."""

import pytest

pytest.importorskip("fastapi", reason="no extra with pages is installed")

from fastapi import FastAPI, Form
from fastapi.testclient import TestClient

from earthreason.web.guards import LOOPBACK, content_policy, guard_pages, hosts_of, tell_faults_as_json


def client_of(hosts):
    app = FastAPI()

    @app.get("/")
    def page() -> str:
        return "page"

    @app.post("/form")
    def form(number: int = Form()) -> int:
        return number

    guard_pages(app, hosts, content_policy(images=["data:"]))
    tell_faults_as_json(app)
    return TestClient(app)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000", "192.168.1.7:80", "[fe80::1]"]
)
def test_names_of_this_machine_and_addresses_in_numbers_are_known(host):
    assert client_of(LOOPBACK).get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil", "", "1.2.3"]
)
def test_other_names_are_refused_in_one_line(host):
    answer = client_of(LOOPBACK).get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.json() == {"error": "this server does not answer to that host name"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_server_for_other_machines_answers_to_any_name_unless_told():
    assert hosts_of("0.0.0.0") == ("*",)
    assert client_of(hosts_of("0.0.0.0")).get("/", headers={"Host": "gpu.lab"}).status_code == 200
    assert client_of(("gpu.lab",)).get("/", headers={"Host": "gpu.lab:8000"}).status_code == 200
    assert client_of(("gpu.lab",)).get("/", headers={"Host": "other.lab"}).status_code == 400


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("https://localhost", 200), ("http://evil.example", 403), ("null", 403)],
)
def test_requests_of_other_pages_are_refused(origin, status):
    headers = {"Host": "localhost", "Origin": origin}
    assert client_of(LOOPBACK).post("/form", data={"number": 1}, headers=headers).status_code == status


def test_every_answer_carries_the_headers():
    client = client_of(LOOPBACK)
    for answer in (client.get("/", headers={"Host": "localhost"}), client.get("/none", headers={"Host": "localhost"})):
        assert "img-src 'self' data:" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "worker-src" not in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_faults_are_one_line_of_json():
    client = client_of(LOOPBACK)
    wrong = client.post("/form", data={"number": "two"}, headers={"Host": "localhost"})
    assert wrong.status_code == 422
    assert "number" in wrong.json()["error"]
    assert "\n" not in wrong.json()["error"]
    assert client.get("/none", headers={"Host": "localhost"}).json() == {"error": "Not Found"}
