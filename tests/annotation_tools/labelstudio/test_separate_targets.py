"""Several targets an image in a real Label Studio: two people, running projects, and what only the server can show."""

from dataclasses import replace

import numpy as np
import pytest

from annotation_tools.drawing import draw
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.collect import collect_drawings
from annotation_tools.labelstudio.project import Wishes, push_project
from annotation_tools.workspace import Workspace
from earthreason.masks.rle import encode_mask

from ..conftest import annotate, box, import_images, join, write_picture

pytestmark = pytest.mark.labelstudio
SIZE = (40, 60)
BOATS = [box(SIZE, 2, 2, 8, 9), box(SIZE, 5, 7, 12, 20), box(SIZE, 30, 40, 31, 41)]
"""The first two overlap, the third is a pixel."""


@pytest.fixture
def several(tmp_path):
    """Two pictures: `a` with its water, its roofs and its separate boats, `b` with one task."""
    for name in "ab":
        write_picture(tmp_path / "in" / f"{name}.png", *SIZE, seed=ord(name))
    import_images(tmp_path / "work", str(tmp_path / "in"))
    workspace = Workspace.open(tmp_path / "work")
    model = workspace.tasks["a"]
    workspace.add_tasks(
        [
            replace(model, target="water", questions=["Where could one swim?"]),
            replace(model, task="a__roof", target="roofs", category="roof"),
            replace(model, task="a__boat", target="boats", category="boat", separate=True),
        ]
    )
    return workspace


@pytest.fixture
def owner(label_studio):
    with LabelStudioClient(label_studio.url, label_studio.login.token) as client:
        yield client


def targets_of(masks, task, category):
    return replace(draw(task, np.any(masks, axis=0), category), targets=[encode_mask(mask) for mask in masks])


def tasks_of(client, project):
    return {entry["data"]["task"]: entry for entry in client.tasks(project)}


def test_two_people_draw_several_targets_an_image_and_every_one_comes_back_exact(label_studio, owner, several):
    server = label_studio.url
    several.write_prelabels({"a__boat": replace(targets_of(BOATS, "a__boat", "boat"), tool="sam")})
    pushed = push_project(owner, several, server)
    assert pushed.added == 4
    there = tasks_of(owner, pushed.project)
    assert len({entry["data"]["image"] for entry in there.values()}) == 2  # one upload a picture
    assert there["a"]["data"]["asked"] == "Mark: water. Where could one swim?"
    assert there["a__boat"]["data"]["asked"] == "Mark: boats. Draw every target as a region of its own."
    (guess,) = there["a__boat"]["predictions"]
    assert len(guess["result"]) == 3

    ben = join(label_studio, "ben-of-targets@example.org")
    drawn = {
        "a": draw("a", box(SIZE, 0, 0, 20, 30), "roof"),
        "a__roof": draw("a__roof", np.zeros(SIZE, bool)),
        "b": draw("b", box(SIZE, 3, 3, 9, 9), "boat"),
    }
    for who, boats in ((owner, BOATS), (ben, BOATS[:2])):
        for drawing in (*drawn.values(), targets_of(boats, "a__boat", "boat")):
            annotate(who, there[drawing.task]["id"], drawing, 12.0)
    # A pre-annotation that is accepted as it is comes back as its targets, too.
    cleo = join(label_studio, "cleo-of-targets@example.org")
    choice = {"from_name": "category", "to_name": "image", "type": "choices", "value": {"choices": ["boat"]}}
    body = {"result": [*guess["result"], choice], "lead_time": 3.0}
    cleo.call("POST", f"/api/tasks/{there['a__boat']['id']}/annotations/", json=body)

    assert collect_drawings(owner, several, server).counts == {"new": 9}
    found = several.drawings()
    for name, drawing in drawn.items():
        assert len(found[name]) == 2
        for back in found[name]:
            assert (back.segmentation, back.category, back.targets) == (drawing.segmentation, drawing.category, None)
    by = {back.annotator: back.targets for back in found["a__boat"]}
    whole = [encode_mask(mask) for mask in BOATS]
    assert by == {
        label_studio.login.email: whole,
        "ben-of-targets@example.org": whole[:2],
        "cleo-of-targets@example.org": whole,
    }
    assert collect_drawings(owner, several, server).counts == {"same": 9}


