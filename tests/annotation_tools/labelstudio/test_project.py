import json

import numpy as np
import pytest
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.drawing import draw
from annotation_tools.errors import DrawingError
from annotation_tools.labelstudio.client import LabelStudioClient, LabelStudioError
from annotation_tools.labelstudio.collect import collect_drawings
from annotation_tools.labelstudio.config import check_config, label_config
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project
from earthreason.errors import DataFormatError, EarthReasonError

from ..conftest import box
from .conftest import MASK, SIZE, result
from .fake import FakeLabelStudio


def test_tasks_go_out_with_gsd_and_prelabels_and_only_once(client, server, workspace):
    workspace.write_prelabels({"a": draw("a", MASK, "pond", tool="grabcut")})
    assert push_project(client, workspace, LOCAL).added == 4
    assert push_project(client, workspace, LOCAL).added == 0
    task = server.task("a")
    assert task["data"]["facts"] == "30 x 20 pixels, ground resolution unknown"
    (guess,) = task["predictions"]
    assert guess["model_version"] == "grabcut"
    assert [entry["type"] for entry in guess["result"]] == ["brushlabels"]  # the category is for people to say
    assert server.task("b")["predictions"] == []
    assert len(server.projects) == 1


def test_an_interrupted_push_goes_on(client, server, workspace):
    push_project(client, workspace, LOCAL)
    for name in "cd":
        del server.tasks[server.task(name)["id"]]
    assert push_project(client, workspace, LOCAL).added == 2


def test_drawings_come_back_with_who_when_and_how_long(client, server, pushed):
    server.annotate("a", result())
    server.annotate("a", result(np.zeros(SIZE, bool)), user=2)
    found = collect_drawings(client, pushed, LOCAL)
    assert (found.counts["new"], found.undrawn) == (2, 3)
    anna, ben = pushed.drawings()["a"]
    assert np.array_equal(anna.mask, MASK)
    assert (anna.annotator, anna.category, anna.seconds, anna.tool) == (
        "anna@example.org",
        "pond",
        7.0,
        "label-studio 1.23.2",
    )
    assert ben.is_empty


def test_collecting_again_changes_nothing_and_an_edit_is_the_next_version(client, server, pushed):
    server.annotate("a", result())
    collect_drawings(client, pushed, LOCAL)
    assert collect_drawings(client, pushed, LOCAL).counts == {"same": 1}
    note = server.task("a")["annotations"][0]
    note["result"], note["updated_at"] = result(box(SIZE, 1, 1, 9, 9)), "2026-01-02T10:00:00Z"
    assert collect_drawings(client, pushed, LOCAL).counts == {"changed": 1}
    assert pushed.drawings()["a"][0].version == 2


def test_skipped_tasks_are_counted_and_not_taken_as_empty(client, server, pushed):
    server.annotate("a", [], was_cancelled=True)
    assert collect_drawings(client, pushed, LOCAL).skipped == 1
    assert pushed.drawings() == {}


def test_a_server_that_is_down_is_said_to_be_down(server):
    server.down = True
    with pytest.raises(LabelStudioError, match=r"no Label Studio answers at http://ls\.example .*masks start"):
        LabelStudioClient("http://ls.example", "secret", server.transport)


def test_a_server_that_goes_down_loses_nothing(client, server, pushed):
    server.annotate("a", result())
    collect_drawings(client, pushed, LOCAL)
    server.down = True
    with pytest.raises(LabelStudioError, match="no Label Studio answers"):
        collect_drawings(client, pushed, LOCAL)
    assert len(pushed.drawings()["a"]) == 1


@pytest.mark.parametrize("token", ["wrong", "schlüssel", "line\nbreak"])
def test_a_wrong_token_is_said_to_be_wrong(server, token):
    with pytest.raises(LabelStudioError, match="token"):
        LabelStudioClient("http://ls.example", token, server.transport)


@pytest.mark.parametrize("url", ["not a url", "ftp://x", "http://"])
def test_a_url_that_is_none_is_named(url):
    with pytest.raises(LabelStudioError, match="url|Label Studio"):
        LabelStudioClient(url, "secret")


def test_something_else_at_the_url_is_no_label_studio():
    import httpx

    page = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    for token in ("secret", "a.b.c"):
        with pytest.raises(LabelStudioError, match="is it Label Studio"):
            LabelStudioClient("http://x.example", token, page)
    other = httpx.MockTransport(lambda request: httpx.Response(200, json=[]))
    for token in ("secret", "a.b.c"):
        with pytest.raises(LabelStudioError, match="is not Label Studio"):
            LabelStudioClient("http://x.example", token, other)


