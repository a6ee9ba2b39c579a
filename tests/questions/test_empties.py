"""Questions about something absent: looked for by two models, never guessed, and nothing left of the old target."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from annotation_tools.review.build import _of_run
from earthreason.cli.main import app
from earthreason.data.exports import export
from earthreason.data.reader import open_source, read_all
from earthreason.errors import EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.questions.ledger import Ledger
from earthreason.questions.prompting.concepts import OFFICIAL, SHORTLIST, shortlist
from earthreason.questions.quarantine import list_quarantine, set_aside_quarantined
from earthreason.questions.results import Regenerated
from earthreason.questions.types import Absence, Generated
from tests.questions.runs import advance_once, config_of, generate
from tests.questions.test_runs import Splits, record, run_command

NOTHING = encode_mask_png(np.zeros((32, 32), bool))


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "run" / "ledger.sqlite")


def prompts_of(server, words):
    contents = [body["messages"][-1]["content"] for body in server.bodies]
    texts = [content if isinstance(content, str) else content[0]["text"] for content in contents]
    return [text for text in texts if words in text]


def absent(server, change=lambda schema, answer: None):
    server.change = lambda schema, prompt, answer: change(schema, answer) or answer


def test_the_model_sees_the_image_and_the_list_of_its_sample(server, ledger):
    source = Splits(train=[record("a"), record("b", shade=1)], test=[record("a", shade=2)])
    assert generate(source, config_of(empty_share=1), ledger, server).done == 3
    offered = [
        text.partition("Concepts, in order: ")[2].splitlines()[0].split("; ")
        for text in prompts_of(server, "Concepts, in order")
    ]
    expected = [
        list(shortlist(OFFICIAL, 0, sample, "pier")) for sample in (("train", "a"), ("train", "b"), ("test", "a"))
    ]
    assert sorted(offered) == sorted(expected)
    assert all(len(names) == SHORTLIST and "pier" not in names for names in offered)
    for body in server.bodies:
        content = body["messages"][-1]["content"]
        if "response_format" in body and body["response_format"]["json_schema"]["name"] != "rewriting":
            assert [part["type"] for part in content] == ["text", "image_url"]  # the plain image, without the tint
    for _, result in ledger.results():
        assert result.concept in {names[0] for names in offered}
        assert (result.answers, result.target, result.answer_origins) == ([], "", [])
        assert [call["stage"] for call in result.provenance] == ["propose", "rewrite", "judge"]
    assert {row["prompt"] for row in ledger.summary()["stages"]} == {
        config_of().stages.prompts[name].identity for name in ("absent", "rewrite", "judge_absent")
    }


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"concept": "unicorn"}, "concept 'unicorn' is not on the list"),
        ({"concept": ""}, "concept '' is not on the list"),
        ({"present": OFFICIAL}, "is chosen as absent and listed as present or doubtful"),
        ({"questions": []}, "there are no questions about"),
    ],
)
def test_an_answer_that_breaks_the_rules_is_corrected_once_and_then_quarantines_its_sample(
    server, ledger, fault, words
):
    wrong = iter([True] + [False] * 9)

    def once(schema, answer):
        if schema == "absence" and next(wrong):
            answer |= fault

    absent(server, once)
    assert generate(Splits(train=[record("a")]), config_of(empty_share=1), ledger, server).done == 1
    assert words in server.bodies[1]["messages"][-1]["content"]
    absent(server, lambda schema, answer: answer.update(fault) if schema == "absence" else None)
    assert generate(Splits(train=[record("b", shade=1)]), config_of(empty_share=1), ledger, server).quarantined == 1
    (sample,) = list_quarantine(ledger)
    assert sample.reason.startswith("propose: concept" if "concept" in words else "propose: ")
    assert words in sample.reason
    assert set_aside_quarantined(ledger) == (1, 1)


def test_names_are_compared_without_case_and_marks():
    answer = {"seen": "", "present": ["Tennis  court."], "concept": "Tennis Court", "questions": []}
    given = {"concepts": ["tennis court", "pier"]}
    assert "present or doubtful" in Absence.model_validate(answer).fault(given)
    answer |= {"present": ["pier"]}
    assert Absence.model_validate(answer).fault(given) == "there are no questions about 'Tennis Court'"
    assert Absence.model_validate(answer | {"concept": None}).fault(given) == ""


def test_in_batches_an_answer_that_breaks_the_rules_is_sent_for_again(server, ledger):
    wrong = iter([True] + [False] * 9)

    def once(schema, answer):
        if schema == "absence" and next(wrong):
            answer["concept"] = "unicorn"

    absent(server, once)
    config = config_of(empty_share=1)
    source = Splits(train=[record("a")])
    steps = [advance_once(server, source, config, ledger) for _ in range(5)]
    assert [step.submitted for step in steps] == [1, 1, 1, 1, 0]
    assert steps[-1].outcome.done == 1
    assert [row["calls"] for row in ledger.summary()["stages"] if row["stage"] == "propose"] == [2]


def test_if_nothing_offered_is_absent_the_sample_is_quarantined_and_asked_anew_on_request(server, ledger):
    absent(server, lambda schema, answer: answer.update(concept=None, questions=[]) if schema == "absence" else None)
    source = Splits(train=[record("a")])
    assert generate(source, config_of(empty_share=1), ledger, server).quarantined == 1
    (sample,) = list_quarantine(ledger)
    assert sample.reason == "the model calls none of the 8 concepts that it was offered absent beyond doubt"
    assert len(server.bodies) == 1
    absent(server)
    assert set_aside_quarantined(ledger) == (1, 1)
    assert generate(source, config_of(empty_share=1), ledger, server).done == 1


def test_a_concept_that_the_judge_sees_is_not_used(server, ledger):
    def seen(schema, answer):
        if schema == "absencereview":
            answer |= {"absent": False, "candidates": ["a round roof", "a pond"]}

    absent(server, seen)
    assert generate(Splits(train=[record("a")]), config_of(empty_share=1), ledger, server).quarantined == 1
    (sample,) = list_quarantine(ledger)
    assert "the judge is not certain that" in sample.reason
    assert "(a round roof, a pond)" in sample.reason


@pytest.mark.parametrize("fault", ["nothing_fits", "implicit", "plausible"])
def test_each_verdict_of_the_judge_of_absence_counts(server, ledger, fault):
    def change(schema, answer):
        if schema == "absencereview":
            for verdict in answer["verdicts"][5:]:
                verdict[fault] = False

    absent(server, change)
    assert generate(Splits(train=[record("a")]), config_of(empty_share=1), ledger, server).quarantined == 1
    assert "only 5 of" in list_quarantine(ledger)[0].reason


def test_questions_that_name_the_concept_never_reach_the_judge(server, ledger):
    def change(schema, answer):
        if schema == "absence":
            answer["questions"][0]["text"] = f"Where is the {answer['concept']} that people here need most of all?"

    absent(server, change)
    assert generate(Splits(train=[record("a")]), config_of(empty_share=1), ledger, server).done == 1
    (judged,) = prompts_of(server, "said to be absent")
    assert "people here need most" not in judged


EXTRA = {"bbox": [1, 2, 3, 4], "phrases": ["the long pier"], "place": "Whitby", "wording": "nearest"}


def old_target(name="a", **changes):
    """A record with every fact that a source may state of a target."""
    stripe = np.zeros((32, 32), bool)
    stripe[:4] = True
    facts = {
        "category": "pier",
        "reasoning_type": "superlative",
        "unseen": "wording",
        "ground_resolution": 0.5,
        "source": "fMoW",
        "answers": ["The pier."],
        "ignore": encode_mask_png(stripe),
        "targets": [record("x").mask],
        "extra": json.dumps(EXTRA),
    }
    return record(name, **facts | changes)


@pytest.mark.parametrize("form", ["parquet", "coco", "webdataset", "release"])
def test_nothing_of_the_old_target_is_in_an_exported_empty_sample(server, ledger, tmp_path, form):
    changes = {"ignore": None, "targets": None} if form == "release" else {}
    source = Splits(train=[old_target()])
    generate(source, config_of(empty_share=1), ledger, server)
    export(Regenerated(Splits(train=[old_target(**changes)]), ledger), form, tmp_path / form)
    ((_, row),) = read_all(open_source(tmp_path / form))
    assert row.is_empty
    assert row.mask == NOTHING
    assert (row.category, row.reasoning_type, row.unseen) == (None, None, None)
    assert (row.answers, row.targets, row.ignore) == ([], None, None)
    assert (row.ground_resolution, row.source) == (0.5, "fMoW")
    extra = json.loads(row.extra)
    assert {"place": "Whitby"}.items() <= extra.items()
    assert not {"bbox", "phrases", "wording"} & set(extra)
    assert extra["absent_concept"] in OFFICIAL
    assert len(extra["generated"]["questions"]) == 6
    text = "".join(path.read_text(errors="replace") for path in (tmp_path / form).rglob("*.json"))
    new = re.compile(r'\\*"reasoning_type\\*": ?\\*"superlative\\*"')  # of the new questions; COCO quotes it twice
    for word in ("superlative", "the long pier", "nearest"):
        assert word not in new.sub("", text)


def test_a_regenerated_target_loses_what_was_said_of_its_former_questions_only(server, ledger):
    source = Splits(train=[old_target()])
    generate(source, config_of(empty_share=0), ledger, server)
    (row,) = Regenerated(source, ledger).read("train")
    assert (row.category, row.reasoning_type, row.unseen) == ("pier", None, None)
    assert row.targets == old_target().targets
    assert json.loads(row.extra)["bbox"] == [1, 2, 3, 4]
    same = [{"question": "Q0?", "reasoning_type": "condition"}, {"question": "Q1?", "reasoning_type": "condition"}]
    ledger.finish("train", Generated("a", "done", ["Q0?", "Q1?"], ["A."], origins=same))
    (row,) = Regenerated(source, ledger).read("train")
    assert row.reasoning_type == "condition"


def test_reviewers_see_an_empty_sample_as_it_will_be_exported(server, ledger, monkeypatch):
    source = Splits(train=[old_target()])
    generate(source, config_of(empty_share=1), ledger, server)
    ledger.remember("source", "set")
    monkeypatch.setattr("annotation_tools.review.build.open_source", lambda _: source)
    ((_, shown, _),) = _of_run(ledger.path.parent)
    ((_, result),) = ledger.results()
    assert (shown.category, shown.reasoning_type, shown.targets) == (result.concept, None, None)
    assert shown.questions == result.questions
    assert shown.is_empty


def test_without_images_nothing_is_said_to_be_absent(server, ledger):
    source = Splits(train=[record("a"), record("none", mask=NOTHING, shade=1)])
    source.records["train"][1] = record("none", shade=1)
    empty = source.records["train"][1]
    object.__setattr__(empty, "is_empty", True)
    outcome = generate(source, config_of(images=False), ledger, server)
    assert (outcome.done, outcome.quarantined) == (1, 1)
    (sample,) = list_quarantine(ledger)
    assert (sample.sample_id, "--unseen-empties" in sample.reason) == ("none", True)
    assert len(server.bodies) == 3
    assert config_of(images=False).share == 0
    ledger.recipe = "unseen"
    assert generate(source, config_of(images=False, unseen_empties=True), ledger, server).done == 2
    rows = {row.sample_id: json.loads(row.extra) for row in Regenerated(source, ledger).read("train")}
    assert rows["none"]["generated"]["absent_concept_was_looked_for"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-images", "--empty-share", "0.1"], "--empty-share 0.1 with --no-images: nobody would look"),
        (["--unseen-empties"], "--unseen-empties is only for --no-images"),
        (["--concepts", "none.txt"], "no file of concepts none.txt"),
        (["--language", "Germn"], "unknown language 'Germn'; did you mean 'German'"),
    ],
)
def test_contradictory_settings_are_refused_before_anything_is_asked(server, tmp_path, arguments, words):
    command = run_command(server, tmp_path / "run", "--limit", "1")
    place = command.index("--empty-share")
    result = CliRunner().invoke(app, command[:place] + command[place + 2 :] + arguments)
    assert isinstance(result.exception, EarthReasonError)
    assert words in str(result.exception)
    assert not server.bodies
    assert not (tmp_path / "run").exists()


def test_the_command_says_what_the_settings_leave_out(server, tmp_path):
    invoke, out = CliRunner().invoke, tmp_path / "run"
    done = invoke(app, run_command(server, out, "--limit", "2", "--no-images", "--language", "de"))
    assert done.exit_code == 0, done.output
    assert "no sample is asked about something absent" in done.output
    assert "German: not checked, as only English is understood: answer target, boilerplate, emptiness" in done.output
    status = invoke(app, ["questions", "status", str(out)]).output
    assert "German: not checked, as only English is understood: answer target" in status
    told = json.loads(invoke(app, ["questions", "status", str(out), "--json", "-"]).stdout)
    assert told["language"] == "German/de"
    assert "names category" in told["checks_not_applied"]
    plain = invoke(app, run_command(server, tmp_path / "plain", "--limit", "1"))
    assert "not checked" not in plain.output
    assert (
        json.loads(invoke(app, ["questions", "status", str(tmp_path / "plain"), "--json", "-"]).stdout)[
            "checks_not_applied"
        ]
        == []
    )


def test_concepts_of_the_set_or_of_a_file_are_kept_with_the_run(server, tmp_path):
    invoke, out = CliRunner().invoke, tmp_path / "run"
    command = run_command(server, out, "--limit", "3")
    command[command.index("--empty-share") + 1] = "1"
    assert invoke(app, command).exit_code == 0
    ledger = Ledger(out / "ledger.sqlite")
    assert set(OFFICIAL) <= set(ledger.setting("concepts"))
    assert ledger.stored_recipe()["concepts"].startswith(f"{len(ledger.setting('concepts'))} (")
    again = invoke(app, [*command[:-1], *command[-1:]])
    assert again.exit_code == 0
    mine = tmp_path / "mine.txt"
    mine.write_text("mosque\nlighthouse\n")
    other = invoke(app, [*command, "--concepts", str(mine)])
    assert "concepts was" in str(other.exception)
    assert invoke(app, [*command, "--concepts", str(mine), "--recipe", "mine"]).exit_code == 0
    ledger.recipe = "mine"
    assert {result.concept for _, result in ledger.results()} <= {"mosque", "lighthouse"}
