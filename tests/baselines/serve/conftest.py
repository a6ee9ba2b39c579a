import pytest

for _module in ("fastapi", "uvicorn", "python_multipart", "rasterio"):
    pytest.importorskip(_module, reason="the extras serve and geo are not installed")

from baselines.serve.settings import Settings  # noqa: E402
from tests.baselines.serve.fakes import RedModel, answer_whole, running  # noqa: E402


@pytest.fixture
def model():
    made = RedModel()
    yield made
    made.gate.set()


@pytest.fixture
def settings(tmp_path):
    return Settings(checkpoint="fake", upload_mb=2, megapixels=4, queue=3, folder=tmp_path)


@pytest.fixture
def server(model, settings):
    with running(model, settings, answer=answer_whole) as made:
        yield made