def test_a_running_project_takes_over_what_has_changed(label_studio, owner, several):
    server = label_studio.url
    several.write_prelabels({"a": draw("a", BOATS[0], tool="one"), "b": draw("b", BOATS[0], tool="one")})
    project = push_project(owner, several, server, Wishes(["roof", "boat", "mill"])).project
    there = tasks_of(owner, project)
    annotate(owner, there["b"]["id"], draw("b", BOATS[1], "mill"), 5.0)

    several.write_prelabels({"a": draw("a", BOATS[1], tool="two"), "b": draw("b", BOATS[1], tool="two")})
    several.add_tasks([replace(several.tasks["a"], target="open water")])
    again = push_project(owner, several, server, Wishes(["roof", "pier"], overlap=3))
    assert again.added == 0
    assert again.changes == [
        "category added: pier",
        "category removed: boat",
        "category kept, because someone chose it: mill",
        "people for each task: 3, before 2",
        "expected by tasks, but not in --category, so nobody can choose: boat",
        "texts changed: 1 task",
        "pre-annotations replaced: 1 task",
        "pre-annotations not replaced, because someone has begun to draw: 1 task",
    ]
    settings = owner.project(project)
    assert settings["maximum_annotations"] == 3
    offered = [part.split('"')[0] for part in settings["label_config"].split('<Choice value="')[1:]]
    assert offered == ["roof", "pier", "mill", "no target"]
    there = tasks_of(owner, project)
    assert there["a"]["data"]["asked"].startswith("Mark: open water.")
    assert [guess["model_version"] for guess in there["a"]["predictions"]] == ["two"]
    assert [guess["model_version"] for guess in there["b"]["predictions"]] == ["one"]
    assert {entry["overlap"] for entry in there.values()} == {3}
    quiet = push_project(owner, several, server)
    assert quiet.changes == ["category added: boat", again.changes[-1]]
    assert push_project(owner, several, server).changes == [again.changes[-1]]
    assert collect_drawings(owner, several, server).counts == {"new": 1}


def test_who_saved_last_is_credited_and_a_deleted_annotation_can_be_withdrawn(label_studio, owner, several):
    server = label_studio.url
    project = push_project(owner, several, server, Wishes(["boat"])).project
    there = tasks_of(owner, project)
    ben = join(label_studio, "ben-who-corrects@example.org")
    annotate(owner, there["b"]["id"], draw("b", BOATS[0], "boat"), 5.0)
    collect_drawings(owner, several, server)
    (note,) = tasks_of(owner, project)["b"]["annotations"]
    from annotation_tools.formats.labelstudio import results_of_drawing

    corrected = draw("b", BOATS[1], "boat")
    ben.call("PATCH", f"/api/annotations/{note['id']}/", json={"result": results_of_drawing(corrected)})
    assert collect_drawings(owner, several, server).counts == {"changed": 1}
    (drawing,) = several.drawings()["b"]
    assert (drawing.annotator, drawing.segmentation) == ("ben-who-corrects@example.org", corrected.segmentation)

    annotate(owner, there["b"]["id"], draw("b", BOATS[0], "boat"), 5.0)
    annotate(owner, there["b"]["id"], draw("b", BOATS[2], "boat"), 5.0)
    assert collect_drawings(owner, several, server).superseded == 1
    owner.call("DELETE", f"/api/annotations/{note['id']}/")
    found = collect_drawings(owner, several, server)
    assert found.gone == [f"b, annotation {note['id']} on {server} by ben-who-corrects@example.org"]
    assert len(several.drawings()["b"]) == 2
    assert collect_drawings(owner, several, server, withdraw=True).withdrawn == 1
    assert [drawing.annotator for drawing in several.drawings()["b"]] == [label_studio.login.email]
    assert collect_drawings(owner, several, server).gone == []


def test_people_get_the_tasks_first_on_which_models_disagree(label_studio, owner, several):
    certain, doubtful = draw("a", BOATS[0]), draw("b", BOATS[0])
    for tool, of_b in (("one", doubtful), ("two", draw("b", BOATS[1]))):
        several.write_prelabels({"a": replace(certain, tool=tool), "b": replace(of_b, tool=tool)})
    project = push_project(owner, several, label_studio.url, Wishes(["boat"], uncertain_first=True)).project
    assert list(tasks_of(owner, project)) == ["b", "a", "a__roof", "a__boat"]
    anna = join(label_studio, "anna-of-the-order@example.org")
    order = []
    for _ in range(4):
        entry = anna.call("GET", f"/api/projects/{project}/next")
        order.append(entry["data"]["task"])
        annotate(anna, entry["id"], draw(order[-1], BOATS[0], "boat"), 1.0)
    assert order == ["b", "a", "a__roof", "a__boat"]


def test_nobody_else_can_read_the_data_of_a_local_server(label_studio, label_studio_folder):
    paths = [label_studio_folder, *label_studio_folder.rglob("*")]
    assert any(path.suffix == ".sqlite3" for path in paths)
    pictures = label_studio_folder / "media" / "upload"  # Django gives these 0644, inside folders of 0700
    open_to_others = [path for path in paths if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert [path for path in open_to_others if path.is_dir() or pictures not in path.parents] == []
