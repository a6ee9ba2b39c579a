from pathlib import Path

import pytest

from earthreason.geo.replacing import replace_together

PARTS = (".dbf", ".prj", ".shp")


def write_parts(path: Path, text: str) -> None:
    for suffix in PARTS:
        path.with_suffix(suffix).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_parts_take_the_place_of_the_old_and_stale_files_go(tmp_path):
    write_parts(tmp_path / "a.shp", "old")
    (tmp_path / "a.qix").write_text("old")
    with replace_together(tmp_path / "a.shp", PARTS, (".qix",)) as temporary:
        temporary.write_text("new")
        assert len(contents(tmp_path / temporary.parent)) == 1
    assert contents(tmp_path) == {"a.shp": "new"}


def test_the_old_parts_come_back_if_one_cannot_be_placed(tmp_path, monkeypatch):
    write_parts(tmp_path / "a.shp", "old")
    before = contents(tmp_path)
    replace = Path.replace

    def refuse_last(self: Path, target: Path) -> Path:
        if self.parent.name == "new" and self.suffix == ".shp":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse_last)
    with pytest.raises(OSError, match="No space"), replace_together(tmp_path / "a.shp", PARTS) as temporary:
        write_parts(temporary, "new")
    assert contents(tmp_path) == before


def test_an_error_while_writing_leaves_the_old_parts(tmp_path):
    write_parts(tmp_path / "a.shp", "old")
    before = contents(tmp_path)
    with pytest.raises(ZeroDivisionError), replace_together(tmp_path / "a.shp", PARTS) as temporary:
        write_parts(temporary, "new")
        raise ZeroDivisionError
    assert contents(tmp_path) == before
