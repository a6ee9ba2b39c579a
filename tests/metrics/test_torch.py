"""The judge as a torchmetrics.Metric in one process: values, types, names and torchmetrics' own operations."""

import math
import pickle
import re

import matplotlib as mpl
import numpy as np
import pytest

from earthreason import evaluate
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.metrics.protocols import PROTOCOLS

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")
mpl.use("agg")

from earthreason.metrics.torch import PixelReasoningMetric, log_name  # noqa: E402

# By hand, at the masks' own size: "a" has 4 of its 8 pixels predicted, "b" is empty and answered as empty.
FIELD = np.zeros((4, 6), bool)
FIELD[1:3, 1:5] = True
HALF = FIELD & (np.arange(6) < 3)
NOTHING = np.zeros((4, 6), bool)
SQUARE = np.ones((1024, 1024), bool)
BY_HAND = {"gIoU": 0.75, "cIoU": 0.5, "Pr_0_5": 0.5, "N-acc": 1.0, "T-acc": 1.0, "gIoU_targets": 0.5, "recall": 0.5}


def filled(metric=None):
    metric = metric or PixelReasoningMetric("native")
    metric.update([torch.from_numpy(HALF)], [torch.from_numpy(FIELD)], ["a"])
    metric.update([None], [NOTHING], ["b"])
    return metric


def assert_by_hand(metric):
    scores = metric.compute()
    assert {name: scores[name].item() for name in BY_HAND} == pytest.approx(BY_HAND, abs=1e-12)


def test_scores_are_tensors_without_axes_with_the_values_worked_by_hand():
    scores = filled().compute()
    assert_by_hand(filled())
    assert all(value.shape == () and value.dtype == torch.float64 for value in scores.values())


def test_pixel_scores_are_those_of_torchmetrics_itself():
    generator = torch.Generator().manual_seed(0)
    pairs = [[torch.rand(20, 30, generator=generator) < share for share in (0.4, 0.3)] for _ in range(12)]
    metric = PixelReasoningMetric("native")
    metric.update(*zip(*pairs, strict=True), range(12))
    found = metric.compute()
    kinds = {"cIoU": "BinaryJaccardIndex", "precision": "BinaryPrecision", "recall": "BinaryRecall"}
    for name, kind in kinds.items():
        theirs = getattr(torchmetrics.classification, kind)()
        for prediction, truth in pairs:
            theirs.update(prediction.int(), truth.int())
        assert found[name].item() == pytest.approx(theirs.compute().item(), abs=1e-6), name
    by_image = {"gIoU": torchmetrics.functional.jaccard_index, "Dice": torchmetrics.functional.f1_score}
    for name, score in by_image.items():
        values = [score(prediction.int(), truth.int(), task="binary").item() for prediction, truth in pairs]
        assert found[name].item() == pytest.approx(np.mean(values), abs=1e-6), name


def test_undefined_scores_are_nan_and_names_do_not_depend_on_the_data():
    metric = PixelReasoningMetric("native")
    with pytest.warns(UserWarning, match="before the ``update``"):
        nothing = metric.compute()
    assert all(math.isnan(value) for value in nothing.values())
    assert list(nothing) == list(filled().compute()) == list(metric.names)
    metric.update([None], [NOTHING], ["b"])
    assert math.isnan(metric.compute()["T-acc"])
    assert metric.compute()["N-acc"] == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_are_safe_in_loggers_and_map_to_the_judges(protocol):
    metric = filled(PixelReasoningMetric(protocol))
    scores = metric.compute()
    judged = evaluate({"a": HALF, "b": None}, {"a": FIELD, "b": NOTHING}, protocol, resamples=0)
    assert all(re.fullmatch(r"[A-Za-z0-9_/-]+", name) for name in scores)
    assert len(scores) == len(set(metric.names.values())) >= len(judged.scores) - 1
    for name, value in scores.items():
        assert log_name(metric.names[name]) == name
        expected = judged[metric.names[name]]
        assert value.item() == pytest.approx(math.nan if expected is None else expected, nan_ok=True)


