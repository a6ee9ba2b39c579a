"""Files of prompts: their form, their examples, their versions, and what is sent of them."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.checks import QuestionSet, check_many
from earthreason.questions.language import parse
from earthreason.questions.names import names_of
from earthreason.questions.prompting import prompts
from earthreason.questions.prompting.concepts import OFFICIAL
from earthreason.questions.prompting.pictures import TargetView
from earthreason.questions.prompting.prompts import NAMES, Messages, load_prompts, read_prompt
from earthreason.questions.prompting.versions import diff_prompts, text_at, versions
from earthreason.questions.stages import judge_request, propose_request, rewrite_request
from earthreason.questions.types import DIFFICULTIES, REASONING_TYPES, REPLIES, Absence, Hints, JudgeReply, Proposal
from earthreason.synthetic.questions import WORDINGS
from tests.questions.runs import config_of

REPLY_OF = dict(zip(("propose", "absent", "rewrite", "judge", "judge_absent"), REPLIES.values(), strict=True))
GOOD = """version: 9

# System

Be {language}.

# Example user

Write 1.

# Example assistant

{"a": "{b}"}

# User

{hints} and {"kept": 1}
"""


def write(tmp_path, text, name="propose"):
    (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    return tmp_path / f"{name}.md"


def test_sections_become_messages_and_only_slots_are_filled(tmp_path):
    prompt = read_prompt(write(tmp_path, GOOD))
    filled = prompt.fill(language="brief", hints="{language}")
    assert filled == Messages("Be brief.", (("Write 1.", '{"a": "{b}"}'),), '{language} and {"kept": 1}')
    assert prompt.identity.startswith("9-")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 9", "Version nine", "first line must be"),
        ("# System", "Hello\n\n# System", "text before the first section"),
        ("# System", "# Sytem", "unknown section '# Sytem'"),
        ("# User", "# System", "one section '# User' is needed"),
        ('{hints} and {"kept": 1}', "", "section '# User' is empty"),
        ("# User", "# User\n\nhm\n\n# User", "one section '# User' is needed"),
        ("# Example assistant", "# Example user", "followed by its"),
        ("# Example user\n\nWrite 1.\n\n", "", "followed by its"),
        ("{hints}", "{hint}", "unknown slot {hint}; known: hints"),
        ("Write 1.", "Write {count}.", "examples are sent as they stand"),
    ],
)
def test_a_malformed_prompt_is_told_before_anything_is_asked(tmp_path, old, new, words):
    assert GOOD.count(old) == 1
    write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(DataFormatError, match="propose.md") as caught:
        load_prompts(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_prompt_without_the_texts_to_judge_is_refused(tmp_path):
    write(tmp_path, GOOD, "judge")
    with pytest.raises(DataFormatError, match="judge.md: the slot {questions} is missing"):
        load_prompts(tmp_path)
    (tmp_path / "judge.md").write_bytes(b"version: 2\n\xff")
    with pytest.raises(DataFormatError, match="judge.md: not UTF-8"):
        load_prompts(tmp_path)


@pytest.mark.parametrize(
    ("name", "slot"),
    [("rewrite", "target"), ("judge", "target"), ("judge", "answers"), ("judge_absent", "concept")],
)
def test_a_prompt_that_does_not_say_what_it_is_about_is_refused(tmp_path, name, slot):
    write(tmp_path, text_at(name).replace(f"{{{slot}}}", ""), name)
    with pytest.raises(DataFormatError, match=f"the slot {{{slot}}} is missing"):
        load_prompts(tmp_path)


@pytest.mark.parametrize("name", ["jugde.md", "judge.MD", "Judge.md", "other.md"])
def test_a_misspelt_file_is_not_passed_over(tmp_path, name):
    write(tmp_path, text_at("propose"))
    (tmp_path / name).write_text(text_at("judge"))
    for read in (load_prompts, lambda folder: text_at("propose", str(folder))):
        with pytest.raises(DataFormatError, match=f"{name}: not a prompt.*judge.md"):
            read(tmp_path)


def test_a_folder_with_the_name_of_a_prompt_is_not_passed_over(tmp_path):
    write(tmp_path, text_at("propose"))
    (tmp_path / "judge.md").mkdir()
    with pytest.raises(DataFormatError, match="judge.md: not a prompt"):
        load_prompts(tmp_path)


def test_a_folder_may_have_some_of_the_prompts_and_notes(tmp_path):
    write(tmp_path, text_at("propose").replace("version: 2", "version: mine"))
    (tmp_path / "README.md").write_text("Why")
    changed = "\n".join(diff_prompts(NAMES, None, str(tmp_path)))
    assert load_prompts(tmp_path)["propose"].version == "mine"
    assert "+version: mine" in changed
    assert list(diff_prompts(("judge",), "2", str(tmp_path))) == []  # the built-in one, as `generate` sends it


def test_a_folder_that_is_not_text_is_told_in_a_line(tmp_path):
    (tmp_path / "judge.md").write_bytes(b"version: 2\n\xff")
    with pytest.raises(DataFormatError, match="not UTF-8 text"):
        text_at("judge", str(tmp_path))


def test_prompts_of_the_first_version_are_exported_to_read_only(tmp_path):
    told = invoke("export", str(tmp_path / "first"), "--version", "1").output
    assert "--prompt-dir" not in told
    assert "takes prompts since version 2" in told


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_answers_that_would_be_accepted(name):
    prompt = load_prompts()[name]
    assert prompt.messages.system
    assert prompt.messages.examples
    for asked, answered in prompt.messages.examples:
        reply = REPLY_OF[name].model_validate_json(answered)
        listed = asked.partition("Concepts, in order: ")[2].partition("\n")[0].split("; ")
        assert reply.fault({"concepts": listed}) == ""


def test_the_texts_of_the_examples_pass_the_checks_and_have_the_length_asked_for():
    seen = []
    for name in ("propose", "absent"):
        for _, answered in load_prompts()[name].messages.examples:
            reply = REPLY_OF[name].model_validate_json(answered)
            absent = isinstance(reply, Absence)
            questions = tuple(question.text for question in reply.questions)
            answers = () if absent else tuple(reply.answers)
            target = reply.concept if absent else reply.target
            seen.append(QuestionSet(target, questions, answers, target, absent))
            assert all(12 <= len(text.split()) <= 30 for text in questions)
            assert all(15 <= len(text.split()) <= 40 for text in answers)
    assert len(seen) == 3
    assert check_many(seen) == []


def test_the_examples_lead_to_no_official_category():
    for name in ("propose", "absent"):
        for _, answered in load_prompts()[name].messages.examples:
            reply = json.loads(answered)
            target = parse(f"There is a {reply.get('target') or reply['concept']}.")
            assert not any(names_of(category).find(target) for category in OFFICIAL)


def test_the_kinds_of_reasoning_are_those_of_the_synthetic_scenes_and_are_explained():
    assert set(REASONING_TYPES) == set(WORDINGS.values())
    for name in ("propose", "absent"):
        system = load_prompts()[name].messages.system
        assert all(f"{kind}:" in system for kind in REASONING_TYPES)
        assert all(level in system for level in DIFFICULTIES)


def test_a_request_sends_system_examples_and_then_the_user_with_the_pictures():
    view = TargetView(2, (0, 0, 9, 9))
    request = propose_request(Hints("pier", 0.5, regions=2), config_of().stages, view)
    body = request.body(["data:a", "data:b", "data:c", "data:d"])
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    text, *pictures = body["messages"][-1]["content"]
    assert [part["image_url"]["url"] for part in pictures] == ["data:a", "data:b", "data:c", "data:d"]
    assert "category: pier; ground resolution: 0.5 m per pixel; the target has 2 separate regions" in text["text"]
    assert "Write 10 questions and 5 answers in English" in text["text"]
    assert "Picture 4: the enlarged surroundings with the target tinted" in text["text"]
    assert all(isinstance(message["content"], str) for message in body["messages"][:-1])


def test_system_examples_given_and_vote_are_part_of_what_an_answer_depends_on():
    stages = config_of().stages
    hints = Hints(absent=True, concepts=("pier", "lake"))
    requests = [
        propose_request(hints, stages),
        propose_request(Hints(absent=True, concepts=("lake", "pier")), stages),
        judge_request(["Where?"], [], "pier", hints, stages),
        judge_request(["Where?"], [], "pier", hints, stages, vote=1),
        judge_request(["Where?"], [], "lake", hints, stages),
        rewrite_request(["Where?"], "pier", stages),
        rewrite_request(["Where?"], "lake", stages),
    ]
    requests += [replace(requests[0], system=""), replace(requests[0], examples=())]
    assert len({request.identity() for request in requests}) == len(requests)


def test_rewriter_and_judge_are_told_the_name_and_the_judge_of_absence_asks_nothing_contradictory():
    stages, hints = config_of().stages, Hints()
    assert "The place is: jetty." in rewrite_request(["Where?"], "jetty", stages).text
    judge = judge_request(["Where?"], ["It is the jetty."], "jetty", hints, stages)
    assert "The target is said to be: jetty" in judge.text
    assert "Answers:\n1. It is the jetty." in judge.text
    assert judge.reply is JudgeReply
    absent = judge_request(["Where?"], [], "jetty", Hints(absent=True), stages)
    assert "said to be absent: jetty" in absent.text
    assert absent.pictures == ("image",)
    told = absent.words()
    assert "answerable" not in told
    assert "tinted" not in told
    assert propose_request(hints, stages).reply is Proposal


def test_texts_are_numbered_on_one_line_each():
    text = rewrite_request(["Where\n 2. is it?", "Who?"], "x", config_of().stages).text
    assert text.endswith("\n1. Where 2. is it?\n2. Who?")


def invoke(*arguments):
    return CliRunner().invoke(app, ["questions", "prompts", *map(str, arguments)])


def test_earlier_versions_are_kept_and_compared():
    assert versions() == ["1", "2"]
    old, new = text_at("judge", "1"), text_at("judge")
    assert (old.splitlines()[0], new.splitlines()[0]) == ("version: 1", "version: 2")
    lines = list(diff_prompts(("judge",)))
    assert lines[:2] == ["--- version 1/judge.md", "+++ version 2/judge.md"]
    removed = [line[1:] for line in lines[2:] if line.startswith("-")]
    kept = [line[1:] for line in lines[2:] if line.startswith(" ")]
    assert len(removed) + len(kept) == len(old.splitlines())
    assert "- answerable: a person could answer it from the image alone;" in removed
    assert list(diff_prompts(("judge",), "2", "2")) == []
    assert text_at("judge_absent", "1") == ""
    added = list(diff_prompts(("judge_absent",)))
    assert all(line.startswith(("+", "@@", "---")) for line in added)


def test_prompts_are_listed_shown_exported_edited_and_compared(tmp_path):
    listed = invoke("list").output
    assert all(name in listed for name in NAMES)
    assert "versions: 1, 2" in listed
    assert invoke("show", "judge").output == text_at("judge")
    assert invoke("show", "judge", "--version", "1").output == text_at("judge", "1")
    folder = tmp_path / "mine"
    assert invoke("export", folder).exit_code == 0
    assert sorted(path.stem for path in folder.iterdir()) == sorted(NAMES)
    assert load_prompts(folder) == load_prompts()
    assert invoke("diff", "--from", "2", "--to", folder).output == ""
    judge = folder / "judge.md"
    judge.write_text(judge.read_text().replace("strict examiner", "kind examiner").replace("version: 2", "version: 3"))
    changed = invoke("diff", "--from", "2", "--to", folder).output
    assert "-version: 2\n+version: 3\n" in changed
    assert changed.count("kind examiner") == 1
    assert load_prompts(folder)["judge"].identity != load_prompts()["judge"].identity
    assert invoke("diff", "--from", "2", "--to", folder, "rewrite").output == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "juge"), "did you mean 'judge'"),
        (("diff", "juge"), "did you mean 'judge'"),
        (("show", "judge", "--version", "7"), "neither a version of the prompts (1, 2) nor a folder"),
        (("diff", "--from", "none"), "neither a version"),
        (("show", "judge_absent", "--version", "1"), "no prompt judge_absent in 1"),
        (("export", "."), "not an empty folder"),
        (("diff", "--to", "/usr"), "has no prompts"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(arguments, words):
    result = invoke(*arguments)
    assert isinstance(result.exception, EarthReasonError)
    assert words in str(result.exception)


def test_the_wheel_has_all_versions_of_the_prompts():
    root = prompts.BUILT_IN.parents[3]
    # What setuptools would take, without building the compiled kernels.
    listing = (
        "from setuptools import find_namespace_packages as find; import sys; print(*find(sys.argv[1], "
        "include=['earthreason', 'earthreason.*']))"
    )
    done = subprocess.run([sys.executable, "-c", listing, str(root)], capture_output=True, text=True, check=True)
    assert {"earthreason.questions.prompting.templates", "earthreason.questions.prompting.templates.1"} <= set(
        done.stdout.split()
    )
