"""Uploads, order, and what `start` says about a project that is there already; a real server shows the rest."""

import threading
from dataclasses import replace

import httpx
import pytest
from typer.testing import CliRunner

from annotation_tools.assignments import assign
from annotation_tools.cli import app
from annotation_tools.drawing import draw
from annotation_tools.formats.labelstudio import results_of_drawing
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.config import categories_of, check_config, label_config, with_categories
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project
from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.quality.offered import offered_categories
from annotation_tools.rulings import Return, add_returns, now
from earthreason.errors import EarthReasonError

from ..conftest import box, drawn
from .conftest import MASK, OTHER, SIZE
from .fake import FakeLabelStudio


def test_pictures_are_uploaded_at_the_same_time_and_tasks_keep_their_order(workspace):
    server, together = FakeLabelStudio(), threading.Barrier(4, timeout=20)

    def answer(request):
        if "multipart" in request.headers.get("Content-Type", ""):
            together.wait()  # passes only if four uploads wait here
        return server.answer(request)

    with LabelStudioClient("http://ls.example", "secret", httpx.MockTransport(answer)) as client:
        push_project(client, workspace, LOCAL)
    assert [task["data"]["task"] for task in server.tasks.values()] == list("abcd")
    for task in server.tasks.values():
        upload = server.uploads[int(task["data"]["image"].split("/")[-1].removesuffix(".png"))]
        assert workspace.picture(task["data"]["task"]).read_bytes() in upload


def test_a_picture_on_the_server_is_not_uploaded_again_for_another_target(client, server, workspace):
    push_project(client, workspace, LOCAL)
    workspace.add_tasks([replace(workspace.tasks["a"], task="a__mill", target="mill")])
    assert push_project(client, workspace, LOCAL).added == 1
    assert len(server.uploads) == 4
    assert server.task("a__mill")["data"]["image"] == server.task("a")["data"]["image"]


@pytest.mark.parametrize("there", [0, 3, 4])
def test_progress_adds_up_to_the_tasks_shown(client, server, workspace, there):
    push_project(client, workspace, LOCAL)
    for name in list("abcd")[there:]:
        del server.tasks[server.task(name)["id"]]
    steps = []
    push_project(client, workspace, LOCAL, progress=steps.append)
    assert sum(steps) == 4


def test_a_prediction_of_the_servers_own_model_is_left_alone(client, server, workspace):
    push_project(client, workspace, LOCAL)
    theirs = {"id": 900, "model_version": "backend", "result": [{"id": "Xy12", "type": "brushlabels"}]}
    server.task("a")["predictions"] = [theirs]
    workspace.write_prelabels({"a": draw("a", MASK, tool="one")})
    push_project(client, workspace, LOCAL)
    assert [guess["model_version"] for guess in server.task("a")["predictions"]] == ["backend", "one"]


def test_a_withdrawn_pre_annotation_leaves_the_server(client, server, workspace):
    workspace.write_prelabels({"a": draw("a", MASK, tool="one")})
    push_project(client, workspace, LOCAL)
    workspace.write_prelabels({})
    assert push_project(client, workspace, LOCAL).changes == ["pre-annotations replaced: 1 task"]
    assert server.task("a")["predictions"] == []


def test_other_edits_of_the_configuration_stay_when_categories_change():
    edited = label_config(["pond", "mill"]).replace('zoom="true"', 'zoom="true" negativeZoom="true"')
    changed = with_categories(edited, ["mill", "pier"])
    check_config(changed, "here")
    assert categories_of(changed) == ["mill", "pier"]
    assert 'negativeZoom="true"' in changed


def test_doubtful_tasks_come_first_and_unknown_ones_last(client, server, workspace):
    both = {"a": MASK, "b": MASK, "c": MASK}
    workspace.write_prelabels({name: draw(name, mask, tool="one") for name, mask in both.items()})
    half = box(SIZE, 3, 4, 9, 12)  # 48 of the 96 pixels
    second = {"a": MASK, "b": OTHER, "c": half}
    workspace.write_prelabels({name: draw(name, mask, tool="two") for name, mask in second.items()})
    push_project(client, workspace, LOCAL, Wishes(uncertain_first=True))
    assert [task["data"]["task"] for task in server.tasks.values()] == ["b", "c", "a", "d"]
    assert [guess["score"] for guess in server.task("c")["predictions"]] == [0.5]
    (said,) = push_project(client, workspace, LOCAL, Wishes(uncertain_first=True)).changes
    assert said.startswith("order not changed: 4 tasks are there already")


