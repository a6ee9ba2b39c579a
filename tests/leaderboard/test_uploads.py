"""What an upload may do: bombs, endless work, bodies without end, cards that are no JSON; and where it is scored."""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaderboard import sandbox as sandbox_module
from leaderboard.sandbox import check_archive
from leaderboard.tokens import form_key
from leaderboard.web.state import COOKIE
from tests.leaderboard.test_server import ROOT, Programs
from tests.leaderboard.toys import METADATA, SIDE, make_predictions, sign_in


def png(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def failure(hand, content):
    submission_id = hand.submit(content)
    hand.score()
    told = hand.get(submission_id).json()
    assert told["state"] == "failed", told
    return told["error"]


# --- upload bombs ----------------------------------------------------------------------------------------------------


def test_a_zip_of_zeros_is_refused_before_it_is_unpacked(hand):
    assert "unpacks to over 500 times its size" in failure(hand, zipped({"toy_000.png": bytes(65 << 20)}))


def test_a_zip_of_empty_arrays_passes_at_any_ratio(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((1024, 1024), bool))
    (tmp_path / "z").write_bytes(zipped({"toy_000.npy": buffer.getvalue()}))
    (packed,) = zipfile.ZipFile(tmp_path / "z").infolist()
    assert packed.file_size > 500 * packed.compress_size
    check_archive(tmp_path / "z")


def test_a_zip_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    from earthreason.errors import PredictionsError

    monkeypatch.setattr("leaderboard.sandbox.MAX_UNPACKED", 1 << 16)
    (tmp_path / "z").write_bytes(zipped({f"{n}.png": np.random.default_rng(n).bytes(1 << 13) for n in range(20)}))
    with pytest.raises(PredictionsError, match="unpacks to"):
        check_archive(tmp_path / "z")


def test_a_zip_packed_by_a_method_without_a_bound_is_refused(hand):
    assert "another method" in failure(hand, zipped({"toy_000.png": b"x" * 99}, zipfile.ZIP_BZIP2))


def test_a_zip_that_lies_about_its_sizes_is_refused(hand):
    content = bytearray(zipped({"toy_000.png": bytes(1 << 20)}))
    place = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, place + 24, 10)  # uncompressed size in the directory
    assert "toy_000.png" in failure(hand, bytes(content))


def test_json_nested_without_end_fails_in_the_sandbox(hand):
    assert "nested" in failure(hand, b"[" * 500_000)


def test_a_run_length_bomb_is_refused_by_its_size(hand):
    bomb = {"sample_id": "toy_001", "segmentation": {"size": [60_000, 60_000], "counts": "0P`SkX3"}}
    assert "mask is 60000x60000" in failure(hand, json.dumps([bomb]).encode())


def test_run_lengths_that_do_not_fill_the_mask_are_refused(hand):
    short = {"sample_id": "toy_001", "segmentation": {"size": [SIDE, SIDE], "counts": "1" * 100_000}}
    assert "toy_001" in failure(hand, json.dumps([short]).encode())


def test_a_png_of_a_billion_pixels_is_refused_before_it_is_decoded(hand):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    assert "toy_001.png" in failure(hand, zipped({"toy_001.png": bomb}))


def test_a_file_that_takes_too_much_memory_ends_with_its_process(hand, sandbox, settings):
    hand.worker.settings = settings.model_copy(update={"memory_mib": 32})
    message = failure(hand, b"[" + b"[]," * 1_300_000 + b"[]]")
    assert "needs more than 20 s or 32 MiB" in message
    hand.worker.settings = settings
    good = hand.submit(make_predictions(hand.references, seed=5))
    hand.score()
    assert hand.get(good).json()["state"] == "scored"  # the sandbox lives on


@pytest.mark.parametrize(("busy", "outcome"), [(True, "killed"), (False, "starved")])
def test_a_file_that_takes_too_long_is_stopped_and_blamed_only_if_it_used_the_time(busy, outcome, monkeypatch):
    """A child that waits for a starved machine uses no processor time, like one that is stopped."""
    monkeypatch.setattr(sandbox_module, "_LITTLE_TIME", 0.1)  # this machine may be busy with other tests
    child = os.fork()
    if child == 0:
        while busy:
            pass
        time.sleep(60)
        os._exit(0)
    began = time.monotonic()
    assert sandbox_module._wait_for(child, 2) == outcome
    assert time.monotonic() - began < 7


