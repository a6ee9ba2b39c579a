"""A run as a whole: one recipe, one process, every sample named, nothing paid that need not be."""

import asyncio
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.data.reader import open_source, read_all
from earthreason.data.schema import HiddenLabel, Record
from earthreason.errors import EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import GenerationRun
from earthreason.questions.prompting.languages import parse_language
from earthreason.questions.quarantine import list_quarantine, set_aside_quarantined
from earthreason.questions.results import Regenerated
from tests.questions.fake_server import REWORDED, STEMS
from tests.questions.runs import client_of, config_of, generate

CALL = (1000 * 2.5 + 200 * 10) / 1e6
"""Cost of a call to gpt-4o of which the fake server reports 1,000 and 200 tokens, US dollars."""


def record(name, shade=0, **changes):
    picture = io.BytesIO()
    noise = np.random.default_rng(shade).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "PNG")
    mask = np.zeros((32, 32), bool)
    mask[4:20, 6:18] = True
    facts = {"image": picture.getvalue(), "mask": encode_mask_png(mask), "questions": ["Old?"], "category": "pier"}
    return Record(sample_id=name, height=32, width=32, is_empty=False, **facts | changes)


class Splits:
    """Records by split."""

    name = "splits"

    def __init__(self, **records):
        self.records = records
        self.counts = {split: len(several) for split, several in records.items()}

    def read(self, split):
        yield from self.records[split]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "run" / "ledger.sqlite")


def test_samples_of_two_splits_with_one_id_get_their_own_questions(server, ledger):
    # As COCO numbers images: 1 to 3 in train, and 1 to 3 in validation.
    source = Splits(
        train=[record(str(n), shade=n) for n in (1, 2, 3)],
        validation=[record(str(n), shade=100 + n) for n in (1, 2, 3)],
    )
    outcome = generate(source, config_of(empty_share=0), ledger, server)
    assert (outcome.done, outcome.calls) == (6, 18)
    results = {(split, result.sample_id): result.questions for split, result in ledger.results()}
    assert len(results) == len({tuple(questions) for questions in results.values()}) == 6
    exported = {(split, sample.sample_id): sample.questions for split, sample in read_all(Regenerated(source, ledger))}
    assert exported == results


def test_a_coco_folder_whose_splits_number_their_images_alike_is_regenerated(server, tmp_path):
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    for offset, split in enumerate(("train", "val")):
        (folder / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for number in (1, 2, 3):
            picture = folder / "images" / split / f"{number}.png"
            picture.write_bytes(record("", shade=100 * offset + number).image)
            images.append({"id": number, "file_name": f"{split}/{number}.png", "height": 32, "width": 32})
            corners = [4, 4, 20, 4, 20, 18, 4, 18]
            box = {"bbox": [4, 4, 16, 14], "area": 224, "iscrowd": 0}
            annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [corners], **box})
        table = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "pier"}]}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(table))
    invoke, run = CliRunner().invoke, tmp_path / "run"
    command = run_command(server, run)
    command[2] = str(folder)
    done = invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "done 6" in done.output
    arguments = ["questions", "export", str(run), "--format", "parquet", "--out"]
    assert "6 samples" in invoke(app, [*arguments, str(tmp_path / "out")]).output
    rows = list(read_all(open_source(tmp_path / "out")))
    assert [(split, sample.sample_id) for split, sample in rows] == [
        (split, str(number)) for split in ("train", "validation") for number in (1, 2, 3)
    ]
    assert len({tuple(sample.questions) for _, sample in rows}) == 6
    assert "2 samples" in invoke(app, [*arguments, str(tmp_path / "few"), "--limit", "1"]).output
    few = list(read_all(open_source(tmp_path / "few")))
    assert [(split, sample.sample_id) for split, sample in few] == [("train", "1"), ("validation", "1")]


def test_identical_samples_are_paid_for_once_and_counted(server, ledger):
    server.delay = 0.1
    source = Splits(train=[record(f"s{n}") for n in range(8)], test=[record("other", shade=9)])
    outcome = generate(source, config_of(empty_share=0), ledger, server)
    assert (outcome.done, outcome.calls, outcome.shared) == (9, 6, 21)
    assert len(server.served) == 6
    assert ledger.summary()["identical"] == 7
    assert generate(source, config_of(empty_share=0), ledger, server).calls == 0


def unnumbered(question):
    return re.sub(r"number \d+", "", question)


