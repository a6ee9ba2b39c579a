"""Scores as a `torchmetrics.Metric`, for Lightning and torchrun. Needs torch and torchmetrics."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from earthreason.errors import EarthReasonError
from earthreason.metrics.accumulator import RegionAccumulator, score_added, without_repeats
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.inputs import MaskLike
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, get_protocol
from earthreason.metrics.scores import compute_scores, terms_of

_COLUMNS = [column.name for column in fields(RegionCounts) if column.name != "sample_id"]


class PixelReasoningMetric(Metric):
    """All scores of one protocol, over all ranks.

    The state is a table of integers with one row per question, which the ranks gather. Samples that a distributed
    sampler repeats count once. `compute` returns a dict of Python floats (None where a score is undefined).
    """

    full_state_update = False
    higher_is_better = True
    rows: list[torch.Tensor] | torch.Tensor

    def __init__(self, protocol: str | Protocol = DEFAULT_PROTOCOL, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.protocol = get_protocol(protocol)
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(
        self,
        predictions: Sequence[MaskLike | torch.Tensor | None],
        truths: Sequence[MaskLike | torch.Tensor],
        sample_ids: Sequence[str],
        question_indices: Sequence[int] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            predictions: (height, width) masks at the images' own size; None for "no target".
            truths: masks of the targets.
            sample_ids: ids of the images.
            question_indices: indices of the questions; 0 by default.

        Raises:
            EarthReasonError: lengths or sizes differ, or a value is not a mask.
        """
        indices = [0] * len(sample_ids) if question_indices is None else question_indices
        if not len(predictions) == len(truths) == len(sample_ids) == len(indices):
            raise EarthReasonError(
                f"a batch has one truth and one id per prediction; got {len(predictions)} predictions, {len(truths)} "
                f"truths, {len(sample_ids)} ids and {len(indices)} question indices"
            )
        judge = RegionAccumulator([self.protocol])
        for prediction, truth, sample_id, index in zip(predictions, truths, sample_ids, indices, strict=True):
            target = _on_cpu(truth)
            assert target is not None
            judge.update(sample_id, _on_cpu(prediction), target, int(index))
        rows = _rows(judge.tables()[self.protocol.view])
        assert isinstance(self.rows, list)
        self.rows.append(rows.to(self.device))

    def compute(self) -> dict[str, float | None]:
        """Return the scores as fractions, by name."""
        rows = dim_zero_cat(self.rows) if len(self.rows) else torch.zeros((0, 1 + len(_COLUMNS)), dtype=torch.int64)
        return compute_scores(terms_of(score_added(without_repeats(_table(rows.cpu())), self.protocol)))


def _on_cpu(mask: MaskLike | torch.Tensor | None) -> MaskLike | None:
    return mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else mask


def _hash(sample_id: str) -> int:
    """Turn an id into a 63-bit integer, as tensors hold. A million ids collide with odds below 1 in 10 million."""
    return int.from_bytes(hashlib.blake2b(sample_id.encode(), digest_size=8).digest(), "big") >> 1


def _rows(table: RegionCounts) -> torch.Tensor:
    """Turn a table into (n, columns) int64; the first column is the hash of the id."""
    ids = torch.tensor([_hash(sample_id) for sample_id in table.sample_id], dtype=torch.int64)
    columns = [torch.as_tensor(getattr(table, name).astype("int64")) for name in _COLUMNS]
    return torch.stack([ids, *columns], dim=1)


def _table(rows: torch.Tensor) -> RegionCounts:
    unique = torch.unique(rows, dim=0).numpy()  # sorted by id, then question; repeats gone
    return RegionCounts.from_columns(dict(zip(("sample_id", *_COLUMNS), unique.T, strict=True)))
