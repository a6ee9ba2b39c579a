"""`earthreason submit` against a real server in this process."""

import json
import re
import socket
import threading
import time

import pytest
import uvicorn
from PIL import Image
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug import Response

from earthreason.board_client import BoardClient, ServerError, blank_references, check_predictions, packed
from earthreason.cli import submit as submit_module
from earthreason.cli.main import app
from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.masks.rle import decode_rle
from earthreason.predictions.reader import open_predictions
from leaderboard.web.app import create_app
from tests.leaderboard.toys import free_port, make_predictions


@pytest.fixture
def server(settings, database, board, hand):
    """A server with a worker thread."""
    port = free_port()
    running = uvicorn.Server(uvicorn.Config(create_app(settings, database), port=port, log_level="error"))
    thread = threading.Thread(target=running.run)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            if not hand.worker.run_once(hand.sandbox):
                stop.wait(0.05)

    worker = threading.Thread(target=work)
    thread.start()
    worker.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    stop.set()
    worker.join()
    running.should_exit = True
    thread.join()


@pytest.fixture
def command(server, board, monkeypatch, tmp_path):
    monkeypatch.setenv("EARTHREASON_TOKEN", board["alpha"])
    monkeypatch.setattr("earthreason.board_client.BoardClient.pause", 0.05)

    def run(file, *more, config="toy", split="open"):
        options = f"--training zero-shot --server {server} --config {config} --split {split}".split()
        return CliRunner().invoke(app, ["submit", str(file), "--name", "Model A", *options, *more])

    return run


@pytest.fixture
def predictions(tmp_path, references):
    path = tmp_path / "preds.json"
    path.write_bytes(make_predictions(references))
    return path


def test_the_row_and_its_address_are_printed_and_a_second_run_changes_nothing(command, predictions, server):
    first = command(predictions, "--publish")
    assert first.exit_code == 0, first.output
    assert "gIoU" in first.stdout
    assert f"{server}/models/" in first.stdout
    assert "(public)" in first.stdout
    second = command(predictions, "--json", "-")
    assert "submitted before" in second.stderr
    assert json.loads(second.stdout)["visibility"] == "public"
    assert len(BoardClient(server)._ask("GET", "/api/board?split=toy/open")["rows"]) == 1


def test_checking_uploads_nothing(command, predictions, server, board):
    assert command(predictions, "--check").exit_code == 0
    assert BoardClient(server, board["alpha"])._ask("GET", "/api/submissions") == []


def test_a_broken_file_is_refused_here_before_it_travels(command, predictions, tmp_path, server, board):
    content = json.loads(predictions.read_text())
    content["predictions"][0]["sample_id"] = "nobody"
    (tmp_path / "broken.json").write_text(json.dumps(content))
    failed = command(tmp_path / "broken.json")
    assert isinstance(failed.exception, PredictionsError)
    assert "not in toy/open" in str(failed.exception)
    assert BoardClient(server, board["alpha"])._ask("GET", "/api/submissions") == []


def test_the_check_knows_no_labels_and_yet_finds_what_scoring_would(references, tmp_path):
    blank = blank_references(
        [
            {"sample_id": r.sample_id, "height": r.height, "width": r.width, "question_count": 1}
            for r in references.values()
        ],
        "toy",
    )
    assert all(reference.is_empty for reference in blank.values())
    path = tmp_path / "short.json"
    path.write_text(json.dumps(json.loads(make_predictions(references))["predictions"][:-1]))
    with pytest.raises(PredictionsError, match="1 unanswered"):
        check_predictions(open_predictions(path), blank)


def test_a_folder_of_masks_is_submitted_as_one_file(command, references, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for reference in references.values():
        Image.fromarray(decode_rle(reference.segmentation)).save(folder / f"{reference.sample_id}.png")
    done = command(folder, "--json", "-")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)["result"]
    assert result["protocols"]["native"]["scores"]["all"]["gIoU"][0] == 1.0
    with packed(folder) as first, packed(folder) as second:
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"split": "nowhere"}, "unknown split 'toy/nowhere'; did you mean"),
        ({"split": "validation"}, "unknown split 'toy/val'"),
    ],
)
def test_an_unknown_split_is_named_with_the_known_ones(command, predictions, more, said):
    assert said in str(command(predictions, **more).exception)