def test_every_question_says_who_wrote_it_of_which_and_who_judged_it(server, ledger, source):
    server.wrap = lambda completion: completion | {"model": "gpt-4o-2024-08-06"}
    config = config_of(limit=3, empty_share=0, parameters={"temperature": 0.5, "max_tokens": 900})
    generate(source, config, ledger, server)
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    plain, reworded = ([unnumbered(stem.format(n="number 0")) for stem in stems] for stems in (STEMS, REWORDED))
    stages = set()
    for _, result in ledger.results():
        calls = {call["key"]: call for call in result.provenance}
        assert [origin["question"] for origin in result.origins] == result.questions
        for origin in result.origins:
            stages.add(origin["stage"])
            assert (origin["model"], origin["base_url"]) == ("gpt-4o-2024-08-06", url)
            assert origin["parameters"] == {"max_tokens": 900, "temperature": 0.5}
            assert origin["prompt"] == calls[origin["key"]]["prompt"]
            assert origin["time"] == calls[origin["key"]]["date"]
            assert origin["usd"] == pytest.approx(CALL / 10)  # ten questions share the call
            assert origin["judge"]["reason"] == "it fits"
            assert calls[origin["judge"]["key"]]["stage"] == "judge"
            if origin["stage"] == "propose":
                assert origin["parent"] is None
            else:  # the fake server rewords each of its questions in one way
                assert plain.index(unnumbered(origin["parent"])) == reworded.index(unnumbered(origin["question"]))
    assert stages == {"propose", "rewrite"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "gpt-4o-mini"}, "model of propose was gpt-4o and is now gpt-4o-mini"),
        ({"parameters": {"temperature": 0.7}}, "parameters was {} and is now {'temperature': 0.7}"),
        ({"empty_share": 0.5}, "empty share was 0 and is now 0.5"),
        ({"images": False}, "images was True and is now False"),
        ({"votes": 3}, "votes was 1 and is now 3"),
        ({"language": parse_language("de")}, "language was English/en and is now German/de"),
        ({"concepts": ("mosque", "mill")}, "concepts was 28 ("),
    ],
)
def test_a_run_is_one_recipe_and_another_needs_a_name(server, ledger, source, change, words):
    generate(source, config_of(limit=2, empty_share=0), ledger, server)
    other = config_of(**{"limit": 2, "empty_share": 0} | change)
    with pytest.raises(EarthReasonError) as refused:
        generate(source, other, ledger, server)
    assert words in str(refused.value)
    assert "--recipe NAME" in str(refused.value)
    first = list(ledger.results())
    second = Ledger(ledger.path, recipe="second")
    generate(source, other, second, server)
    assert list(ledger.results()) == first
    assert len(list(second.results())) == 2
    assert ledger.recipes() == ["main", "second"]


def test_answers_of_another_server_are_not_taken_for_those_of_this_one(server, ledger, source):
    generate(source, config_of(limit=1, empty_share=0), ledger, server)
    before = len(server.served)

    async def through_another_address():
        client = client_of(server)
        url = client.config.base_url.replace("127.0.0.1", "localhost")
        client.config = replace(client.config, base_url=url)
        async with client:
            return await GenerationRun(config_of(limit=1, empty_share=0), ledger, client).generate(source)

    with pytest.raises(EarthReasonError, match="base URL was http://127.0.0.1.* and is now http://localhost"):
        asyncio.run(through_another_address())
    ledger.recipe = "localhost"
    assert asyncio.run(through_another_address()).calls == 3
    assert len(server.served) == before + 3


def test_a_recipe_may_change_while_nothing_was_asked(server, ledger, source):
    ledger.store_recipe({"model of propose": "never asked"})
    assert generate(source, config_of(limit=1), ledger, server).done == 1


def test_a_higher_token_limit_asks_again_only_what_was_cut_off(server, ledger, source):

    def config(limit, samples):
        return config_of(limit=samples, empty_share=0, parameters={"max_tokens": limit})

    assert generate(source, config(400, 2), ledger, server).done == 2
    server.wrap = lambda completion: completion | {"choices": [completion["choices"][0] | {"finish_reason": "length"}]}
    first = generate(source, config(400, 4), ledger, server)
    assert (first.done, first.quarantined, first.calls) == (2, 2, 2)
    assert "cut off at the token limit" in list_quarantine(ledger)[0].reason
    paid = ledger.spent()
    assert generate(source, config(400, 4), ledger, server).calls == 0
    server.wrap = lambda completion: completion
    more = generate(source, config(600, 4), ledger, server)
    assert (more.done, more.calls) == (4, 6)
    assert ledger.spent() == pytest.approx(paid + 6 * CALL)
    for limit in (400, 5000):
        assert generate(source, config(limit, 4), ledger, server).calls == 0


def test_the_budget_is_used_up_although_many_requests_are_reserved(server, ledger, source):
    server.delay = 0.02
    outcome = generate(source, config_of(max_usd=0.3, empty_share=0), ledger, server, concurrency=32)
    assert "--max-usd" in outcome.stopped
    # 0.3 is 66 calls; a request reserves 2 x (about 2,000 tokens in, 1,000 out), which is 0.03, and 32 of them 0.96.
    assert 0.3 - 0.035 < ledger.spent() <= 0.3
    assert ledger.perhaps_paid() == 0


