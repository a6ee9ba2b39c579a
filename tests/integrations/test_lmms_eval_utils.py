"""The functions and files of the lmms-eval tasks, without lmms-eval: questions asked, states, figures, settings."""

import importlib.util
import json

import numpy as np
import pytest
import yaml
from PIL import Image

from earthreason import evaluate, load_dataset
from earthreason.data.configs import CONFIGS
from earthreason.errors import UnknownNameError
from earthreason.grounding.scoring import SCORES
from tests.conftest import ROOT
from tests.integrations.written_answers import records_of

FOLDER = ROOT / "integrations" / "lmms_eval"
TASKS = sorted(FOLDER.glob("[!_]*.yaml"))


@pytest.fixture
def utils(monkeypatch):
    for setting in ("COORDINATES", "PROTOCOL", "SAM", "DEVICE"):
        monkeypatch.delenv(f"EARTHREASON_{setting}", raising=False)
    spec = importlib.util.spec_from_file_location("utils", FOLDER / "utils.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def states_of(utils, rows, answers):
    return [utils.process_results(row, [answers[row["questions"][0]]]) for row in utils.ask_questions(rows)]


def figures_of(utils, states):
    return {name: getattr(utils, name)([state[name] for state in states]) for name in states[0]}


def test_the_figures_are_those_of_evaluate(utils, rows, written):
    answers, masks, _ = written
    states = json.loads(json.dumps(states_of(utils, rows, answers)))
    found, expected = figures_of(utils, states), evaluate(records_of(masks), rows)
    assert found["box_giou"] == expected["gIoU"]
    assert found["box_ciou"] == expected["cIoU"]
    assert found["box_acc"] == expected["Acc@0.5"]
    assert found["n_acc"] == expected["N-acc"] == 1 / 3
    assert found["t_acc"] == expected["T-acc"]
    assert set(found) == {name for name in SCORES if not name.startswith("mask_")}


def test_an_undefined_score_is_not_a_number(utils, rows):
    full = rows.filter(lambda empty: not empty, input_columns="is_empty").select(range(2))
    states = states_of(utils, full, dict.fromkeys((row["questions"][0] for row in full), "none"))
    assert np.isnan(figures_of(utils, states)["n_acc"])


def test_no_answer_at_all_is_unreadable(utils, rows):
    row = utils.ask_questions(rows)[0]
    assert utils.unreadable([utils.process_results(row, [None])["unreadable"]]) == 1


@pytest.mark.parametrize("protocol", ["segearth-r1", "rrsis-d", "think2seg-rs"])
def test_the_protocol_says_which_questions_are_asked(utils, monkeypatch, rows, protocol):
    from earthreason.metrics.evaluate import scored_questions
    from earthreason.metrics.inputs import as_references
    from earthreason.metrics.protocols import get_protocol

    monkeypatch.setenv("EARTHREASON_PROTOCOL", protocol)
    asked = utils.ask_questions(rows)
    assert "image" in asked.column_names
    keys = list(zip(asked["sample_id"], asked["question_index"], strict=True))
    assert keys == scored_questions(as_references(rows), get_protocol(protocol))
    doc = asked[len(asked) - 1]
    assert doc["questions"][doc["question_index"]] in utils.doc_to_text(doc)


def test_the_image_and_the_prompt_agree_on_pixels(utils, monkeypatch):
    doc = {
        "image": Image.new("L", (300, 200)),
        "width": 300,
        "height": 200,
        "questions": ["Where?"],
        "question_index": 0,
    }
    (image,) = utils.doc_to_visual(doc)
    assert (image.size, image.mode) == ((300, 200), "RGB")
    assert "from 0 to 1000" in utils.doc_to_text(doc)
    monkeypatch.setenv("EARTHREASON_COORDINATES", "pixels")
    (image,) = utils.doc_to_visual(doc)
    assert image.size == (308, 196)  # multiples of 28, as Qwen2.5-VL resizes
    assert "308 wide and 196 high" in utils.doc_to_text(doc)


def test_what_a_model_wants_around_the_prompt_is_there(utils, rows):
    doc = utils.ask_questions(rows)[0]
    text = utils.doc_to_text(doc, {"pre_prompt": "A: ", "post_prompt": " :Z"})
    assert text == f"A: {utils.doc_to_text(doc)} :Z"


def test_unknown_settings_are_named(utils, monkeypatch, rows):
    doc = utils.ask_questions(rows)[0]
    monkeypatch.setenv("EARTHREASON_COORDINATES", "pixel")
    with pytest.raises(UnknownNameError, match="did you mean 'pixels'"):
        utils.doc_to_text(doc)
    monkeypatch.setenv("EARTHREASON_PROTOCOL", "natve")
    with pytest.raises(UnknownNameError, match="did you mean 'native'"):
        utils.ask_questions(rows)


def test_sam_makes_masks_that_are_scored_beside_the_boxes(utils, monkeypatch, tmp_path, rows, written):
    pytest.importorskip("transformers")
    from baselines.vlm_sam.masks import load_mask_maker
    from tests.integrations.tiny_sam import save_sam

    save_sam(tmp_path)
    monkeypatch.setenv("EARTHREASON_SAM", str(tmp_path))
    few = rows.select([0, 1])
    answers, masks, _ = written
    assert not any(isinstance(masks[row["sample_id"]], str) for row in few)
    found = figures_of(utils, states_of(utils, few, answers))
    assert found["box_giou"] == evaluate({row["sample_id"]: masks[row["sample_id"]] for row in few}, few)["gIoU"]
    maker = load_mask_maker(str(tmp_path), "cpu", "float32")
    drawn = {row["sample_id"]: maker.draw(row["image"], fractions_of(answers[row["questions"][0]])) for row in few}
    result = evaluate(drawn, few)
    assert (found["mask_giou"], found["mask_ciou"]) == (result["gIoU"], result["cIoU"])


def fractions_of(answer):
    """Regions of an answer in thousandths, as fractions."""
    from earthreason.grounding.answers import Target, read_answer

    def divide(values):
        return [value / 1000 for value in values]

    found = read_answer(answer).targets
    return [Target(box=target.box and divide(target.box), points=list(map(divide, target.points))) for target in found]


class _Loader(yaml.SafeLoader):
    """Reads `!function utils.name` as a text."""


_Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_every_task_has_its_name_and_a_configuration(path):
    task = yaml.load(path.read_text(), _Loader)
    assert task["task"] == path.stem
    assert task["include"] == "_earthreason.yaml"
    assert task["dataset_name"] in CONFIGS


def test_every_function_that_the_tasks_name_exists_and_every_score_is_aggregated(utils):
    shared = yaml.load((FOLDER / "_earthreason.yaml").read_text(), _Loader)
    functions = [value for value in shared.values() if isinstance(value, str) and value.startswith("utils.")]
    functions += [metric["aggregation"] for metric in shared["metric_list"]]
    assert all(callable(getattr(utils, name.removeprefix("utils."))) for name in functions)
    assert [metric["metric"] for metric in shared["metric_list"]] == list(SCORES)
    assert [m["aggregation"] for m in shared["metric_list"]] == [f"utils.{name}" for name in SCORES]
    assert [m["metric"] for m in shared["metric_list"] if not m["higher_is_better"]] == ["unreadable"]


def test_each_figure_has_its_own_name(utils):
    split = load_dataset("earthreason", "sample", split="test[:3]")
    states = states_of(utils, split, dict.fromkeys((row["questions"][0] for row in split), "prose"))
    assert figures_of(utils, states)["unreadable"] == 1
    assert figures_of(utils, states)["box_giou"] == 0
