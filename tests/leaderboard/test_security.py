"""Every threat of spec/ecosystem.md section 4.3, one or more tests each."""

import hashlib
import io
import json
import re
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

from leaderboard.models import SignIn, Token
from leaderboard.sandbox import check_archive
from leaderboard.tokens import create_token, form_key, revoke_token
from leaderboard.web.state import COOKIE
from tests.leaderboard.test_server import ROOT, Programs
from tests.leaderboard.toys import (
    METADATA,
    SIDE,
    make_predictions,
)

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'"


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
    assert "unpacks to over 500 times its size" in failure(hand, zipped({"toy_000.png": bytes(3 << 20)}))


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


def test_a_file_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    import os
    import time

    from leaderboard import sandbox

    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    began = time.monotonic()
    assert sandbox._wait_for(child, 0.2) == sandbox.KILLED
    assert time.monotonic() - began < 5


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
        assert len(ours) == 3  # with web and worker
        deadline = time.monotonic() + 20
        while "worker started" not in programs.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [probed(pid) for pid in ours] == [["closed", "closed"]] * 3
        assert probed(sandbox._process.pid)[0] == "open"  # the probe is able to
    finally:
        programs.end()


def test_an_oversized_body_is_refused_with_and_without_its_length(hand, references, settings):
    announced = hand.announce(make_predictions(references)).json()
    path = f"/api/submissions/{announced['id']}/predictions"
    large = bytes(settings.max_upload_bytes + (2 << 20))
    assert hand.client.put(path, content=large, headers=hand.headers()).status_code == 413
    pieces = (large[at : at + (1 << 20)] for at in range(0, len(large), 1 << 20))
    assert hand.client.put(path, content=pieces, headers=hand.headers()).status_code == 413
    assert hand.get(announced["id"]).json()["state"] == "uploading"


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
    announcement = {"split": "toy/open", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
                    "metadata": METADATA, "card": None}  # fmt: skip
    body = json.dumps(announcement).replace('"card": null', f'"card": {{"a": {value}}}')
    headers = {**hand.headers(), "content-type": "application/json"}
    answer = hand.client.post("/api/submissions", content=body, headers=headers)
    assert answer.status_code == 422
    assert "card" in answer.json()["error"]
    cookie = sign_in(hand)
    form = {"key": form_key(cookie.split("=", 1)[1]), "split": "toy/open", "model": "M", "training": "trained"}
    page = hand.client.post("/submit", data={**form, "card": f'{{"a": {value}}}'}, files={"predictions": content},
                            headers={"cookie": cookie})  # fmt: skip
    assert page.status_code == 422
    assert "none of them is JSON" in page.text
    assert hand.client.get("/api/submissions", headers=hand.headers("admin")).json() == []


@pytest.mark.parametrize("field", ["model", "paper", "backbone", "extra_data", "description", "contact"])
def test_half_a_character_is_no_text(hand, references, field):
    content = make_predictions(references)
    announcement = {"split": "toy/open", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
                    "metadata": {**METADATA, field: "\ud800"}}  # fmt: skip
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


# --- paths -----------------------------------------------------------------------------------------------------------


def test_names_inside_a_zip_write_nothing_anywhere(hand, references, tmp_path):
    files = {
        f"../../../../{tmp_path}/{r.sample_id}.png": png(np.zeros((SIDE, SIDE), np.uint8)) for r in references.values()
    }
    before = sorted(tmp_path.rglob("*.png"))
    hand.submit(zipped(files))
    hand.score()
    assert sorted(tmp_path.rglob("*.png")) == before


@pytest.mark.parametrize("path", ["/static/../cli.py", "/static/%2e%2e/cli.py", "/static/..%2fcli.py",
                                  "/static//etc/passwd", "/pictures/../../x/0-truth.jpg"])  # fmt: skip
