"""What `collect` does with annotations that are broken, doubled, changed hands, or are gone."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.collect import CollectError, collect_drawings
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project
from earthreason.cli.app import guard

from ..conftest import drawn
from .conftest import MASK, OTHER, result


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "text",
        {"a": 1},
        [None],
        [["brush"]],
        [{"type": "brushlabels", "value": ["rle"]}],
        [{"type": "choices", "value": {"choices": "pond"}, "from_name": "category"}],
        [{"type": "choices", "value": {"choices": [["pond"]]}, "from_name": "category"}],
        [{"type": "brushlabels", "value": {"brushlabels": {"a": 1}}}],
        [result()[0] | {"value": {"rle": [256]}}],
        [result()[0] | {"original_width": "30"}],
        [{"type": "polygonlabels", "original_width": 30, "original_height": 20, "value": {"points": [[1]]}}],
        [{"type": "polygonlabels", "original_width": 30, "original_height": 20, "value": {"points": 7}}],
        [{"type": "bitmasklabels", "original_width": 30, "original_height": 20, "value": {"imageDataURL": 7}}],
    ],
)
def test_whatever_is_broken_never_blocks_the_others(client, server, pushed, bad):
    server.annotate("a", bad)
    server.annotate("b", result())
    with pytest.raises(CollectError, match=r"1 fault; 1 new .*\n  a, annotation \d+ by anna@example.org"):
        collect_drawings(client, pushed, LOCAL)
    assert set(pushed.drawings()) == {"b"}


def test_a_broken_time_taken_is_set_aside_by_name(client, server, pushed):
    server.annotate("a", result(), lead_time="long")
    with pytest.raises(CollectError, match=r"a, annotation \d+: its lead_time is not a number of seconds"):
        collect_drawings(client, pushed, LOCAL)


def test_what_is_broken_again_is_named_again_and_counts_once(client, server, pushed):
    server.annotate("a", [None])
    counted = []
    for _ in range(3):
        with pytest.raises(CollectError) as caught:
            collect_drawings(client, pushed, LOCAL)
        counted.append((len(caught.value.faults), "as in the last collect" in str(caught.value)))
    assert counted == [(1, False), (1, True), (1, True)]
    assert len(pushed.servers()[LOCAL].unreadable) == 1
    server.task("a")["annotations"][0]["result"] = result()
    assert collect_drawings(client, pushed, LOCAL).counts == {"new": 1}
    assert pushed.servers()[LOCAL].unreadable == {}


def test_an_annotation_broken_later_keeps_its_earlier_version(client, server, pushed):
    server.annotate("a", result())
    collect_drawings(client, pushed, LOCAL)
    server.task("a")["annotations"][0]["result"] = [None]
    with pytest.raises(CollectError, match="the version collected earlier counts"):
        collect_drawings(client, pushed, LOCAL)
    assert len(pushed.drawings()["a"]) == 1


@pytest.mark.parametrize("who", [1, {"id": 1}, {"id": 1, "email": "anna@example.org"}, {"email": "anna@example.org"}])
def test_a_number_and_its_address_are_one_person(client, server, pushed, who):
    pushed.add_drawings([drawn("a", OTHER, "1", created="2026-01-01T09:00:00Z", key="from an export")])
    server.annotate("a", result(), user=who)
    found = collect_drawings(client, pushed, LOCAL)
    (drawing,) = pushed.drawings()["a"]
    assert drawing.annotator == "anna@example.org"
    assert drawing.mask.sum() == MASK.sum()
    assert found.superseded == 0  # of the two, the one on the server is newer


def test_a_number_that_means_different_people_on_two_servers_stays_a_number(client, server, pushed):
    pushed.add_drawings([drawn("a", OTHER, "1", key="from an export")])
    collect_drawings(client, pushed, LOCAL)
    known = pushed.servers()[LOCAL]
    pushed.write_server(replace(known, name="http://team.example", people={"1": "eva@example.org"}))
    assert [drawing.annotator for drawing in pushed.drawings()["a"]] == ["1"]


def test_the_person_who_saved_last_has_drawn_it(client, server, pushed):
    server.annotate("a", result(), user=1, updated_by=2)
    collect_drawings(client, pushed, LOCAL)
    assert [drawing.annotator for drawing in pushed.drawings()["a"]] == ["ben@example.org"]


def command(pushed, server, monkeypatch, *words):
    module = "annotation_tools.labelstudio.client.LabelStudioClient"
    monkeypatch.setattr(module, lambda url, token: LabelStudioClient("http://ls.example", "secret", server.transport))
    return CliRunner().invoke(app, ["masks", "collect", str(pushed.root), *words])


def test_a_task_of_two_projects_is_counted_once_as_not_drawn(client, server, pushed):
    server.annotate("a", result())
    push_project(client, pushed, LOCAL, Wishes(["pond"]), only=["a", "b"])
    assert collect_drawings(client, pushed, LOCAL).undrawn == 3  # b, c and d; a waits in the queue, and is drawn
    server.annotate("b", result())
    assert collect_drawings(client, pushed, LOCAL).undrawn == 2


def test_the_command_says_what_it_stored_and_then_fails_with_the_list(client, server, pushed, monkeypatch):
    server.annotate("a", result(), updated_at="2026-01-01T08:00:00Z")
    server.annotate("a", result(OTHER))
    server.annotate("b", [None])
    server.annotate("c", [*result(), {"type": "keypointlabels", "value": {"x": 1, "y": 1}}, {"type": "relation"}])
    done = command(pushed, server, monkeypatch)
    assert isinstance(done.exception, CollectError)  # for which the program exits with 2
    with pytest.raises(SystemExit, match="2"):
        guard(lambda: (_ for _ in ()).throw(done.exception))
    assert "drawings 3 new, 0 changed, 0 same; 0 skipped, 1 task not drawn" in done.output
    assert "superseded: 1, because the same person saved another drawing of the task later" in done.output
    assert "without an area, so not read: 1 keypointlabels, 1 relation" in done.output
    assert len(done.exception.faults) == 1


def test_what_is_gone_on_the_server_is_said_and_withdrawn_when_asked(client, server, pushed, monkeypatch):
    for name in "abc":
        server.annotate(name, result())
    collect_drawings(client, pushed, LOCAL)
    server.task("a")["annotations"].clear()
    server.task("b")["annotations"][0]["was_cancelled"] = True
    done = command(pushed, server, monkeypatch)
    assert done.exit_code == 0
    assert "deleted or skipped on the server after they were collected: 2 (a, annotation" in done.output
    assert "--withdraw withdraws them" in done.output
    assert set(pushed.drawings()) == set("abc")
    assert "; withdrawn" in command(pushed, server, monkeypatch, "--withdraw").output
    assert set(pushed.drawings()) == {"c"}
    assert "deleted or skipped" not in command(pushed, server, monkeypatch).output
    assert len(pushed.versions()) == 5  # nothing is erased