@pytest.mark.parametrize(
    ("old", "new", "lacks"),
    [
        ('name="brush"', 'name="pinsel"', "<BrushLabels name='brush'>"),
        ('value="no target"', 'value="nothing"', "'no target'"),
        ('name="category"', 'name="klass"', "<Choices name='category'>"),
        ('value="polygon" back', 'value="road" back', "'polygon'"),
        ("<View>", "<View", "cannot be read"),
        ("<View>", '<!DOCTYPE x [<!ENTITY a "b">]><View>', "cannot be read"),
    ],
)
def test_a_configuration_edited_by_hand_is_refused_and_can_be_put_back(client, server, pushed, old, new, lacks):
    server.annotate("a", result())
    (project,) = server.projects.values()
    assert old in project["label_config"]
    project["label_config"] = project["label_config"].replace(old, new)
    for act in (lambda: collect_drawings(client, pushed, LOCAL), lambda: push_project(client, pushed, LOCAL)):
        with pytest.raises(EarthReasonError, match="--restore-config") as caught:
            act()
        assert lacks in str(caught.value)
    push_project(client, pushed, LOCAL, Wishes(restore_config=True))
    assert collect_drawings(client, pushed, LOCAL).counts["new"] == 1


def test_more_categories_are_welcome():
    check_config(label_config(["pond"]).replace("<Choice ", '<Choice value="mill" /><Choice ', 1), "here")


def test_deleted_tasks_are_named_and_what_was_drawn_stays(client, server, pushed):
    server.annotate("a", result())
    collect_drawings(client, pushed, LOCAL)
    server.annotate("b", result())
    del server.tasks[server.task("a")["id"]]
    with pytest.raises(DrawingError, match="1 new and 0 changed drawings were kept") as caught:
        collect_drawings(client, pushed, LOCAL)
    assert "a: deleted on the server; drawings collected earlier are kept" in str(caught.value)
    assert set(pushed.drawings()) == {"a", "b"}
    assert push_project(client, pushed, LOCAL).added == 1


def test_a_deleted_project_is_told_and_what_was_drawn_stays(client, server, pushed):
    server.annotate("a", result())
    collect_drawings(client, pushed, LOCAL)
    server.projects.clear()
    with pytest.raises(
        DrawingError, match="was deleted; drawings collected earlier are kept, `masks start` creates a new"
    ):
        collect_drawings(client, pushed, LOCAL)
    assert set(pushed.drawings()) == {"a"}
    assert push_project(client, pushed, LOCAL).added == 4
    assert set(pushed.drawings()) == {"a"}


def test_pictures_are_uploaded_as_their_pixels_lie(client, server, tmp_path):
    import io

    from PIL import Image

    from annotation_tools.workspace import Workspace

    from ..conftest import import_images

    exif = Image.Exif()
    exif[0x0112] = 6  # browsers would turn it by 90 degrees
    (tmp_path / "turned").mkdir()
    Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "turned" / "t.jpg", exif=exif)
    import_images(tmp_path / "work", str(tmp_path / "turned"))
    push_project(client, Workspace.open(tmp_path / "work"), LOCAL)
    (upload,) = server.uploads.values()
    picture = Image.open(io.BytesIO(upload[upload.index(b"\xff\xd8\xff") :]))
    assert picture.size == (30, 20)
    assert 0x0112 not in picture.getexif()


def broken(**changes):
    made = result()
    made[0] |= changes
    return made


POLYGON = {
    "from_name": "polygon",
    "to_name": "image",
    "type": "polygonlabels",
    "original_width": 30,
    "original_height": 20,
}


