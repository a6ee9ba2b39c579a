"""Scores as a `torchmetrics.Metric`, for Lightning and torchrun. Needs torch and torchmetrics."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from earthreason.errors import EarthReasonError
from earthreason.metrics.accumulator import RegionAccumulator, score_added, without_repeats
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, get_protocol
from earthreason.metrics.scores import compute_scores, get_metric, metrics_of, terms_of
from earthreason.metrics.values import MaskLike, sample_id_of
from earthreason.plurals import count_of

_COLUMNS = [column.name for column in fields(RegionCounts) if column.name != "sample_id"]
_BOUNDARY = get_metric("BIoU").name


def log_name(metric: str) -> str:
    """Return the name of a score that every logger accepts: other characters than `A-Z a-z 0-9 _ - /` become `_`.

    >>> log_name("Pr@0.5"), log_name("gIoU targets"), log_name("N-acc")
    ('Pr_0_5', 'gIoU_targets', 'N-acc')
    """
    return re.sub(r"[^A-Za-z0-9_/-]+", "_", metric)


class PixelReasoningMetric(Metric):
    """All scores of one protocol, over all ranks.

    The state is a table of integers with one row per question, which the ranks gather; a rank may have none. Samples
    that a distributed sampler repeats count once.

    In Lightning, call `update` and `self.log_dict(dict(metric.items()))` in `validation_step`. Lightning then computes
    the scores over the epoch and all ranks, and resets the metric. `self.log_dict(metric)` does the same, but type
    checkers refuse it.

    Attributes:
        protocol: scoring rules.
        names: name of each score in the judge's results (`Pr@0.5`) by its name here and in loggers (`Pr_0_5`).
    """

    full_state_update = False
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    rows: list[Tensor] | Tensor

    def __init__(self, protocol: str | Protocol = DEFAULT_PROTOCOL, **kwargs: Any) -> None:
        """Choose the scoring rules.

        Args:
            protocol: name of the scoring rules, or a `Protocol` of your own.
            **kwargs: options of `torchmetrics.Metric`, such as `sync_on_compute`.

        Raises:
            UnknownNameError: no protocol has that name.
        """
        super().__init__(**kwargs)
        self.protocol = get_protocol(protocol)
        self.names = {log_name(m.name): m.name for m in metrics_of(self.protocol) if m.name != _BOUNDARY}
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self._ids: dict[int, str] = {}
        self._scores = torch.nn.ModuleList(_Score(self, name) for name in self.names)

    def update(
        self,
        predictions: Sequence[MaskLike | list[MaskLike] | None] | Tensor,
        truths: Sequence[MaskLike | list[MaskLike]] | Tensor,
        sample_ids: Sequence[str | int] | Tensor,
        question_indices: Sequence[int] | Tensor | None = None,
        ignores: Sequence[MaskLike | list[MaskLike] | None] | Tensor | None = None,
    ) -> None:
        """Add a batch; after an error, nothing is added.

        Args:
            predictions: (height, width) masks at the images' own size, or None for "no target"; a (B, height, width)
                tensor holds B masks. Tensors may be on any device. A list of masks answers with several targets.
            truths: masks of the targets, in the same forms.
            sample_ids: ids of the images.
            question_indices: indices of the questions; 0 by default.
            ignores: pixels that count nowhere, in the same forms; None where there are none.

        Raises:
            EarthReasonError: lengths or sizes differ, or a value is not a mask, an id or an index.
        """
        answers, targets, ids = (
            _listed(values, what)
            for values, what in ((predictions, "predictions"), (truths, "truths"), (sample_ids, "sample_ids"))
        )
        indices = [0] * len(ids) if question_indices is None else _listed(question_indices, "question_indices")
        ignored = [None] * len(ids) if ignores is None else _listed(ignores, "ignores")
        if not len(answers) == len(targets) == len(ids) == len(indices) == len(ignored):
            raise EarthReasonError(
                f"a batch has one truth and one id per prediction; got {count_of(len(answers), 'prediction')}, "
                f"{count_of(len(targets), 'truth')}, {count_of(len(ids), 'id')}, "
                f"{count_of(len(indices), 'question index', 'question indices')} and "
                f"{count_of(len(ignored), 'ignored region')}"
            )
        judge = RegionAccumulator([self.protocol])
        for answer, target, sample_id, index, ignore in zip(answers, targets, ids, indices, ignored, strict=True):
            judge.update(sample_id, answer, target, index, ignore=ignore)
        keys = {self._hash(name): name for name in map(sample_id_of, ids)}
        rows = self._rows_of(judge.tables()[self.protocol.view]).to(self.device)
        self._ids.update(keys)
        # Checkpoints of a synchronised state hold one tensor.
        self.rows = [*self.rows, rows] if isinstance(self.rows, list) else [self.rows, rows]

    def compute(self) -> dict[str, Tensor]:
        """Return the scores as fractions by log name: float64 without axes, NaN where a score is undefined.

        Raises:
            EarthReasonError: a question was added twice with different masks.
        """
        table = _table(dim_zero_cat(self._filled()).cpu(), self._ids)
        scores = compute_scores(terms_of(score_added(without_repeats(table), self.protocol)))
        return {name: self._score(scores.get(judged)) for name, judged in self.names.items()}

    def items(self) -> Iterable[tuple[str, Metric]]:
        """Yield log names and metrics of the single scores, for `self.log_dict(dict(metric.items()))` of Lightning."""
        return zip(self.names, self._scores, strict=True)  # type: ignore[arg-type]

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Plot scores, as every metric of torchmetrics does.

        Args:
            val: value of `compute` or `forward`, or a list of them; the current scores by default.
            ax: axes of matplotlib to draw on.

        Returns:
            Figure and axes.
        """
        return self._plot(val, ax)

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the state of another metric.

        Raises:
            EarthReasonError: the other metric counts on another grid, or by other rules.
        """
        if isinstance(incoming_state, PixelReasoningMetric):
            mine, other = self.protocol, incoming_state.protocol
            if mine.view != other.view:
                raise EarthReasonError(f"cannot merge counts of protocol {other.name} into those of {mine.name}")
            self._ids.update(incoming_state._ids)
        super().merge_state(incoming_state)
        self._computed = None  # or `compute` would return the scores from before

    def set_dtype(self, dst_type: str | torch.dtype) -> PixelReasoningMetric:
        """Do nothing: the state holds integers, which another type would ruin."""
        return self

    def _sync_dist(
        self, dist_sync_fn: Callable[..., Any] = gather_all_tensors, process_group: Any | None = None
    ) -> None:
        self.rows = self._filled()
        super()._sync_dist(dist_sync_fn, process_group)

    def _filled(self) -> list[Tensor] | Tensor:
        """Return the rows or, if there are none, an empty table, so that all ranks gather the same shape and type."""
        return self.rows if len(self.rows) else [torch.zeros(0, 1 + len(_COLUMNS), dtype=torch.int64).to(self.device)]

    def _score(self, value: float | None) -> Tensor:
        width = torch.float32 if self.device.type == "mps" else torch.float64  # Apple's GPUs lack float64
        return torch.tensor(math.nan if value is None else value, dtype=width, device=self.device)

    def _hash(self, sample_id: str) -> int:
        """Turn an id into a 63-bit integer, as tensors hold. A million ids collide with odds below 1 in 10 million.

        The view is a part of it, because a `MetricCollection` merges metrics whose states are equal after a batch.
        """
        text = f"{self.protocol.view.name}:{sample_id}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1

    def _rows_of(self, table: RegionCounts) -> Tensor:
        """Turn a table into (n, columns) int64; the first column is the hash of the id."""
        ids = torch.tensor([self._hash(sample_id) for sample_id in table.sample_id], dtype=torch.int64)
        columns = [torch.as_tensor(getattr(table, name).astype("int64")) for name in _COLUMNS]
        return torch.stack([ids, *columns], dim=1)


class _Score(Metric):
    """One score of a `PixelReasoningMetric`, without a state of its own: Lightning logs single scores only."""

    full_state_update = False

    def __init__(self, whole: PixelReasoningMetric, name: str) -> None:
        super().__init__(compute_with_cache=False)
        self._whole, self.name = [whole], name  # in a list, because modules must not contain each other

    @property
    def update_called(self) -> bool:
        return self._whole[0].update_called

    @property  # type: ignore[override]
    def _forward_cache(self) -> Tensor | None:
        cache = self._whole[0]._forward_cache
        return None if cache is None else cache[self.name]

    @_forward_cache.setter
    def _forward_cache(self, value: object) -> None:
        pass

    def update(self, *_: Any, **__: Any) -> None:
        raise EarthReasonError("update the whole metric, not one of its scores")

    def compute(self) -> Tensor:
        return self._whole[0].compute()[self.name]

    def reset(self) -> None:
        self._whole[0].reset()


def _listed(values: Any, what: str) -> list[Any]:
    try:
        if isinstance(values, str | bytes | Mapping | set | frozenset):  # a set has no order
            raise TypeError
        return list(values)
    except TypeError:
        raise EarthReasonError(
            f"{what}: a batch is a list with one value per question, not {type(values).__name__}"
        ) from None


def _table(rows: Tensor, ids: dict[int, str]) -> RegionCounts:
    unique = torch.unique(rows, dim=0).numpy()  # sorted by id, then question; repeats gone
    table = dict(zip(("sample_id", *_COLUMNS), unique.T, strict=True))
    names = [ids.get(key) or f"of another process, with the hash {key:x}" for key in table["sample_id"].tolist()]
    return RegionCounts.from_columns({**table, "sample_id": names})