def test_without_two_models_there_is_no_doubt_to_order_by(client, server, workspace):
    workspace.write_prelabels({"a": draw("a", MASK, tool="one")})
    with pytest.raises(EarthReasonError, match="no task has masks of two"):
        push_project(client, workspace, LOCAL, Wishes(uncertain_first=True))
    assert server.projects == {}


def test_the_command_says_what_it_changed(client, server, workspace, monkeypatch):
    url = "http://ls.example"
    push_project(client, workspace, url, Wishes(["pond"]))
    module = "annotation_tools.labelstudio.client.LabelStudioClient"
    monkeypatch.setattr(module, lambda url, token: LabelStudioClient(url, token, server.transport))
    monkeypatch.setattr(LabelStudioClient, "invite_url", lambda self: f"{self.url}/invite")
    words = ["masks", "start", str(workspace.root), "--url", url, "--token", "secret"]
    done = CliRunner().invoke(app, [*words, "--category", "mill", "--overlap", "3"], catch_exceptions=False)
    assert "category added: mill\ncategory removed: pond\npeople for each task: 3, before 2\n" in done.output
    assert "people" not in CliRunner().invoke(app, words, catch_exceptions=False).output


def test_categories_that_tasks_expect_and_nobody_can_choose_are_named(client, server, workspace):
    named = {"a": "pond", "b": "mill", "c": "pier"}
    workspace.replace_tasks([replace(task, category=named.get(name)) for name, task in workspace.tasks.items()])
    said = "expected by tasks, but not in --category, so nobody can choose: "
    assert push_project(client, workspace, LOCAL, Wishes(["mill"])).changes == [said + "pier, pond"]
    server.annotate("a", results_of_drawing(draw("a", MASK, "pond")))
    assert push_project(client, workspace, LOCAL, Wishes(["mill"])).changes == [said + "pier, pond"]
    added = push_project(client, workspace, LOCAL, Wishes(["mill", "pond"])).changes
    assert added == ["category added: pond", said + "pier"]
    kept = push_project(client, workspace, LOCAL, Wishes(["mill"])).changes
    assert kept == ["category kept, because someone chose it: pond", said + "pier"]


def test_a_queue_says_of_which_tasks_nothing_is_left_to_draw(client, server, workspace):
    push_project(client, workspace, LOCAL, only=["a", "b"])
    asked = server.task("a")["data"]["asked"]
    changes = push_project(client, workspace, LOCAL, only=["b", "c"]).changes
    assert "still in the queue, but settled meanwhile, as their texts say: 1 task" in changes
    assert server.task("a")["data"]["asked"] == "Settled meanwhile, nothing to draw: skip it. / " + asked
    assert "Settled" not in server.task("b")["data"]["asked"] + server.task("c")["data"]["asked"]
    push_project(client, workspace, LOCAL, only=["a"])  # it waits again
    assert server.task("a")["data"]["asked"] == asked


def test_a_queue_without_tasks_says_whether_to_adjudicate(workspace):
    words = ["masks", "start", str(workspace.root), "--queue"]
    assert "run `adjudicate` first" in str(CliRunner().invoke(app, words).exception)
    workspace.add_drawings([drawn("a", MASK, "ana")])
    workspace.write_consensus(adjudicate(workspace.drawings(), Rules()))
    assert "all adjudicated tasks are settled" in str(CliRunner().invoke(app, words).exception)


def test_people_read_who_is_to_draw_a_task_and_why_it_came_back(client, server, workspace):
    push_project(client, workspace, LOCAL)
    assign(workspace, ["Ana@Lab.org"], count=1)
    workspace.add_drawings([drawn("b", MASK, "ben")])
    (drawing,) = workspace.drawings()["b"]
    add_returns(workspace, [Return("b", "the quay is missing", ["rita"], now(), [drawing.fingerprint])])
    changes = push_project(client, workspace, LOCAL).changes
    assert changes == ["texts changed: 2 tasks"]
    assert server.task("a")["data"]["facts"].endswith(", assigned to ana@lab.org")
    assert server.task("b")["data"]["asked"].startswith("Draw it again: the quay is missing / ")
    workspace.add_drawings([drawn("b", OTHER, "ben", created="2026-01-02T10:00:00Z")])
    push_project(client, workspace, LOCAL)
    assert "again" not in server.task("b")["data"]["asked"]


def test_categories_of_start_are_those_that_the_agreement_counts_as_offered(client, workspace):
    push_project(client, workspace, LOCAL, Wishes(("mill", "pond")))
    assert offered_categories(workspace) == ["mill", "pond"]
