"""What becomes of the texts of a sample: answers are judged like questions, names are known, most votes decide."""

import json

import pytest

from earthreason.questions.ledger import Call, Ledger
from earthreason.questions.prompting.languages import parse_language
from earthreason.questions.provenance import origins_of_questions, origins_of_rewordings
from earthreason.questions.quarantine import list_quarantine, set_aside_quarantined
from earthreason.questions.results import Regenerated, write_results
from earthreason.questions.types import AskedQuestion, Proposal, Rewording, Usage
from earthreason.questions.writing import is_majority
from tests.questions.fake_server import ANSWERS
from tests.questions.runs import advance_once, config_of, generate
from tests.questions.test_runs import Splits, record


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "run" / "ledger.sqlite")


def one(**changes):
    return Splits(train=[record("a", **changes)])


def run(server, ledger, change, source=None, **settings):
    """Generate with answers of the server changed by `change`; return the only result."""
    server.change = lambda schema, prompt, answer: change(schema, answer) or answer
    generate(source or one(category=None), config_of(empty_share=0, **settings), ledger, server)
    ((_, result),) = ledger.results()
    return result


def asked(server, prompt):
    """Texts of the user's messages that contain a text."""
    messages = [body["messages"][-1]["content"] for body in server.bodies]
    texts = [content if isinstance(content, str) else content[0]["text"] for content in messages]
    return [text for text in texts if prompt in text]


BAD_ANSWERS = [
    "No.",
    "Yes, that one.",
    "Segment the mask.",
    "There is no such target",
    "There is no such target anywhere in this landscape.",
    "It is a lovely day to be outside with friends and family.",
    "Mark the walled yard where the carts stand.",
    "Could it be the walled yard beside the road?",
    "The walled yard is the region that is tinted orange.",
    "1. The walled yard, where carts stand.\n2. The yard.",
    "Sure! It is the walled yard, since carts stand there.",
    "As an AI language model I would say the walled yard.",
    "Es ist der ummauerte Hof, weil dort die Karren stehen.",
    " ".join(["The walled yard has walls all around it and carts in it."] * 8),
]


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_an_answer_that_is_none_leaves_the_sample_too_few(server, ledger, bad):
    def change(schema, answer):
        if schema == "proposal":
            answer["answers"][2:] = [bad, bad, bad]

    result = run(server, ledger, change)
    assert (result.status, result.reason) == ("quarantined", "only 2 of 3 answers passed the checks, 3 are needed")
    assert len(server.served) == 2  # no judge could help


def test_an_answer_that_begins_with_an_order_and_then_states_something_is_fine(server, ledger):
    pointing = "Look for four walls around a flat square of ground: this is the walled yard, where carts can stand."

    def change(schema, answer):
        if schema == "proposal":
            answer["answers"] = [*answer["answers"][:2], pointing]

    assert pointing in run(server, ledger, change).answers


def test_an_answer_that_repeats_a_question_or_another_answer_is_none(server, ledger):
    def change(schema, answer):
        if schema == "proposal":
            question = answer["questions"][3]["text"].replace("Find", "One finds")
            answer["answers"][2:] = [question, answer["answers"][0].replace(", because", " because"), question]

    assert run(server, ledger, change).reason.startswith("only 2 of 4 answers passed")


def test_three_good_answers_are_kept_and_bad_ones_never(server, ledger):
    def change(schema, answer):
        if schema == "proposal":
            answer["answers"][1:3] = ["No.", "1) " + answer["answers"][1]]

    result = run(server, ledger, change)
    assert result.status == "done"
    assert len(result.answers) == 3
    assert "No." not in result.answers
    assert [origin["answer"] for origin in result.answer_origins] == result.answers
    assert {origin["stage"] for origin in result.answer_origins} == {"propose"}
    assert all(origin["judge"]["reason"] == "it is seen" for origin in result.answer_origins)


@pytest.mark.parametrize("fault", ["true_of_region", "names_target", "says_why"])
def test_the_judge_refuses_answers_one_by_one(server, ledger, fault):
    refused = [2]

    def change(schema, answer):
        if schema == "judgereply":
            for verdict in answer["answers"]:
                verdict[fault] = verdict["number"] not in refused

    result = run(server, ledger, change)
    assert result.status == "done"
    second = ANSWERS[1].partition("{n}")[0]
    assert not any(text.startswith(second) for text in result.answers)
    refused += [1, 4]
    other = Ledger(ledger.path, "other")
    result = run(server, other, change, parameters={"top_p": 0.5})
    assert result.reason == "only 2 of 5 answers passed the checks, 3 are needed"
    assert len(result.answers) == 2


