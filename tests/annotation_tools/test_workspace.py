import subprocess
import sys
from dataclasses import replace

import pytest

from annotation_tools.workspace import DRAWINGS, Workspace
from earthreason.errors import DataFormatError
from earthreason.masks.rle import encode_mask

from .conftest import box, drawn, import_images

SIZE = (20, 30)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_a_line_separator_inside_a_text_is_no_end_of_the_line(workspace, mark):
    text = f"Where{mark}is it?"
    workspace.add_tasks([replace(workspace.tasks["a"], questions=[text])])
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna", category=text)])
    again = Workspace.open(workspace.root)
    assert list(again.tasks) == ["a", "b", "c", "d"]
    assert again.tasks["a"].questions == [text]
    assert again.drawings()["a"][0].category == text


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00Z"),
        ("2026-01-01T10:00:00", "2026-01-01T10:00:00.5Z"),
        ("", "1970-01-01"),
        ("yesterday", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00.900Z", "2026-01-01T10:00:01Z"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00.100000Z"),
    ],
)
def test_the_newest_drawing_is_the_last_by_time_and_not_by_its_letters(workspace, earlier, later):
    first, second = (
        drawn("a", box(SIZE, 1, 1, 5, side), "anna", created=when, key=when)
        for side, when in ((5, later), (6, earlier))
    )
    workspace.add_drawings([first, second])
    (newest,) = workspace.drawings()["a"]
    assert newest.created == later


def test_a_line_cut_off_by_a_crash_is_no_drawing_and_the_next_one_is_whole(workspace):
    path = workspace.root / DRAWINGS
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna"), drawn("b", box(SIZE, 1, 1, 5, 5), "anna")])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first + 1, first + 40, len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert set(workspace.drawings()) == {"a"}
        workspace.add_drawings([drawn("c", box(SIZE, 1, 1, 5, 5), "anna")])
        assert set(workspace.drawings()) == {"a", "c"}
        assert path.read_bytes()[:first] == whole[:first]
    path.write_bytes(whole[:-1])  # complete but for its newline
    workspace.add_drawings([drawn("c", box(SIZE, 1, 1, 5, 5), "anna")])
    assert set(workspace.drawings()) == {"a", "b", "c"}


def test_a_broken_line_before_the_end_is_an_error(workspace):
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna")])
    path = workspace.root / DRAWINGS
    path.write_text(path.read_text()[:40] + "\n" + path.read_text())
    with pytest.raises(DataFormatError, match=r"drawings\.jsonl line 1"):
        workspace.drawings()


def test_an_append_that_fails_leaves_the_file_as_it_was(workspace, monkeypatch):
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna")])
    before = (workspace.root / DRAWINGS).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("annotation_tools.lines.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        workspace.add_drawings([drawn("b", box(SIZE, 1, 1, 5, 5), "anna")])
    assert (workspace.root / DRAWINGS).read_bytes() == before


def test_adding_a_drawing_does_not_rewrite_the_others(workspace):
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna")])
    path = workspace.root / DRAWINGS
    file = path.stat().st_ino
    workspace.add_drawings([drawn("b", box(SIZE, 1, 1, 5, 5), "anna")])
    assert path.stat().st_ino == file


@pytest.mark.parametrize("_attempt", range(5))
def test_a_killed_process_loses_no_drawing_that_it_said_it_has(workspace, _attempt):
    code = (
        "import sys; from pathlib import Path; from tests.annotation_tools.conftest import box, drawn\n"
        "from annotation_tools.workspace import Workspace\n"
        "workspace = Workspace.open(Path(sys.argv[1]))\n"
        "for number in range(100000):\n"
        "    workspace.add_drawings([drawn('a', box((20, 30), 1, 1, 5, 5), f'p{number}')])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], stdout=subprocess.PIPE, text=True)
    for _ in range(3 + 7 * _attempt):
        said = process.stdout.readline()
    process.kill()
    said = ([said, *process.stdout.readlines()])[-1]
    process.wait()
    kept = {drawing.annotator for drawing in workspace.versions()}
    assert kept >= {f"p{number}" for number in range(int(said) + 1)}
    workspace.add_drawings([drawn("b", box(SIZE, 1, 1, 5, 5), "anna")])
    assert len(workspace.versions()) == len(kept) + 1


def test_an_import_removes_what_killed_ones_left(workspace, tmp_path):
    for name in (".import-abc", ".drawings.jsonl.xyz", ".tasks.jsonl.1"):
        (workspace.root / name).mkdir()
        (workspace.root / name / "picture.png").touch()
    (workspace.root / ".mine").mkdir()
    import_images(workspace.root, str(tmp_path / "pictures"))
    assert sorted(path.name for path in workspace.root.iterdir() if path.is_dir()) == [".mine", "images"]


def test_changed_targets_are_a_change_though_their_union_is_the_same(workspace):
    one = box(SIZE, 1, 1, 5, 5)
    whole = drawn("a", one, "anna")
    parts = [encode_mask(box(SIZE, 1, 1, 3, 5)), encode_mask(box(SIZE, 3, 1, 5, 5))]
    assert workspace.add_drawings([whole]) == {"new": 1}
    assert workspace.add_drawings([replace(whole, targets=parts)]) == {"changed": 1}
    assert workspace.add_drawings([replace(whole, targets=parts)]) == {"same": 1}
    assert workspace.drawings()["a"][0].targets == parts


def test_the_pre_annotation_of_each_tool_is_kept_and_the_last_one_shown(workspace):
    for tool, side in (("one", 5), ("two", 6), ("one", 7)):
        workspace.write_prelabels({"a": drawn("a", box(SIZE, 1, 1, 5, side), "", tool=tool)})
    assert [guess.tool for guess in workspace.guesses()["a"]] == ["two", "one"]
    assert workspace.prelabels()["a"].mask.sum() == 4 * 6
    workspace.drop_prelabels(["a"])
    assert workspace.guesses() == {}


def test_an_address_in_two_spellings_is_one_person_whose_latest_mask_counts(workspace):
    early, late = box(SIZE, 2, 2, 9, 9), box(SIZE, 2, 2, 12, 12)
    workspace.add_drawings([drawn("a", early, "Ana@Lab.org", key="file", created="2026-01-01T10:00:00Z")])
    workspace.add_drawings([drawn("a", late, "ana@lab.org", key="page", created="2026-01-02T10:00:00Z")])
    workspace.add_drawings([drawn("a", late, name) for name in ("Ben", "ben")])  # names, not addresses
    assert [d.annotator for d in workspace.drawings()["a"]] == ["Ben", "ana@lab.org", "ben"]
    assert workspace.drawings()["a"][1].segmentation == encode_mask(late)


def test_drawings_of_another_process_are_seen_and_a_list_that_was_given_out_changes_nothing(workspace):
    workspace.add_drawings([drawn("a", box((20, 30), 1, 1, 5, 5), "anna")])
    workspace.drawings()["a"].clear()
    assert [drawing.annotator for drawing in workspace.drawings()["a"]] == ["anna"]
    Workspace.open(workspace.root).add_drawings([drawn("a", box((20, 30), 1, 1, 6, 6), "ben")])
    assert [drawing.annotator for drawing in workspace.drawings()["a"]] == ["anna", "ben"]