def test_paths_lead_nowhere_but_to_static_files(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


# --- scripts in texts ------------------------------------------------------------------------------------------------


def test_hostile_text_is_text_on_every_page(hand, references, database):
    team = "<script>alert('team')</script>"
    with database.write() as session:
        hand.tokens["evil"] = create_token(session, team)[1]
    metadata = {
        "model": EVIL[:80], "training": "trained", "backbone": EVIL, "extra_data": EVIL, "description": EVIL,
        "contact": EVIL, "paper": "https://example.org/?q=1&x=%22%3E",
    }  # fmt: skip
    records = json.loads(make_predictions(references))["predictions"]
    for record in records:
        record["answer"] = EVIL
    ids = [
        hand.published(json.dumps({"info": {"model": EVIL, "n": n}, "predictions": records}).encode(), "evil",
                       split="toy/open", metadata=metadata, card={EVIL: EVIL})
        for n in range(2)
    ]  # fmt: skip
    flag = {"reason": EVIL}
    hand.client.put(f"/api/submissions/{ids[0]}/flag", json=flag, headers=hand.headers("admin"))
    cookie = sign_in(hand, "evil")
    for path in ("/?split=toy/open", f"/models/{ids[0]}", f"/compare?ids={ids[0]}&ids={ids[1]}", "/mine", "/submit"):
        page = hand.client.get(path, headers={"cookie": cookie})
        assert page.status_code == 200
        assert not re.search(r"<script(?! src=\"/static/board.js\" defer></script>)", page.text), path
        assert "<img src=x" not in page.text
        assert "49" not in re.findall(r"img&gt;(\d+)", page.text)
    assert "&lt;script&gt;" in hand.client.get(f"/models/{ids[0]}").text


@pytest.mark.parametrize("path", ["/?split=<script>alert(1)</script>", "/?split=toy/test&protocol=<script>",
                                  "/<script>", "/compare?ids=<script>&ids=x"])  # fmt: skip
def test_what_a_request_says_is_not_markup_in_the_answer(client, path):
    assert "<script>" not in client.get(path).text


def test_every_answer_has_the_security_headers_and_no_inline_script(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    for path in ("/", f"/models/{submission_id}", "/scoring", "/published", "/api", "/sign-in", "/nowhere",
                 "/api/splits", "/static/board.css", "/health"):  # fmt: skip
        answer = hand.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script>|\son\w+=|\sstyle=|javascript:", answer.text if "css" not in path else "")


def test_a_fault_of_ours_tells_nothing_and_has_the_headers(client, monkeypatch):
    monkeypatch.setattr("leaderboard.web.pages.published_view", lambda: 1 / 0)
    answer = client.get("/published")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert "content-security-policy" in answer.headers


# --- forms of other sites --------------------------------------------------------------------------------------------


def sign_in(hand, team="alpha"):
    answer = hand.client.post("/sign-in", data={"token": hand.tokens[team]}, follow_redirects=False)
    assert answer.status_code == 303
    hand.client.cookies.clear()
    return answer.headers["set-cookie"].split(";")[0]


def test_the_cookie_is_for_this_site_and_not_for_scripts(hand):
    answer = hand.client.post("/sign-in", data={"token": hand.tokens["alpha"]}, follow_redirects=False)
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in answer.headers["set-cookie"].split(";")}


def test_a_form_without_the_key_of_the_sign_in_changes_nothing(hand, references):
    submission_id = hand.published(make_predictions(references))
    cookie = sign_in(hand)
    for key in ("none", "0" * 64):
        data = {"key": key, "visibility": "withdrawn"}
        assert hand.client.post(f"/mine/{submission_id}", data=data, headers={"cookie": cookie}).status_code == 403
    assert hand.get(submission_id).json()["visibility"] == "public"
    data = {"key": form_key(cookie.split("=", 1)[1]), "visibility": "withdrawn"}
    answer = hand.client.post(f"/mine/{submission_id}", data=data, headers={"cookie": cookie}, follow_redirects=False)
    assert answer.status_code == 303
    assert hand.get(submission_id).json()["visibility"] == "withdrawn"


@pytest.mark.parametrize("header", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_form_of_another_site_is_refused_even_with_the_key(hand, references, header):
    submission_id = hand.published(make_predictions(references))
    cookie = sign_in(hand)
    data = {"key": form_key(cookie.split("=", 1)[1]), "visibility": "withdrawn"}
    answer = hand.client.post(f"/mine/{submission_id}", data=data, headers={"cookie": cookie, **header})
    assert answer.status_code == 403
    answer = hand.client.post("/sign-in", data={"token": hand.tokens["alpha"]}, headers=header)
    assert answer.status_code == 403


def test_a_cookie_opens_no_call_of_the_api(hand):
    assert hand.client.get("/api/submissions", headers={"cookie": sign_in(hand)}).status_code == 401


# --- the database ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE submissions; --", "' OR '1'='1", "x' UNION SELECT sha256 FROM tokens --"]
)
def test_sql_in_a_parameter_is_text(hand, references, text):
    hand.published(make_predictions(references))
    for path in (f"/api/board?split={text}", f"/api/submissions/{text}", f"/?split={text}", f"/models/{text}",
                 f"/api/board?split=toy/test&subset={text}"):  # fmt: skip
        assert hand.client.get(path).status_code in (200, 404, 422)
    assert hand.client.get("/api/submissions", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert len(hand.client.get("/api/board?split=toy/test").json()["rows"]) == 1


def test_no_database_is_asked_for_a_nul_character(hand, references):
    """PostgreSQL refuses to compare with one, which would be a fault of ours."""
    submission_id = hand.published(make_predictions(references), split="toy/open")
    for path in ("/?split=%00", "/?split=toy/%00", "/api/board?split=a%00/b", f"/pictures/{submission_id}/%00.jpg"):
        assert hand.client.get(path).status_code == 404
    assert hand.announce(make_predictions(references, 1), split="toy\0/open").status_code == 404


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_only_the_hash_of_a_token_is_kept(database, board):
    with database.read() as session:
        kept = {token.sha256 for token in session.query(Token)}
    assert kept == {hashlib.sha256(secret.encode()).hexdigest() for secret in board.values()}
    assert all(len(secret) >= 43 for secret in board.values())


def test_guessing_tokens_is_slowed_down(client, board, settings):
    wrong = {"Authorization": "Bearer er_wrong"}
    for _ in range(settings.guesses_per_minute):
        assert client.get("/api/submissions", headers=wrong).status_code == 401
    assert client.get("/api/submissions", headers=wrong).status_code == 429
    assert client.post("/sign-in", data={"token": "er_wrong"}).status_code == 429
    assert client.get("/api/board?split=toy/test").status_code == 200  # readers are not kept out


def test_tokens_are_found_by_hash_and_compared_in_constant_time(database, board, monkeypatch):
    import hmac

    from leaderboard import tokens

    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    with database.read() as session:
        assert tokens.find_caller(session, board["alpha"]).team == "Team Alpha"
        assert tokens.find_caller(session, board["alpha"][:-1]) is None
    digest = hashlib.sha256(board["alpha"].encode()).hexdigest()
    assert compared == [(digest, digest)]  # never the token itself


def test_a_revoked_token_and_its_sign_ins_are_worth_nothing(hand, database):
    cookie = sign_in(hand)
    assert hand.client.get("/mine", headers={"cookie": cookie}, follow_redirects=False).status_code == 200
    with database.write() as session:
        number = session.query(Token).filter_by(scope="submit").order_by(Token.id).first().id
        revoke_token(session, number)
    assert hand.client.get("/api/submissions", headers=hand.headers()).status_code == 401
    assert hand.client.get("/mine", headers={"cookie": cookie}, follow_redirects=False).status_code == 303


def test_a_sign_in_ends(hand, database):
    cookie = sign_in(hand)
    with database.write() as session:
        session.query(SignIn).update({"expires": 1.0})
    assert hand.client.get("/mine", headers={"cookie": cookie}, follow_redirects=False).status_code == 303
    assert cookie.startswith(COOKIE)


def test_an_administrators_token_cannot_submit_and_a_teams_cannot_administrate(hand, references):
    assert hand.announce(make_predictions(references), team="admin").status_code == 403
