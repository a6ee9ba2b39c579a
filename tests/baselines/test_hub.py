"""Checkpoints are pushed to and pulled from a real server on loopback; what does not fit is refused in one line."""

import json
import subprocess
import sys

import pytest
from huggingface_hub import ModelCard

from tests.baselines.tiny import save_tiny
from tests.data.hub_clients import environment
from tests.hub_server import HubServer, git_hash

CLIENT = """
import json, logging, sys
logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
from pathlib import Path
from baselines.exporting.hub import pull_checkpoint, push_checkpoint
from earthreason.errors import EarthReasonError
def attempt(call, *arguments, **more):
    try:
        found = call(*arguments, **more)
        print(json.dumps(found if isinstance(found, str) else vars(found), default=str))
    except EarthReasonError as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
def push(folder, name, **more):
    attempt(push_checkpoint, Path(folder), name, **more)
def pull(name, folder, **more):
    attempt(pull_checkpoint, name, Path(folder), **more)
"""


def client(hub, home, *lines, token="hf_good", **variables):
    """Run calls in one client process; return what each returned or raised."""
    secret = {"HF_TOKEN": token} if token else {}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT + "\n".join(lines)],
        env=environment(hub, home, **secret, **variables),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) if line[:1] in '"{' else line for line in done.stdout.splitlines()]