def polygon(*points):
    choice = result()[1]
    return [
        POLYGON
        | {"value": {"points": [[x / 30 * 100, y / 20 * 100] for x, y in points], "polygonlabels": ["polygon"]}},
        choice,
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            broken(original_width=60, original_height=40),
            "drawn on an image of 60 x 40 pixels, but the image is 30 x 20",
        ),
        (broken(value={"rle": [0, 0, 0, 8]}), "holds 2 pixels|truncated"),
        (broken(value={"rle": "xyz"}), "not a list of bytes"),
        (broken(value={}), "not a brushlabels value"),
        (broken(type="videorectangle"), "which is not read .* was the project.s configuration edited"),
        (broken(image_rotation=90), "rotated by 90"),
        (polygon((2, 2), (12, 12), (12, 2), (2, 12)), "Self-intersection"),
        (polygon((2, 2), (60, 2), (60, 12)), "outside the image of 30 x 20"),
        (result()[:1] + result(np.zeros(SIZE, bool)), "one of them is wrong"),
        (result()[1:], "says 'pond', but nothing is drawn"),
        ([], "neither regions nor a choice"),
    ],
)
def test_annotations_that_cannot_be_read_are_named_and_the_others_kept(client, server, pushed, bad, message):
    server.annotate("a", bad)
    server.annotate("b", result(), user=2)
    with pytest.raises(DrawingError, match=message) as caught:
        collect_drawings(client, pushed, LOCAL)
    assert "a, annotation" in str(caught.value)
    assert set(pushed.drawings()) == {"b"}


def test_polygons_are_filled_where_they_were_drawn(client, server, pushed):
    server.annotate("a", polygon((4, 3), (20, 3), (20, 9), (4, 9)))
    collect_drawings(client, pushed, LOCAL)
    assert np.array_equal(pushed.drawings()["a"][0].mask, MASK)


def test_a_task_added_by_hand_is_named(client, server, pushed):
    server.tasks[99] = {"id": 99, "project": 1, "data": {"image": "x"}, "annotations": []}
    with pytest.raises(DrawingError, match="task 99 .*not in this workspace"):
        collect_drawings(client, pushed, LOCAL)


def test_the_workspace_knows_which_server_it_is_on(client, pushed):
    with pytest.raises(EarthReasonError, match="has no project on http://other, but on local"):
        collect_drawings(client, pushed, "http://other")


def test_what_was_drawn_on_one_server_is_collected_after_work_went_on_on_another(client, server, pushed):
    team = FakeLabelStudio()
    server.annotate("a", result())
    with LabelStudioClient("http://team.example", "secret", team.transport) as other:
        push_project(other, pushed, "http://team.example", Wishes(["pond"]))
        team.annotate("a", result(box(SIZE, 1, 1, 9, 9)), updated_at="2026-01-02T10:00:00Z")
        assert collect_drawings(client, pushed, LOCAL).counts == {"new": 1}
        for _ in range(2):
            push_project(client, pushed, LOCAL, Wishes(["pond"]))
            assert collect_drawings(other, pushed, "http://team.example").counts.total() == 1
            assert collect_drawings(client, pushed, LOCAL).counts == {"same": 1}
    assert (len(server.projects), len(team.projects)) == (1, 1)
    assert [drawing.version for drawing in pushed.versions()] == [1, 1]
    assert list(pushed.servers()) == ["http://team.example", LOCAL]  # the last used one is the last


def test_collect_asks_the_server_that_is_named_and_tells_of_the_others(client, server, pushed, monkeypatch):
    team = FakeLabelStudio()
    with LabelStudioClient("http://team.example", "secret", team.transport) as other:
        push_project(other, pushed, "http://team.example", Wishes(["pond"]))
        team.annotate("a", result())
        push_project(client, pushed, LOCAL, Wishes(["pond"]))
    module = "annotation_tools.labelstudio.client.LabelStudioClient"
    monkeypatch.setattr(module, lambda url, token: LabelStudioClient(url, token, team.transport))
    words = ["masks", "collect", str(pushed.root), "--url", "http://team.example/", "--token", "secret"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "drawings 1 new" in done.output
    assert "not fetched: local, which also has a project (--url local)" in done.output


def test_a_server_file_of_the_time_of_one_server_is_read(client, server, pushed):
    path, (known,) = pushed.root / "server.json", pushed.servers().values()
    path.write_text(json.dumps({"server": known.name, "url": known.url, "projects": known.projects}))
    push_project(client, pushed, LOCAL)
    assert len(server.projects) == 1
    path.write_text("[]")
    with pytest.raises(DataFormatError, match=r"server\.json: not written by annotation_tools"):
        push_project(client, pushed, LOCAL)


def test_a_queue_is_a_project_of_its_own(client, server, pushed):
    push_project(client, pushed, LOCAL, Wishes(overlap=1), only=["b"])
    assert len(server.projects) == 2
    server.tasks[max(server.tasks)]["annotations"].append(
        {"id": 500, "completed_by": 2, "result": result(), "updated_at": "2026-01-03T10:00:00Z"}
    )
    collect_drawings(client, pushed, LOCAL)
    assert set(pushed.drawings()) == {"b"}
