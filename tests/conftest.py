"""Shared fixtures: one cache for the whole run, tiny real files, the golden results where they are."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from tests.data.golden_metrics.select_pairs import STORED, read_shared

# Before `datasets` is imported: the sample configuration is made once per run, and nothing is left in the home folder.
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="earthreason-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("EARTHREASON_DATA", None)

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("EARTHREASON_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session", params=["stored", "shared"])
def golden_pairs(request: pytest.FixtureRequest) -> dict:
    """Pairs of masks with the results of the reference evaluator: 60 stored beside the tests, 120 in ../shared."""
    if request.param == "stored":
        return json.loads(STORED.read_text())
    folder = SHARED / "goldens" / "metrics"
    if not folder.is_dir():
        pytest.skip("../shared/goldens is not here")
    return read_shared(folder)


@pytest.fixture(scope="session")
def gpu() -> str:
    """A device for the tests marked `gpu`: the card, or the CPU where the GPU kit rehearses."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        return "cuda"
    if os.environ.get("EARTHREASON_GPU_KIT") != "cpu":
        pytest.skip("no CUDA device")
    return "cpu"


@pytest.fixture(scope="module")  # while it lives an event loop runs here, and other modules start their own
def chromium():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium; `apt-get install chromium` puts it there")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def write_sample(folder: Path, stem: str, *, empty: bool = False, size: tuple[int, int] = (24, 32)) -> None:
    """One sample of a release: `size` is height and width."""
    rng = np.random.default_rng(len(stem) + size[0])
    for part in ("images", "labels", "QAs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images" / f"{stem}.jpg")
    mask = np.zeros(size, np.uint8)
    if not empty:
        mask[4:10, 5:15] = 255
    Image.fromarray(mask).save(folder / "labels" / f"{stem}.png")
    answers = [] if empty else ["There."]
    qa = {"sample_id": stem, "questions": [f"Where would {stem} be?", "And where else?"], "answer": answers}
    (folder / "QAs" / f"{stem}.json").write_text(json.dumps(qa))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release of three training, one validation and two test samples."""
    root = tmp_path / "release"
    for split, stems in {"train": ("a", "b", "c"), "val": ("d",), "test": ("e", "f")}.items():
        for stem in stems:
            write_sample(root / split, stem, empty=stem == "f")
    return root


class Bomb:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)
