"""A folder of `export --format hub` goes to the Hub as it is, and plain `datasets` loads it without our code."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from earthreason import evaluate, load_dataset
from earthreason.cli.main import app
from earthreason.data.exports import export
from earthreason.errors import DataFormatError
from tests.data.hub_clients import environment, run_client
from tests.data.memory import Memory, box, several
from tests.hub_server import HubServer

UPLOAD = """
import sys
from huggingface_hub import create_repo, upload_folder
create_repo("user/mine", repo_type="dataset")
upload_folder(repo_id="user/mine", repo_type="dataset", folder_path="out")
assert "earthreason" not in sys.modules
"""
LOAD = """
import json, sys, datasets, numpy as np
loaded = datasets.load_dataset("user/mine", **OPTIONS)
assert "earthreason" not in sys.modules
print(json.dumps({
    split: [
        {
            "id": row["sample_id"],
            "image": np.asarray(row["image"]).tolist(),
            "mask": np.asarray(row["mask"]).tolist(),
            "questions": list(row["questions"]),
        }
        for row in rows
    ]
    for split, rows in loaded.items()
}))
"""
HEIGHT, WIDTH = 3, 4
OTHER_PYTHON = os.environ.get("EARTHREASON_DATASETS3", "")


def png(rows, channels):
    """Write a PNG of bytes with zlib alone: 8 bits, grey or RGB, no filter."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", len(rows[0]) // channels, len(rows), 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


PIXELS = [[(17 * row + 5 * column) % 256 for column in range(3 * WIDTH)] for row in range(HEIGHT)]
LABEL = [[0, 255, 255, 0], [0, 0, 255, 0], [0, 0, 0, 0]]