def test_the_sandbox_has_no_secret_in_its_environment(monkeypatch):
    from leaderboard.sandbox import Sandbox

    monkeypatch.setenv("DATABASE_URL", "postgresql://board:secret@db/board")
    monkeypatch.setenv("EARTHREASON_TOKEN", "er_secret")
    with Sandbox() as running:
        seen = Path(f"/proc/{running._process.pid}/environ").read_bytes()
        while b"PATH" not in seen:  # the child has not become another program yet
            seen = Path(f"/proc/{running._process.pid}/environ").read_bytes()
    assert b"secret" not in seen


PROBE = """
import sys
from leaderboard.processes import drop_rights
drop_rights()
for name in ("environ", "mem"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb").close()
        print("open")
    except PermissionError:
        print("closed")
"""


def probed(pid):
    """What a process of the same user, with the sandbox's rights, finds of another."""
    done = subprocess.run([sys.executable, "-c", PROBE, str(pid)], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_the_sandbox_has_no_rights_and_gets_none(sandbox):
    status = Path(f"/proc/{sandbox._process.pid}/status").read_text()
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(found[name], 16) for name in ("CapEff", "CapPrm", "CapInh")} == {0}
    assert found["NoNewPrivs"] == "1"


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_address_of_the_database_cannot_be_read_out_of_our_processes(database_url, board, tmp_path, sandbox):
    """The upload's process is of the same user; the kernel closes what the others have in memory and environment."""
    programs = Programs(database_url, tmp_path / "log")
    try:
        supervisor = programs.start("serve", "--port", str(programs.port))
        programs.wait()
        children = subprocess.run(["pgrep", "-P", str(supervisor.pid)], capture_output=True, text=True, check=True)
        ours = [supervisor.pid, *map(int, children.stdout.split())]
        assert len(ours) == 4  # with web, notify and worker
        deadline = time.monotonic() + 20
        while "worker started" not in programs.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [probed(pid) for pid in ours] == [["closed", "closed"]] * 4
        assert probed(sandbox._process.pid)[0] == "open"  # the probe is able to
    finally:
        programs.end()


def test_an_oversized_body_is_refused_with_and_without_its_length(hand, references, settings):
    announced = hand.announce(make_predictions(references)).json()
    path = f"/api/submissions/{announced['id']}/predictions"
    large = bytes(settings.max_upload_bytes + (2 << 20))
    answer = hand.client.put(path, content=large, headers=hand.headers())
    assert (answer.status_code, answer.json()["error"]) == (413, "the file is over 4 MiB; nothing was submitted")
    pieces = (large[at : at + (1 << 20)] for at in range(0, len(large), 1 << 20))
    assert hand.client.put(path, content=pieces, headers=hand.headers()).status_code == 413
    assert hand.get(announced["id"]).json()["state"] == "uploading"


class Body:
    """A body in pieces that tells how much of it was taken."""

    def __init__(self, head=b"", megabytes=3):
        self.head, self.megabytes, self.taken = head, megabytes, 0

    def __iter__(self):
        for piece in (self.head, *[bytes(1 << 18)] * (4 * self.megabytes)):
            self.taken += len(piece)
            yield piece


MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
A_FILE = b'--x\r\nContent-Disposition: form-data; name="predictions"; filename="a"\r\n\r\n'


@pytest.mark.parametrize("cookie", [None, f"{COOKIE}=guessed"])
@pytest.mark.parametrize("path", ["/submit", f"/mine/{'A' * 22}", "/sign-out"])
def test_a_form_of_nobody_is_refused_before_it_is_read(client, board, path, cookie):
    body = Body(A_FILE)
    headers = MULTIPART if cookie is None else {**MULTIPART, "cookie": cookie}
    answer = client.post(path, content=iter(body), headers=headers)
    assert answer.status_code == 403
    assert "sign in again" in answer.text
    assert body.taken == 0


def test_a_form_of_another_site_is_refused_before_it_is_read(hand):
    body = Body(A_FILE)
    headers = {**MULTIPART, "cookie": sign_in(hand), "origin": "https://evil.example"}
    assert hand.client.post("/submit", content=iter(body), headers=headers).status_code == 403
    assert body.taken == 0


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sign-in"),
        ("POST", "/sign-out"),
        ("POST", f"/mine/{'A' * 22}"),
        ("POST", "/api/submissions"),
        ("PATCH", f"/api/submissions/{'A' * 22}"),
        ("PUT", f"/api/submissions/{'A' * 22}/flag"),
    ],
)
def test_small_requests_have_small_bodies(hand, method, path, with_length):
    """What is read before its sender is known must not be as large as a predictions file."""
    body = Body(b'{"visibility": "' if path.startswith("/api") else A_FILE)
    kind = "application/json" if path.startswith("/api") else MULTIPART["content-type"]
    headers = (
        {"content-type": kind}
        if path in ("/sign-in", "/api/submissions")
        else {"content-type": kind, "cookie": sign_in(hand), **hand.headers()}
    )
    content = b"".join(body) if with_length else iter(body)
    assert hand.client.request(method, path, content=content, headers=headers).status_code == 413