@pytest.mark.parametrize("fault", ["answerable", "implicit", "unique", "mask_fits"])
def test_a_question_without_a_good_verdict_is_out(server, ledger, fault):
    def change(schema, answer):
        if schema == "judgereply":
            answer["verdicts"] = [*answer["verdicts"][:8], answer["verdicts"][1] | {fault: False}]
            answer["verdicts"][0][fault] = False

    result = run(server, ledger, change)
    first = json.loads(json.dumps(asked(server, "Questions:")[0])).partition("Questions:\n")[2].splitlines()
    texts = [line.partition(". ")[2] for line in first]
    assert result.status == "done"  # six of the first eight are left: not 1, and not 2, which has two verdicts
    assert set(result.questions) == set(texts[2:8])


def test_the_target_is_named_to_rewriter_and_judge_and_forbidden_where_the_set_has_no_category(server, ledger):
    def change(schema, answer):
        if schema == "proposal":
            answer["questions"][0]["text"] = "Which walled yard would a traveller choose to rest in for an hour?"
            answer["questions"][1]["text"] = "Which of the walled yards would be flooded first after a heavy storm?"

    result = run(server, ledger, change)
    assert result.target == "walled yard"
    assert result.status == "done"
    (judged,) = asked(server, "The target is said to be: walled yard\n")
    (reworded,) = asked(server, "The place is: walled yard. ")
    assert "traveller choose" in reworded
    assert "traveller choose" not in judged
    assert "be flooded first" not in judged


def test_category_and_name_are_both_forbidden_and_both_told(server, ledger):
    def change(schema, answer):
        if schema == "proposal":
            answer["questions"][0]["text"] = "Which pier would a traveller choose for an hour of rest before going on?"
            answer["questions"][1]["text"] = "Which walled yard would a traveller choose to rest in for an hour?"
            answer["answers"][0] = "It is the pier, as boats tie up along both of its sides all year."

    result = run(server, ledger, change, one(category="pier"))
    assert result.status == "done"
    (judged,) = asked(server, "The target is said to be: walled yard (its category: pier)\n")
    assert "would a traveller choose" not in judged
    assert "It is the pier, as boats" in judged  # either name is one of the target


def test_a_judge_who_does_not_see_the_target_quarantines_the_sample(server, ledger):
    def change(schema, answer):
        if schema == "judgereply":
            answer |= {"target_fits": False, "region": "a roof\nof tin"}

    result = run(server, ledger, change)
    assert result.reason == "the judge does not see 'walled yard' in the target (a roof of tin)"
    server.change = lambda schema, prompt, answer: answer
    assert set_aside_quarantined(ledger) == (1, 3)
    assert generate(one(category=None), config_of(empty_share=0), ledger, server).done == 1


@pytest.mark.parametrize("name", ["the tinted area", "Target", "this region", "..."])
def test_a_name_that_names_nothing_is_asked_for_once_more(server, ledger, name):
    def change(schema, answer):
        if schema == "proposal" and len(server.bodies) == 1:
            answer["target"] = name

    assert run(server, ledger, change).status == "done"
    assert [len(body["messages"]) for body in server.bodies[:2]] == [6, 8]
    assert "does not say what the thing is" in server.bodies[1]["messages"][-1]["content"]


@pytest.mark.parametrize("name", ["salt pans", "sports area", "bus parking place", "塩田"])
def test_a_name_may_have_such_words_beside_others(name):
    question = AskedQuestion(text="Where?", reasoning_type="function", difficulty="easy")
    assert Proposal(target=name, questions=[question], answers=["There."]).fault({}) == ""


def test_rewordings_keep_the_kind_and_difficulty_of_the_question_with_their_number():
    call = Call("k", "a", "rewrite", "m", "2-x", "2026", Usage(1, 1, 0.4), "ok", {})
    first = AskedQuestion(text="1. One?", reasoning_type="function", difficulty="hard")
    second = AskedQuestion(text="Two?", reasoning_type="condition", difficulty="easy")
    parents = origins_of_questions([first, second], call)
    assert list(parents) == ["One?", "Two?"]
    rewordings = [
        Rewording(number=2, text="2) Zwei?"),
        Rewording(number=3, text="Three?"),
        Rewording(number=2, text="Due?"),
        Rewording(number=1, text="Uno?"),
    ]
    origins = origins_of_rewordings(parents, rewordings, call)
    told = {text: (o["parent"], o["reasoning_type"], o["difficulty"], o["usd"]) for text, o in origins.items()}
    assert told == {"Zwei?": ("Two?", "condition", "easy", 0.1), "Uno?": ("One?", "function", "hard", 0.1)}


def test_kind_and_difficulty_of_every_question_are_in_every_result(server, ledger, tmp_path):
    result = run(server, ledger, lambda schema, answer: None)
    kinds = [(origin["reasoning_type"], origin["difficulty"]) for origin in result.origins]
    assert len(set(kinds)) > 2
    write_results(ledger, tmp_path / "out.jsonl")
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [(origin["reasoning_type"], origin["difficulty"]) for origin in row["origins"]] == kinds
    ((record_out),) = Regenerated(one(category=None), ledger).read("train")
    generated = json.loads(record_out.extra)["generated"]
    assert [(o["reasoning_type"], o["difficulty"]) for o in generated["questions"]] == kinds
    assert (generated["target"], generated["language"]) == ("walled yard", "English/en")
    assert len(generated["answers"]) == 3