def by_channel(row):
    return [row[start : start + 3] for start in range(0, 3 * WIDTH, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A release with pixels that are known without a decoder, exported by the command."""
    root = tmp_path_factory.mktemp("hub")
    for split in ("train", "val", "test"):
        for part in ("images", "labels", "QAs"):
            (root / "release" / split / part).mkdir(parents=True)
        for stem in ("a", "b"):
            name = f"{split}_{stem}"
            label = LABEL if stem == "a" else [[0] * WIDTH] * HEIGHT
            (root / "release" / split / "images" / f"{name}.png").write_bytes(png(PIXELS, 3))
            (root / "release" / split / "labels" / f"{name}.png").write_bytes(png(label, 1))
            texts = {"sample_id": name, "questions": [f"Where is {name}?"], "answer": ["There."] if stem == "a" else []}
            (root / "release" / split / "QAs" / f"{name}.json").write_text(json.dumps(texts))
    arguments = ["export", str(root / "release"), "--format", "hub", "--out", str(root / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return root


def expected(split):
    answers = {"a": LABEL, "b": [[0] * WIDTH] * HEIGHT}
    return [
        {
            "id": f"{split}_{stem}",
            "image": [by_channel(row) for row in PIXELS],
            "mask": label,
            "questions": [f"Where is {split}_{stem}?"],
        }
        for stem, label in answers.items()
    ]


ROWS = {"train": expected("train"), "validation": expected("val"), "test": expected("test")}


@pytest.fixture(scope="module")
def hub(folder):
    """A Hub to which a process without our code has uploaded the folder."""
    with HubServer() as server:
        run_client(server, folder, UPLOAD, PYTHONPATH="", HF_TOKEN="hf_good")
        yield server


@pytest.mark.parametrize("options", ["{}", "{'streaming': True}"])
def test_plain_datasets_gives_the_pixels_of_the_source(hub, folder, options):
    assert json.loads(run_client(hub, folder, LOAD.replace("OPTIONS", options), PYTHONPATH="")) == ROWS


@pytest.mark.skipif(not OTHER_PYTHON, reason="EARTHREASON_DATASETS3 names no Python with datasets 3")
def test_datasets_3_gives_the_same(hub, folder, tmp_path):
    line = [OTHER_PYTHON, "-c", LOAD.replace("OPTIONS", "{}")]
    variables = environment(hub, tmp_path, PYTHONPATH="")
    done = subprocess.run(line, env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ROWS


def test_the_card_alone_tells_splits_and_types(hub, folder):
    code = """
import datasets, json
builder = datasets.load_dataset_builder("user/mine")
kinds = {name: type(kind).__name__ for name, kind in builder.info.features.items()}
counts = {name: split.num_examples for name, split in builder.info.splits.items()}
print(json.dumps([datasets.get_dataset_split_names("user/mine"), counts, kinds]))
"""
    hub.requests.clear()
    names, counts, kinds = json.loads(run_client(hub, folder, code, PYTHONPATH=""))
    assert names == ["train", "validation", "test"]
    assert counts == {"train": 2, "validation": 2, "test": 2}
    pictures = {name for name, kind in kinds.items() if kind == "Image"}
    assert pictures == {"image", "mask", "ignore"}
    assert not hub.asked(r"GET /cdn/")  # no table was read


def test_a_repository_that_lacks_rows_is_refused_by_datasets(folder, tmp_path):
    import pyarrow.parquet as pq
    from datasets import load_dataset as plain
    from datasets.utils.info_utils import NonMatchingSplitsSizesError

    shutil.copytree(folder / "out", tmp_path / "mine")
    (path,) = (tmp_path / "mine" / "data").glob("train-*")
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(NonMatchingSplitsSizesError):
        plain(str(tmp_path / "mine"), cache_dir=str(tmp_path / "cache"))


def test_rows_of_plain_datasets_are_scored_like_ours(folder, tmp_path):
    from datasets import load_dataset as plain

    theirs = plain(str(folder / "out"), split="test", cache_dir=str(tmp_path / "cache"))
    ours = load_dataset("earthreason", data_dir=folder / "release", split="test")
    answers = {row["sample_id"]: _upper_half(row) for row in ours}
    scores = [dict(evaluate(answers, rows, resamples=0)) for rows in (theirs, ours)]
    assert scores[0] == scores[1]


def _upper_half(row):
    mask = np.zeros((row["height"], row["width"]), bool)
    mask[: row["height"] // 2] = True
    return mask


def test_targets_and_ignored_pixels_travel(tmp_path):
    from datasets import load_dataset as plain

    export(Memory(several()), "hub", tmp_path / "out")
    rows = plain(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert [target.size for target in rows[1]["targets"]] == [(30, 20)] * 2
    assert rows[0]["ignore"] is None
    assert np.array_equal(np.asarray(rows[1]["ignore"]) == 255, box(16, 0, 20, 9))
    first, second = (np.asarray(target) == 255 for target in rows[1]["targets"])
    assert np.array_equal(first, box(5, 10, 15, 25))
    assert np.array_equal(second, box(2, 3, 7, 13))
    assert np.array_equal(np.asarray(rows[1]["mask"]) == 255, first | second)


def test_a_set_without_samples_is_refused_and_one_without_a_split_is_not(tmp_path):
    with pytest.raises(DataFormatError, match="^memory has no samples"):
        export(Memory({"train": [], "test": []}), "hub", tmp_path / "out")
    assert not list(tmp_path.iterdir())
    assert export(Memory({"train": several()["train"], "test": []}), "hub", tmp_path / "out")["test"] == 0


def test_the_example_in_the_card_runs(folder, tmp_path):
    card = (folder / "out" / "README.md").read_text()
    code = card.split("```py\n")[1].split("```")[0].replace("OWNER/NAME", str(folder / "out"), 1)
    line = [sys.executable, "-c", code + "print(rows.num_rows)"]
    variables = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ""}
    done = subprocess.run(line, env=variables, cwd=Path("/"), capture_output=True, text=True)
    assert done.stdout.strip() == "2", done.stderr