def test_a_form_with_too_large_a_file_is_answered_with_a_page_that_names_the_limit(hand, settings):
    cookie = {"cookie": sign_in(hand)}
    large = {"predictions": bytes(settings.max_upload_bytes + (2 << 20))}
    answer = hand.client.post("/submit", data={"model": "A"}, files=large, headers=cookie)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "the file is over 4 MiB; nothing was submitted" in answer.text


def test_a_size_over_the_limit_is_refused_before_the_upload(hand, settings):
    body = {"split": "toy/test", "sha256": "0" * 64, "size": settings.max_upload_bytes + 1, "metadata": METADATA}
    assert hand.client.post("/api/submissions", json=body, headers=hand.headers()).status_code == 413


@pytest.mark.parametrize("card", [{"x": "y" * 20_000}, json.loads('{"a":' * 9 + "1" + "}" * 9)])
def test_cards_are_small_and_flat(hand, references, card):
    answer = hand.announce(make_predictions(references), card=card)
    assert answer.status_code == 422
    assert "card" in answer.json()["error"]


@pytest.mark.parametrize("value", ['"\\ud800"', "NaN", "1e999", '{"\\udfff": 1}'])
def test_a_card_that_is_no_json_breaks_nobodys_list(hand, references, value):
    """Python's reader takes half characters and NaN; whoever writes an answer with them fails."""
    content = make_predictions(references)
    announcement = {
        "split": "toy/open",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "metadata": METADATA,
        "card": None,
    }
    body = json.dumps(announcement).replace('"card": null', f'"card": {{"a": {value}}}')
    headers = {**hand.headers(), "content-type": "application/json"}
    answer = hand.client.post("/api/submissions", content=body, headers=headers)
    assert answer.status_code == 422
    assert "card" in answer.json()["error"]
    cookie = sign_in(hand)
    form = {"key": form_key(cookie.split("=", 1)[1]), "split": "toy/open", "model": "M", "training": "trained"}
    page = hand.client.post(
        "/submit",
        data={**form, "card": f'{{"a": {value}}}'},
        files={"predictions": content},
        headers={"cookie": cookie},
    )
    assert page.status_code == 422
    assert "JSON allows none of them" in page.text
    assert hand.client.get("/api/submissions", headers=hand.headers("admin")).json() == []


@pytest.mark.parametrize("field", ["model", "paper", "backbone", "extra_data", "description", "contact"])
def test_half_a_character_is_no_text(hand, references, field):
    content = make_predictions(references)
    announcement = {
        "split": "toy/open",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "metadata": {**METADATA, field: "\ud800"},
    }
    headers = {**hand.headers(), "content-type": "application/json"}
    answer = hand.client.post("/api/submissions", content=json.dumps(announcement), headers=headers)
    assert answer.status_code == 422
    assert field in answer.json()["error"]


def test_half_a_character_is_no_reason_for_a_flag(hand, references):
    submission_id = hand.published(make_predictions(references))
    headers = {**hand.headers("admin"), "content-type": "application/json"}
    path = f"/api/submissions/{submission_id}/flag"
    assert hand.client.put(path, content='{"reason": "\\ud800"}', headers=headers).status_code == 422


def test_a_request_of_deep_json_is_refused(hand):
    headers = {**hand.headers(), "content-type": "application/json"}
    answer = hand.client.post("/api/submissions", content=b'{"card":' + b"[" * 100_000, headers=headers)
    assert answer.status_code in (400, 422)


def test_names_inside_a_zip_write_nothing_anywhere(hand, references, tmp_path):
    files = {
        f"../../../../{tmp_path}/{r.sample_id}.png": png(np.zeros((SIDE, SIDE), np.uint8)) for r in references.values()
    }
    before = sorted(tmp_path.rglob("*.png"))
    hand.submit(zipped(files))
    hand.score()
    assert sorted(tmp_path.rglob("*.png")) == before