@pytest.mark.parametrize("field", ["paper", "code", "checkpoint"])
def test_an_address_is_looked_at_before_anything_is_asked(command, predictions, field, board):
    failed = command(predictions, f"--{field}", "arxiv-2504")
    assert failed.exit_code == 2
    assert "'arxiv-2504' is not a URL" in failed.output.replace("│", " ")


def test_a_wrong_token_says_so(command, predictions, monkeypatch):
    monkeypatch.setenv("EARTHREASON_TOKEN", "er_wrong")
    failed = command(predictions)
    assert "unknown or revoked" in str(failed.exception)


def test_without_a_token_and_without_a_person_the_remedy_is_told(command, predictions, monkeypatch):
    monkeypatch.delenv("EARTHREASON_TOKEN")
    monkeypatch.setattr(submit_module, "_keyring", lambda: None)
    assert "set EARTHREASON_TOKEN" in str(command(predictions).exception)


def test_a_token_is_found_in_the_keyring(command, predictions, monkeypatch, server, board):
    class Ring:
        def get_password(self, service, name):
            return board["beta"] if (service, name) == ("earthreason", server) else None

    monkeypatch.delenv("EARTHREASON_TOKEN")
    monkeypatch.setattr(submit_module, "_keyring", Ring)
    assert command(predictions).exit_code == 0
    assert len(BoardClient(server, board["beta"])._ask("GET", "/api/submissions")) == 1


def test_a_card_has_to_be_an_object(command, predictions, tmp_path):
    card = tmp_path / "card.json"
    card.write_text("[1]")
    assert "a card is a JSON object" in str(command(predictions, "--card", str(card)).exception)
    card.write_text('{"epochs": 3}')
    assert json.loads(command(predictions, "--card", str(card), "--json", "-").stdout)["card"] == {"epochs": 3}


@pytest.mark.parametrize("server", ["http://board.example", "ftp://x", "board.example"], indirect=False)
def test_a_token_is_never_sent_in_the_clear(server):
    with pytest.raises(EarthReasonError, match="https"):
        BoardClient(server, "er_x")


