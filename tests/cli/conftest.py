import pytest

from earthreason.synthetic.release import write_release


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder of seven small scenes, in a path with a space."""
    folder = tmp_path_factory.mktemp("few scenes") / "release"
    write_release(folder, {"train": 2, "val": 2, "test": 3}, 5, workers=1, size=(96, 96))
    return folder