def newest(hub, name, branch="main"):
    repository = hub.repositories[f"models/{name}"]
    return repository.commits[repository.refs[branch]]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a checkpoint `good` and folders that must not be pushed."""
    home = tmp_path_factory.mktemp("home")
    files = {path.name: path.read_bytes() for path in save_tiny(home / "good").iterdir()}
    faults = {
        "state": {"state.pt": b"PK"},
        "hidden": {".env": b"A=1"},
        "secret": {"run.json": b'{"token": "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"}'},
        "picture": {"a.png": b"PNG"},
        "front": {"README.md": b"---\ntags: [a\n---\n# a\n"},
        "other": {"config.json": b'{"model_type": "bert"}'},
    }
    for name, extra in faults.items():
        (home / name).mkdir()
        for file, content in {**files, **extra}.items():
            (home / name / file).write_bytes(content)
    (home / "bare").mkdir()
    (home / "bare" / "config.json").write_bytes(files["config.json"])
    sizes = {"model.onnx": {"bytes": 5}, "tokenizer.json": {"bytes": 2}}
    facts = {"model": "lisa", "format": "onnx", "file": "model.onnx", "files": sizes}
    facts |= {"task": "reasoning", "no_target_threshold": 0.5, "canvas_side": 128, "channels": 3, "prompt": {}}
    export = {
        "export.json": json.dumps(facts).encode(),
        "model.onnx": b"graph",
        "tokenizer.json": b"{}",
        "README.md": b"---\nlicense: mit\n---\n# FOLDER\n",
    }
    for folder, changes in {"exported": {}, "half": {"model.onnx": None}, "cut": {"model.onnx": b"gra"}}.items():
        (home / folder).mkdir()
        for file, content in {**export, **changes}.items():
            if content is not None:
                (home / folder / file).write_bytes(content)
    (home / "run" / "final").mkdir(parents=True)
    (home / "run" / "final" / "config.json").write_bytes(files["config.json"])
    return home


@pytest.fixture(scope="module")
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture(scope="module")
def pushed(hub, home):
    """What a push, a second one with other weights to a branch, and pulls of both say."""
    (home / "second").mkdir()
    for path in (home / "good").iterdir():
        (home / "second" / path.name.replace("model.s", "model-00001-of-00001.s")).write_bytes(path.read_bytes())
    (home / "second" / "README.md").write_text("---\nlicense: mit\n---\n# mine\n\n--checkpoint FOLDER\n")
    said = client(
        hub,
        home,
        "push('good', 'user/mine')",
        "push('second', 'user/mine', revision='next', message='Cut in shards')",
        "pull('user/mine', 'first-back')",
        "pull('user/mine', 'next-back', revision='next')",
        "pull('user/mine', 'good')",
        "push('exported', 'user/graph', private=True)",
        "pull('user/graph', 'graph-back')",
    )
    return [line for line in said if "no README.md" not in line]


def test_the_files_of_a_checkpoint_arrive_with_a_card(hub, home, pushed):
    assert pushed[0].startswith(f"{hub.url}/user/mine/commit/")
    files = newest(hub, "user/mine")
    for path in (home / "good").iterdir():
        assert files[path.name] == path.read_bytes()
    assert set(files) == {".gitattributes", "README.md", *(path.name for path in (home / "good").iterdir())}
    card = ModelCard(files["README.md"].decode())
    assert (card.data.library_name, card.data.pipeline_tag) == ("earthreason", "image-segmentation")
    assert "--checkpoint user/mine" in card.text


def test_another_branch_gets_its_own_files_and_loses_the_weights_of_before(hub, pushed):
    files = newest(hub, "user/mine", "next")
    assert "model.safetensors" not in files
    assert "model-00001-of-00001.safetensors" in files
    assert files["README.md"].decode().endswith("# mine\n\n--checkpoint user/mine\n")
    assert "model.safetensors" in newest(hub, "user/mine")


def test_a_pull_has_the_bytes_of_the_push_and_no_notes_of_the_client(hub, home, pushed):
    for folder, branch, said in (("first-back", "main", pushed[2]), ("next-back", "next", pushed[3])):
        files = {name: content for name, content in newest(hub, "user/mine", branch).items() if name[0] != "."}
        assert {path.name: path.read_bytes() for path in (home / folder).iterdir()} == files
        assert said["model"] == "segearth_r1"
        assert said["commit"] == hub.repositories["models/user/mine"].refs[branch]
    assert "already exists and is not an empty folder" in pushed[4]


def test_an_exported_model_goes_there_and_back(home, pushed):
    assert (pushed[6]["model"], pushed[6]["is_export"]) == ("lisa", True)
    for path in (home / "exported").iterdir():
        assert (home / "graph-back" / path.name).read_bytes() == path.read_bytes()


REFUSED = {
    "push('state', 'user/a')": "state/state.pt: is a state of training to resume from",
    "push('hidden', 'user/a')": "hidden/.env: is a hidden file, which may hold secrets",
    "push('secret', 'user/a')": "secret/run.json has what looks like a secret (hf_abc...)",
    "push('picture', 'user/a')": "picture/a.png: is no file of a checkpoint",
    "push('front', 'user/a')": "front/README.md: its front matter is broken",
    "push('other', 'user/a')": "other holds a bert model; models here are segearth_r1",
    "push('bare', 'user/a')": "bare has no weights (model*.safetensors)",
    "push('run', 'user/a')": "run is the folder of a run; push the model in it: run/final",
    "push('half', 'user/a')": "half/model.onnx is missing, which export.json names",
    "push('cut', 'user/a')": "cut/model.onnx has 3 bytes instead of 5",
    "pull('user/half', 'x')": "user/half holds half an export: model.onnx, which export.json names, is missing",
    "push('absent/folder', 'user/a')": "there is no folder absent/folder",
    "push('good', 'user/a b')": "'user/a b' is not the id of a repository; write OWNER/NAME",
    "push('good', 'alone')": "'alone' is not the id of a repository; write OWNER/NAME",
    "push('good', 'user/lisa')": "user/lisa holds a lisa model, not segearth_r1; push to another repository",
    "push('good', 'user/exported')": "user/exported holds an exported model; push to a repository",
    "push('exported', 'user/lisa')": "user/lisa holds a checkpoint; push to a repository",
    "push('good', 'other/theirs')": "other/theirs was not pushed: your token has no right to do this (403)",
    "push('good', 'other/new')": "other/new was not pushed: your token has no right to do this (403)",
    "pull('user/absent', 'x')": "user/absent was not pulled: there is no such repository, or it is private (404)",
    "pull('user/lisa', 'x', revision='no-such')": "there is no revision 'no-such' in it; {url}/user/lisa/commits/main",
    "pull('user/bert', 'x')": "user/bert holds a bert model",
    "pull('user/empty', 'x')": "user/empty has no config.json, so it holds no checkpoint of this package",
    "pull('user/damaged', 'x')": "model.safetensors of user/damaged is not what the Hub states, even after a second",
    "pull('user/failing', 'x')": "user/failing was not pulled: the Hub fails at the moment (503)",
}


@pytest.fixture(scope="module")
def refusals(home):
    with HubServer() as hub:
        lisa = {"config.json": b'{"model_type": "earthreason_lisa"}'}
        hub.publish("models/user/lisa", lisa)
        hub.publish("models/other/theirs", {"README.md": b"#"})
        hub.publish("models/user/exported", {"export.json": b'{"model": "lisa"}', "model.onnx": b"1"})
        hub.publish("models/user/half", {"export.json": (home / "half" / "export.json").read_bytes()})
        hub.publish("models/user/bert", {"config.json": b'{"model_type": "bert"}'})
        hub.publish("models/user/empty", {"README.md": b"#"})
        hub.publish("models/user/damaged", {**lisa, "model.safetensors": b"12345678"})
        hub.fail("/api/models/user/failing", status=503, times=99)
        hub.fail("GET /cdn/", change=lambda content: content[::-1], times=99)
        lines = [line for line in client(hub, home, *REFUSED) if "no README.md" not in line]
        return dict(zip(REFUSED, lines, strict=True)), hub.url, hub


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_pushed_or_pulled_is_refused_in_one_line(refusals, case):
    answers, url, _ = refusals
    assert REFUSED[case].format(url=url) in answers[case]
    assert "\n" not in answers[case]


def test_a_refusal_leaves_no_folder_and_no_repository(refusals, home):
    _, _, hub = refusals
    assert not [path.name for path in home.iterdir() if path.name == "x" or path.name.startswith(".x")]
    assert "models/user/a" not in hub.repositories
    assert list(newest(hub, "user/lisa")) == ["config.json"]


def test_without_a_token_or_the_network_nothing_is_asked_of_the_hub(hub, home):
    before = len(hub.requests)
    (said,) = client(hub, home, "push('second', 'user/x')", token=None)
    assert "push needs a token of the Hub; log in with `hf auth login` or set HF_TOKEN" in said
    (said,) = client(hub, home, "push('second', 'user/x')", HF_HUB_OFFLINE="1")
    assert "push needs the network, which HF_HUB_OFFLINE forbids" in said
    assert len(hub.requests) == before


def test_a_wrong_token_is_told(hub, home):
    (said,) = client(hub, home, "push('second', 'user/x')", token="hf_bad")
    assert "user/x was not pushed: the Hub does not accept your token (401)" in said


def test_the_hash_of_small_files_is_that_of_git(tmp_path):
    """The loopback Hub states what `git hash-object` prints; the pull compares with it."""
    (tmp_path / "a").write_bytes(b"one\n")
    found = subprocess.run(["git", "hash-object", "a"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert git_hash(b"one\n") == found.stdout.strip()