def test_a_server_that_is_away_is_waited_for_and_then_named(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(ServerError, match="does not answer"):
        BoardClient(f"http://127.0.0.1:{free_port()}").splits()


# --- redirects -------------------------------------------------------------------------------------------------------


@pytest.fixture
def board_server():
    with HTTPServer(host="127.0.0.1") as server:
        yield server


@pytest.fixture
def other_server():
    """Another origin on this machine: the port differs. It would answer everything."""
    with HTTPServer(host="127.0.0.1") as server:
        server.expect_request(re.compile(".*")).respond_with_json([])
        yield server


def redirect(server, target, status=307):
    server.expect_request(re.compile(".*")).respond_with_response(Response(status=status, headers={"Location": target}))


def headers_of(server):
    return [dict(request.headers) for request, _ in server.log]


REQUESTS = {
    "GET": lambda client, file: client.splits(),
    "POST": lambda client, file: client.announce("toy/open", file, {}, None),
    "PUT": lambda client, file: client.upload("A" * 22, file, lambda sent: None),
    "PATCH": lambda client, file: client.publish("A" * 22),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", REQUESTS)
def test_a_redirect_to_another_origin_takes_neither_token_nor_file_along(
    board_server, other_server, tmp_path, method, status
):
    file = tmp_path / "preds.json"
    file.write_text("[]")
    redirect(board_server, other_server.url_for("/api/elsewhere"), status)
    with pytest.raises(ServerError, match=f"redirects to http://127.0.0.1:{other_server.port}") as caught:
        REQUESTS[method](BoardClient(board_server.url_for("/"), "er_secret"), file)
    assert caught.value.status == status
    assert [headers["Authorization"] for headers in headers_of(board_server)] == ["Bearer er_secret"]
    assert headers_of(other_server) == []


def test_another_host_name_is_another_origin_even_on_the_same_port(board_server):
    redirect(board_server, f"http://localhost:{board_server.port}/api/elsewhere")
    with pytest.raises(ServerError, match="redirects to http://localhost"):
        BoardClient(board_server.url_for("/"), "er_secret").splits()
    assert len(board_server.log) == 1


def test_another_scheme_is_another_origin_even_on_the_same_port(board_server):
    redirect(board_server, f"https://127.0.0.1:{board_server.port}/api/elsewhere")
    with pytest.raises(ServerError, match="redirects to https://127.0.0.1"):
        BoardClient(board_server.url_for("/"), "er_secret").splits()
    assert len(board_server.log) == 1


def test_a_chain_of_redirects_is_followed_up_to_the_edge_of_the_origin(board_server, other_server):
    board_server.expect_request("/api/splits").respond_with_response(
        Response(status=302, headers={"Location": "/api/moved"})
    )
    board_server.expect_request("/api/moved").respond_with_response(
        Response(status=302, headers={"Location": other_server.url_for("/api/splits")})
    )
    with pytest.raises(ServerError, match="redirects to"):
        BoardClient(board_server.url_for("/"), "er_secret").splits()
    assert [request.path for request, _ in board_server.log] == ["/api/splits", "/api/moved"]
    assert headers_of(other_server) == []


def test_a_redirect_within_the_origin_is_followed_with_the_token(board_server):
    board_server.expect_request("/api/splits").respond_with_response(
        Response(status=307, headers={"Location": board_server.url_for("/v2/splits")})
    )
    board_server.expect_request("/v2/splits").respond_with_json([{"split": "toy/open"}])
    assert BoardClient(board_server.url_for("/"), "er_secret").splits() == [{"split": "toy/open"}]
    assert [headers["Authorization"] for headers in headers_of(board_server)] == ["Bearer er_secret"] * 2


def test_redirects_in_a_circle_end(board_server):
    redirect(board_server, "/api/splits")
    with pytest.raises(ServerError, match="redirects more than 5 times"):
        BoardClient(board_server.url_for("/"), "er_secret").splits()


def test_an_upload_states_its_length_and_reports_every_byte(board_server, tmp_path):
    """A body without a stated length is sent in chunks, which the server cannot refuse by its size."""
    file = tmp_path / "preds.json"
    content = bytes(range(256)) * 3000  # 768,000 bytes: two whole pieces of 262,144 and a rest
    file.write_bytes(content)
    board_server.expect_request(re.compile(".*"), method="PUT").respond_with_json({"id": "x"})
    reported = []
    BoardClient(board_server.url_for("/"), "er_secret").upload("A" * 22, file, reported.append)
    request = board_server.log[0][0]
    assert request.headers["Content-Length"] == "768000"
    assert "Transfer-Encoding" not in request.headers
    assert request.data == content
    assert reported == [262_144, 524_288, 768_000]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://[::1", "not a URL"),
        ("https://board.example:port", "not a URL"),
        ("https://ada:geheim@board.example", "has no user"),
        ("https://board.example/?page=2", "has no user, `?`"),
        ("https://board.example/#top", "has no user, `?`"),
        ("http://ada:geheim@board.example", "has no user"),
    ],
)
def test_a_wrong_address_is_one_line_without_its_password(predictions, url, said):
    words = f"--training zero-shot --server {url} --config toy --split open".split()
    failed = CliRunner().invoke(app, ["submit", str(predictions), "--name", "Model A", *words]).exception
    assert isinstance(failed, EarthReasonError)
    assert said in str(failed)
    assert "geheim" not in str(failed)


@pytest.mark.parametrize("token", ["er_\u00e4", "er_a b", "er_a\nb", "\u2018er_a\u2019"])
def test_a_token_that_cannot_be_one_is_refused_at_once_and_not_shown(command, predictions, monkeypatch, token):
    monkeypatch.setenv("EARTHREASON_TOKEN", token)
    began = time.monotonic()
    failed = command(predictions).exception
    assert isinstance(failed, EarthReasonError)
    assert "copy it again" in str(failed)
    assert token not in str(failed)
    assert time.monotonic() - began < 5


def test_a_server_without_tls_is_not_asked_again(server):
    client = BoardClient(server.replace("http://", "https://"), pause=60)
    with pytest.raises(ServerError, match="does not answer"):
        client.splits()


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("earthreason.board_client._TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ServerError, match="does not answer"):
            BoardClient(f"http://127.0.0.1:{silent.getsockname()[1]}", pause=0.05).splits()
    assert time.monotonic() - began < 3  # eight attempts would take four seconds


def test_a_card_is_read_before_anything_is_sent(command, predictions, tmp_path):
    (tmp_path / "card.json").write_text("[")
    failed = command(predictions, "--card", str(tmp_path / "card.json"))
    assert "card.json: not JSON" in str(failed.exception)
    assert "questions answered" not in failed.stderr