def test_ids_and_indices_may_be_tensors_and_masks_one_tensor():
    metric = PixelReasoningMetric("native")
    metric.update(
        torch.from_numpy(np.stack([HALF, NOTHING])),
        torch.from_numpy(np.stack([FIELD, NOTHING])).bfloat16(),
        torch.tensor([3, 4]),
        torch.tensor([0, 0]),
    )
    metric.update([HALF, None], [FIELD, NOTHING], ["3", 4])  # the same questions again, as a sampler repeats them
    assert_by_hand(metric)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (([None], [], ["x"]), "one truth and one id per prediction; got 1 prediction, 0 truths, 1 id"),
        (([HALF], [FIELD], "x"), "sample_ids: a batch is a list with one value per question, not str"),
        (({"x": HALF}, [FIELD], ["x"]), "predictions: a batch is a list"),
        (([HALF], [FIELD], {"x"}), "sample_ids: a batch is a list.*not set"),
        (([HALF], [FIELD], ["\udcff"]), "a text that UTF-8 can encode"),
        ((torch.zeros(1, 4, 6, device="meta"), [FIELD], ["x"]), "sample 'x': prediction: .*no data"),
        ((FIELD, [FIELD], ["x"]), "got 4 predictions"),
        (([HALF], [FIELD], torch.tensor(3)), "sample_ids: a batch is a list.*not Tensor"),
        (([HALF], [FIELD], ["x"], 0), "question_indices: a batch is a list.*not int"),
        (([HALF], [FIELD], ["x"], [-1]), "a question index is"),
        (([HALF], [FIELD], [0.5]), "a sample id is"),
        ((torch.zeros(1, 1, 4, 6), [FIELD], ["x"]), "sample 'x': prediction: .*squeeze"),
        (([HALF], [None], ["x"]), "sample 'x': ground truth: a mask is missing"),
        (([HALF, HALF - 0.5], [FIELD, FIELD], ["y", "x"]), "sample 'x': prediction: .*threshold it first"),
    ],
)
def test_a_faulty_batch_is_refused_and_leaves_the_state_alone(batch, words):
    metric = filled()
    with pytest.raises(EarthReasonError, match=words):
        metric.update(*batch)
    assert_by_hand(metric)


def test_two_answers_to_a_question_are_named_by_its_id():
    metric = filled()
    metric.update([None], [FIELD], ["a"])
    with pytest.raises(EarthReasonError, match="sample 'a' was added twice with different masks"):
        metric.compute()
    with pytest.raises(UnknownNameError):
        PixelReasoningMetric("nativ")


def test_states_of_other_protocols_are_not_merged_and_merged_samples_keep_their_ids():
    metric, other = PixelReasoningMetric("native"), PixelReasoningMetric("segearth-r1")
    metric.update([HALF], [FIELD], ["a"])
    other.update([None], [NOTHING], ["b"])
    with pytest.raises(EarthReasonError, match="cannot merge counts of protocol segearth-r1 into those of native"):
        metric.merge_state(other)
    assert metric.compute()["gIoU"] == 0.5
    twice = PixelReasoningMetric("native")
    for answer in (None, HALF):
        twice.update([answer], [FIELD], ["c"])
    metric.merge_state(twice)
    with pytest.raises(EarthReasonError, match="sample 'c' was added twice"):
        metric.compute()


def test_ignored_pixels_count_nowhere_where_the_protocol_says_so():
    # By hand: of the 8 target pixels, 4 are predicted; 2 further predicted pixels are ignored, so the IoU stays 4 / 8.
    ignored = np.zeros((4, 6), bool)
    ignored[0, :2] = True
    batch = torch.from_numpy(np.stack([HALF | ignored, NOTHING])), [FIELD, NOTHING], ["a", "b"]
    for regions in ([ignored, None], torch.from_numpy(np.stack([ignored, NOTHING])), [[ignored, NOTHING], None]):
        metric = PixelReasoningMetric("lisa")
        metric.update(*batch, ignores=regions)
        assert metric.compute()["cIoU"].item() == pytest.approx(4 / 8, abs=1e-6)
    metric = PixelReasoningMetric("lisa")
    metric.update(*batch)
    assert metric.compute()["cIoU"].item() == pytest.approx(4 / 10, abs=1e-6)
    with pytest.raises(EarthReasonError, match="2 question indices and 1 ignored region"):
        metric.update(*batch, ignores=[ignored])