def test_samples_that_cannot_be_used_are_quarantined_and_the_others_go_on(server, ledger):
    good = record("good")
    hidden = {name: value for name, value in vars(good).items() if name not in ("mask", "is_empty", "sample_id")}
    source = Splits(
        test=[
            record("no picture", image=b"no picture at all"),
            record("cut off", image=good.image[: len(good.image) // 2]),
            record("no mask", mask=b"no mask"),
            HiddenLabel(sample_id="hidden", mask=b"", is_empty=False, **hidden),
            good,
        ]
    )
    outcome = generate(source, config_of(empty_share=0), ledger, server)
    assert (outcome.done, outcome.quarantined, outcome.complete) == (1, 4, False)
    reasons = {entry.sample_id: entry.reason for entry in list_quarantine(ledger)}
    assert set(reasons) == {"no picture", "cut off", "no mask", "hidden"}
    assert all(reason and "\n" not in reason for reason in reasons.values())
    assert "labels are hidden" in reasons["hidden"]


def test_quarantined_samples_are_asked_about_again_on_request_only(server, ledger, source):
    server.script = ["always junk"] * 2
    config = config_of(limit=3, empty_share=0)
    assert generate(source, config, ledger, server, concurrency=1).quarantined == 1
    assert generate(source, config, ledger, server).calls == 0
    paid = ledger.spent()
    assert set_aside_quarantined(ledger) == (1, 1)
    outcome = generate(source, config, ledger, server)
    assert (outcome.done, outcome.calls) == (3, 3)
    assert ledger.spent() == pytest.approx(paid + 3 * CALL)
    assert len({key for _, key, _ in server.served}) == len(server.served)  # else a server could repeat its answer


def test_a_sample_with_too_few_good_questions_is_asked_about_anew(server, ledger, source):
    reject = '"answerable": false'
    server.wrap = lambda completion: json.loads(
        json.dumps(completion).replace('\\"answerable\\": true', reject.replace('"', '\\"'))
    )
    config = config_of(limit=2, empty_share=0)
    assert generate(source, config, ledger, server).quarantined == 2
    assert [entry.reason[:5] for entry in list_quarantine(ledger)] == ["only ", "only "]
    server.wrap = lambda completion: completion
    assert set_aside_quarantined(ledger) == (2, 6)
    again = generate(source, config, ledger, server)
    assert (again.done, again.calls) == (2, 6)


def test_answers_that_came_are_kept_when_the_server_fails_for_a_sample(server, ledger, source):
    config = config_of(limit=1, empty_share=0)
    server.script = ["none", (400, {"error": {"message": "request is odd"}})]
    assert generate(source, config, ledger, server).quarantined == 1
    assert set_aside_quarantined(ledger) == (1, 0)
    assert generate(source, config, ledger, server).calls == 2


def test_a_stored_answer_of_another_form_quarantines_its_sample(server, ledger, source):
    config = config_of(limit=1, empty_share=0)
    generate(source, config, ledger, server)
    with ledger._db:
        ledger._db.execute("UPDATE calls SET content = '{\"old\": 1}' WHERE stage = 'rewrite'")
    assert generate(source, config, ledger, server).quarantined == 1
    assert "rewrite: the stored answer has another form" in list_quarantine(ledger)[0].reason


def run_command(server, out, *more):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return ["questions", "generate", "sample", "--out", str(out), "--base-url", url, "--empty-share", "0", *more]


def test_exit_codes_and_status_say_what_is_left(server, tmp_path):
    invoke, out = CliRunner().invoke, tmp_path / "run"
    server.script = ["always junk"] * 2
    left = invoke(app, run_command(server, out, "--limit", "3", "--concurrency", "1"))
    assert left.exit_code == 3
    assert "quarantined: 1 of 3 samples" in left.output
    listed = invoke(app, ["questions", "status", str(out), "--quarantine"])
    assert listed.exit_code == 0
    assert "propose: the answer does not have the requested form" in listed.output
    told = json.loads(invoke(app, ["questions", "status", str(out), "--quarantine", "--json", "-"]).stdout)
    assert [entry["split"] for entry in told["quarantine"]] == ["train"]
    assert invoke(app, ["questions", "retry", str(out), "--quarantined"]).exit_code == 0
    assert invoke(app, run_command(server, out, "--limit", "3")).exit_code == 0
    assert invoke(app, run_command(server, out, "--limit", "30", "--max-usd", "0.1")).exit_code == 3


def test_the_commands_know_recipes_by_name(server, tmp_path):
    invoke, out = CliRunner().invoke, tmp_path / "run"
    assert invoke(app, run_command(server, out, "--limit", "1", "--recipe", "first")).exit_code == 0
    assert "done 1" in invoke(app, ["questions", "status", str(out)]).output  # the only one
    other = run_command(server, out, "--limit", "1", "--model", "gpt-4o-mini")
    assert invoke(app, [*other, "--recipe", "second"]).exit_code == 0
    with pytest.raises(EarthReasonError, match="choose one with --recipe: first, second"):
        invoke(app, ["questions", "status", str(out)], catch_exceptions=False)
    with pytest.raises(EarthReasonError, match="unknown recipe 'secnd'; did you mean 'second'"):
        invoke(app, ["questions", "status", str(out), "--recipe", "secnd"], catch_exceptions=False)
    lines = tmp_path / "second.jsonl"
    arguments = ["questions", "export", str(out), "--recipe", "second", "--format", "jsonl", "--out", str(lines)]
    assert invoke(app, arguments).exit_code == 0
    assert json.loads(lines.read_text())["origins"][0]["model"] == "gpt-4o-mini"