@pytest.mark.parametrize(
    ("votes", "majority"),
    [([True], True), ([False], False), ([True, False], False), ([True, True, False], True), ([True, False] * 2, False)],
)
def test_more_than_half_of_the_votes_decide_and_ties_fail(votes, majority):
    assert is_majority(votes) == majority


def test_most_votes_decide_each_text_and_all_are_kept(server, ledger):
    said = iter(range(100))

    def change(schema, answer):
        if schema == "judgereply":
            number = next(said)
            answer["verdicts"][0]["unique"] = number == 0  # one vote of three
            answer["verdicts"][1]["unique"] = number != 0  # two of three
            answer["answers"][0]["says_why"] = number == 2

    server.delay = 0.05
    result = run(server, ledger, change, votes=3)
    assert result.status == "done"
    judges = [call for call in result.provenance if call["stage"] == "judge"]
    assert len({call["key"] for call in judges}) == len(judges) == 3
    (text,) = set(asked(server, "The target is said to be"))
    lines = text.partition("Questions:\n")[2].splitlines()
    texts = [line.partition(". ")[2] for line in lines if line[:1].isdigit()]
    assert len(texts) > 15
    assert texts[0] not in result.questions
    assert not any(answer in result.answers for answer in texts if answer.startswith("It is the walled yard, because"))
    by_text = {origin["question"]: origin["judge"]["votes"] for origin in result.origins}
    assert sorted(vote["passed"] for vote in by_text[texts[1]]) == [False, True, True]
    keys = [call["key"] for call in judges]
    assert all([vote["key"] for vote in votes] == keys for votes in by_text.values())
    shares = [origin["judge"]["usd"] for origin in result.origins]
    assert shares == pytest.approx([3 * judges[0]["usd"] / len(texts)] * 6)


def test_more_votes_pay_only_for_the_further_ones(server, ledger):
    assert generate(one(), config_of(empty_share=0), ledger, server).calls == 3
    ledger.recipe = "three votes"
    assert generate(one(), config_of(empty_share=0, votes=3), ledger, server).calls == 2


def test_all_votes_go_into_one_batch(server, ledger):
    config = config_of(empty_share=0, votes=3)
    steps = [advance_once(server, one(), config, ledger) for _ in range(4)]
    assert [step.submitted for step in steps] == [1, 1, 3, 0]
    assert steps[-1].outcome.done == 1


def test_a_vote_that_cannot_be_used_keeps_the_others_and_is_asked_again(server, ledger):
    server.script = ["none", "none", "none", "always junk", "always junk"]
    config = config_of(empty_share=0, votes=2)
    server.delay = 0.05
    assert generate(one(), config, ledger, server, concurrency=1).quarantined == 1
    assert "judge: the answer does not have the requested form" in list_quarantine(ledger)[0].reason
    assert set_aside_quarantined(ledger) == (1, 1)
    outcome = generate(one(), config, ledger, server)
    assert (outcome.done, outcome.calls) == (1, 1)


def test_another_language_is_asked_for_checked_and_told(server, ledger):
    result = run(server, ledger, lambda schema, answer: None, language=parse_language("German"))
    assert result.status == "done"
    assert all(("Nummer" in text) and text[0] in "WZV" for text in result.questions)
    assert asked(server, "Write 10 questions and 5 answers in German.")
    assert asked(server, "questions in German:")
    assert "A text that is not in German fails everything." in server.bodies[-1]["messages"][0]["content"]
    ((exported),) = Regenerated(one(category=None), ledger).read("train")
    assert json.loads(exported.extra)["generated"]["language"] == "German/de"
    other = Ledger(ledger.path, "english answers")

    def change(schema, answer):
        if schema == "proposal":
            answer["answers"] = [text.format(n="this") for text in ANSWERS]

    result = run(server, other, change, language=parse_language("German"), parameters={"top_p": 0.5})
    assert result.reason == "only 0 of 5 answers passed the checks, 3 are needed"


def test_a_server_without_system_messages_gets_them_in_the_users(server, ledger):
    def refuse(body):
        return "System role not supported" if body["messages"][0]["role"] == "system" else None

    server.refuse = refuse
    result = run(server, ledger, lambda schema, answer: None)
    assert result.status == "done"
    first = server.bodies[1]["messages"]
    assert [message["role"] for message in first] == ["user", "assistant"] * 2 + ["user"]
    assert first[0]["content"].startswith("You write questions and answers")
    assert "Write 3 questions and 2 answers." in first[0]["content"]
    refusals = [body for body in server.bodies if body["messages"][0]["role"] == "system"]
    assert len(refusals) == 1


def test_a_batch_learns_that_there_are_no_system_messages(server, ledger):
    server.refuse = lambda body: "System role not supported" if body["messages"][0]["role"] == "system" else None
    for _ in range(5):
        step = advance_once(server, one(), config_of(empty_share=0), ledger)
    assert step.outcome.done == 1