def test_torchmetrics_operations_keep_the_scores(tmp_path):
    for copied in (filled().clone(), pickle.loads(pickle.dumps(filled())), filled().to("cpu"), filled().cpu()):
        assert_by_hand(copied)
        assert copied._scores[0]._whole[0] is copied
    reset = filled()
    reset.reset()
    assert not len(reset.rows)
    assert_by_hand(filled(reset))
    half = PixelReasoningMetric("native")
    half.update([torch.from_numpy(HALF)], [torch.from_numpy(FIELD)], ["a"])
    other = PixelReasoningMetric("native")
    other.update([None], [NOTHING], ["b"])
    half.merge_state(other)
    assert_by_hand(half)
    for option in ("sync_on_compute", "compute_with_cache"):
        assert_by_hand(filled(PixelReasoningMetric("native", **{option: False})))
    assert_by_hand(filled(PixelReasoningMetric("native", compute_on_cpu=True, dist_sync_on_step=True)))


def test_half_precision_leaves_the_integers_alone():
    for convert in (
        lambda m: m.half(),
        lambda m: m.set_dtype(torch.float16),
        lambda m: m.to(torch.bfloat16),
        lambda m: torch.nn.ModuleDict({"judge": m}).half()["judge"],
        lambda m: torch.nn.ModuleDict({"judge": m}).to(torch.float16)["judge"],
        lambda m: torchmetrics.MetricCollection({"judge": m}).set_dtype(torch.float16)["judge"],
    ):
        metric = convert(filled())
        assert torch.cat(list(metric.rows)).dtype == torch.int64
        assert_by_hand(metric)


def test_forward_returns_the_scores_of_the_batch_and_adds_it():
    metric = PixelReasoningMetric("native")
    assert metric([HALF], [FIELD], ["a"])["gIoU"] == 0.5
    assert metric([None], [NOTHING], ["b"])["gIoU"] == 1
    assert_by_hand(metric)


def test_state_dict_holds_the_state_where_it_is_persistent():
    assert not filled().state_dict()
    metric = filled()
    metric.persistent(True)
    model = torch.nn.ModuleDict({"judge": metric})
    assert list(model.state_dict()) == ["judge.rows"]
    restored = torch.nn.ModuleDict({"judge": PixelReasoningMetric("native")})
    restored["judge"].persistent(True)
    restored.load_state_dict(model.state_dict())
    assert_by_hand(filled(restored["judge"]))


@pytest.mark.parametrize("first", [([None], [NOTHING], ["b"]), ([SQUARE], [SQUARE], ["b"])])
def test_a_collection_keeps_protocols_apart_that_agree_on_the_first_batch(first):
    # Every number of the square is the same on the grid of 1024 and at its own size; only the second batch tells apart.
    protocols = ("segearth-r1", "rrsis-d", "native", "geo-r1")
    batches = [first, ([HALF], [FIELD], ["a"])]
    collection = torchmetrics.MetricCollection({name: PixelReasoningMetric(name) for name in protocols}, prefix="val/")
    single = torchmetrics.MetricCollection({"judge": PixelReasoningMetric("native")})
    alone = {name: PixelReasoningMetric(name) for name in protocols}
    for batch in batches:
        collection.update(*batch)
        single.update(*batch)
        for metric in alone.values():
            metric.update(*batch)
    found = collection.compute()
    for name, metric in alone.items():
        for score, value in metric.compute().items():
            assert found[f"val/{name}_{score}"].item() == pytest.approx(value.item(), nan_ok=True)
    assert single.compute()["gIoU"] == 0.75


def test_plots_show_every_score():
    metric = filled()
    _, axes = metric.plot()
    labels = {text.get_label() for text in axes.get_lines()}
    assert {"gIoU", "Pr_0_5"} <= labels
    _, axes = metric.plot([metric.compute(), metric.compute()])
    assert axes.get_lines()
    mpl.pyplot.close("all")


def test_a_batch_is_added_to_a_state_that_is_one_tensor():
    metric = PixelReasoningMetric("native")
    metric.update([HALF], [FIELD], ["a"])
    metric.rows = torch.cat(metric.rows)  # as after a checkpoint of all ranks
    metric.update([None], [NOTHING], ["b"])
    assert_by_hand(metric)
