"""Intervals and paired tests of metrics that are ratios of sums.

Questions about one image are not independent, so images are the unit: they are resampled, swapped and counted as cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earthreason.metrics.proportions import adjusted_difference_interval, effective_cases, wilson_interval
from earthreason.metrics.scores import Terms

RESAMPLES = 10_000
MIN_IMAGES = 10
"""Least number of images with a question that counts, for an interval; fewer cannot support one."""
FEW_IMAGES = f"fewer than {MIN_IMAGES} images"
"""Reason for the absence of an interval, in tables and JSON."""
NARROWEST = 1e-3
"""Width of an interval that has seen hardly any variation between the images."""
_BLOCK_WEIGHTS = 4_000_000  # 32 MB of weights at a time
_DRAWN_TOGETHER = 1 << 18
"""Draws that become weights at once; a resample of more images is drawn whole."""
_IMAGES_TOGETHER = 1 << 17
"""Images whose sums are multiplied at once. Figures of larger sets may differ in the last digit from those of one
product."""


@dataclass(frozen=True)
class Interval:
    """A two-sided 95 % interval."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Difference of the ends, as a fraction."""
        return self.high - self.low

    def overlaps(self, other: Interval) -> bool:
        """Return whether both intervals contain a common value."""
        return self.low <= other.high and other.low <= self.high


def confidence_intervals(
    terms: Mapping[str, Terms], sample_id: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Compute the 95 % interval of every metric, by the method that suits it.

    A proportion has Wilson's interval for the effective number of cases (`effective_cases`). Other metrics have the
    bootstrap of `bootstrap_intervals`, or, if the images hardly vary, Wilson's interval for the number of images. The
    latter is wide enough for any score between 0 and 1, as none varies more than a proportion with the same mean.

    Args:
        terms: terms of n questions, by metric.
        sample_id: image of each question, (n,) str.
        resamples: number of resamples; 0 gives no intervals.
        seed: seed of the resamples.

    Returns:
        Intervals by metric, without undefined metrics and those of `metrics_with_few_images`.
    """
    if not resamples or not len(sample_id):
        return {}
    images, group = number_images(sample_id)
    few = _with_few_images(terms, group)
    ratios = {name: ratio for name, term in terms.items() if (ratio := term.ratio()) is not None and name not in few}
    others = [name for name in ratios if not terms[name].proportion]
    resampled = _resample(terms, others, images, group, resamples, seed)
    intervals = {}
    for name, ratio in ratios.items():
        if name in resampled and not (resampled[name].width < NARROWEST and 0 <= ratio <= 1):
            intervals[name] = resampled[name]
            continue
        term = terms[name]
        if term.proportion:
            counts = term.denominator > 0
            cases = effective_cases(term.numerator[counts], group[counts], (0, 1))
        else:
            cases = _effective_images(np.bincount(group, term.denominator, minlength=images))
        intervals[name] = Interval(*wilson_interval(ratio, cases))
    return intervals


def number_images(sample_id: np.ndarray) -> tuple[int, np.ndarray]:
    """Number the images in the order of their ids: return how many there are, and the number of each row, (n,) int.

    Args:
        sample_id: id of the image of every row, (n,) str; n is at least 1.
    """
    if (sample_id[1:] >= sample_id[:-1]).all():  # as tables of counts are: no copies of the ids
        group: np.ndarray = np.zeros(len(sample_id), np.int32)
        np.cumsum(sample_id[1:] != sample_id[:-1], out=group[1:])
        return int(group[-1]) + 1, group
    images, group = np.unique(sample_id.astype(str), return_inverse=True)
    return len(images), group


def metrics_with_few_images(terms: Mapping[str, Terms], sample_id: np.ndarray) -> list[str]:
    """List the defined metrics that count questions about fewer than `MIN_IMAGES` images.

    Args:
        terms: numerators and denominators by metric, each (n,) float64.
        sample_id: id of the image of every row, (n,) object array of str.
    """
    return _with_few_images(terms, number_images(sample_id)[1]) if len(sample_id) else []


def _with_few_images(terms: Mapping[str, Terms], group: np.ndarray) -> list[str]:
    return [name for name, term in terms.items() if 0 < _counted_images(term, group) < MIN_IMAGES]


def _counted_images(term: Terms, group: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(group[term.denominator > 0])))


def _effective_images(weights: np.ndarray) -> float:
    """Return how many equal images are as informative as images with these weights (Kish 1965, ch. 11)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _group_sums(terms: Sequence[Terms], group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum the numerators and the denominators of each image: (groups, metrics) each."""
    numerators = [np.bincount(group, term.numerator, minlength=groups) for term in terms]
    denominators = [np.bincount(group, term.denominator, minlength=groups) for term in terms]
    return np.stack(numerators, axis=1), np.stack(denominators, axis=1)


class _ImageSums:
    """Sums of each image by metric, held in the narrowest type that has them exactly."""

    def __init__(self) -> None:
        self._columns: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Add the sums of a metric, (images,) float64."""
        with np.errstate(invalid="ignore", over="ignore"):
            narrow = (values.astype(kind) for kind in (np.uint8, np.int32, np.float32))
            column = next((column for column in narrow if np.array_equal(column, values)), values)
        same = (other for other in self._columns if other.dtype == column.dtype and np.array_equal(other, column))
        self._columns.append(next(same, column))  # precision and recall share their numerator, for example

    def total(self, weights: np.ndarray) -> np.ndarray:
        """Sum over the images: (resamples, images) weights give (resamples, metrics) float64."""
        total = np.zeros((len(weights), len(self._columns)))
        for start in range(0, weights.shape[1], _IMAGES_TOGETHER):
            part = slice(start, start + _IMAGES_TOGETHER)
            total += weights[:, part] @ np.stack([column[part] for column in self._columns], axis=1, dtype=np.float64)
        return total


def _resample_weights(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each resample draws each image, in blocks: (resamples in block, groups) float64.

    Nothing here refers to a block that was yielded, so that its memory is free for the next one.
    """
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_WEIGHTS // max(groups, 1))
    for start in range(0, resamples, block):
        yield _draw_weights(generator, min(block, resamples - start), groups)


def _draw_weights(generator: np.random.Generator, resamples: int, groups: int) -> np.ndarray:
    weights = np.empty((resamples, groups))
    together = max(1, _DRAWN_TOGETHER // max(groups, 1))
    for start in range(0, resamples, together):
        part = weights[start : start + together]
        drawn = generator.integers(groups, size=part.shape)
        drawn += np.arange(len(part))[:, None] * groups
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return weights


def _ratios(numerators: np.ndarray, denominators: np.ndarray, epsilon: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominators == 0, np.nan, numerators / (denominators + epsilon))


def bootstrap_intervals(
    terms: Mapping[str, Terms], sample_id: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Compute 95 % percentile bootstrap intervals (Efron and Tibshirani 1993, ch. 13) over images.

    Args:
        terms: terms of n questions, by metric.
        sample_id: image of each question, (n,) str.
        resamples: number of resamples; 0 gives no intervals.
        seed: seed of the resamples.

    Returns:
        Intervals by metric, without the metrics that are undefined in most resamples.
    """
    if not terms or not len(sample_id) or not resamples:
        return {}
    images, group = number_images(sample_id)
    return _resample(terms, list(terms), images, group, resamples, seed)


def _resample(
    terms: Mapping[str, Terms], names: Sequence[str], images: int, group: np.ndarray, resamples: int, seed: int
) -> dict[str, Interval]:
    if not names:
        return {}
    numerators, denominators, epsilons = _ImageSums(), _ImageSums(), []
    for name in names:
        term = terms[name]
        numerators.add(np.bincount(group, term.numerator, minlength=images))
        denominators.add(np.bincount(group, term.denominator, minlength=images))
        epsilons.append(term.epsilon)
        del term  # before the next one is computed
    epsilon = np.array(epsilons)

    def ratios(weights: np.ndarray) -> np.ndarray:
        return _ratios(numerators.total(weights), denominators.total(weights), epsilon)

    drawn = np.concatenate(list(map(ratios, _resample_weights(images, resamples, seed))))
    intervals = {}
    for column, name in enumerate(names):
        values = drawn[:, column]
        values = values[~np.isnan(values)]
        if values.size > resamples / 2:
            low, high = np.percentile(values, [2.5, 97.5])
            intervals[name] = Interval(float(low), float(high))
    return intervals


@dataclass(frozen=True)
class Difference:
    """Difference between models A and B in one metric.

    Attributes:
        value: score of B minus score of A, as a fraction.
        interval: 95 % interval of the difference; None if it counts fewer than `MIN_IMAGES` images.
        p_value: two-sided p-value. That of `paired_differences` is the share of random swaps of the models' answers,
            image by image, whose difference is at least as large, the observed one counted (Phipson and Smyth 2010).
    """

    value: float
    interval: Interval | None
    p_value: float


def paired_differences(
    a: Mapping[str, Terms], b: Mapping[str, Terms], sample_id: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Difference]:
    """Compute the differences of all metrics that are defined for both models.

    A difference of proportions has the interval of `adjusted_difference_interval` for the effective number of cases.
    Other differences have a percentile bootstrap that draws the same images for both models, or, if the images hardly
    vary, the same interval as proportions, for the number of images.

    Args:
        a: terms of model A by metric, for n questions.
        b: terms of model B for the same questions in the same order.
        sample_id: image of each question, (n,) str.
        resamples: number of resamples, and of random swaps.
        seed: seed of the resamples and swaps.
    """
    names = [name for name in a if name in b and a[name].ratio() is not None and b[name].ratio() is not None]
    if not names or not len(sample_id):
        return {}
    n, group = number_images(sample_id)
    num_a, den_a = _group_sums([a[name] for name in names], group, n)
    num_b, den_b = _group_sums([b[name] for name in names], group, n)
    epsilon = np.array([a[name].epsilon for name in names])
    observed = _ratios(num_b.sum(0), den_b.sum(0), epsilon) - _ratios(num_a.sum(0), den_a.sum(0), epsilon)

    def differences_of(weights: np.ndarray) -> np.ndarray:
        of_a, of_b = (_ratios(weights @ num, weights @ den, epsilon) for num, den in ((num_a, den_a), (num_b, den_b)))
        return of_b - of_a

    drawn = np.concatenate(list(map(differences_of, _resample_weights(n, resamples, seed))))
    extreme = np.ones(len(names))
    generator = np.random.default_rng([seed, 1])
    block = max(1, _BLOCK_WEIGHTS // n)
    for start in range(0, resamples, block):
        swap = generator.integers(2, size=(min(block, resamples - start), n)).astype(np.float64)
        moved_num, moved_den = swap @ (num_b - num_a), swap @ (den_b - den_a)
        first = _ratios(num_a.sum(0) + moved_num, den_a.sum(0) + moved_den, epsilon)
        second = _ratios(num_b.sum(0) - moved_num, den_b.sum(0) - moved_den, epsilon)
        # Differences that are equal up to rounding count as equal.
        extreme += (np.abs(second - first) >= np.abs(observed) - 1e-12).sum(axis=0)
    differences = {}
    for column, name in enumerate(names):
        value = float(observed[column])
        interval = None
        if min(_counted_images(a[name], group), _counted_images(b[name], group)) >= MIN_IMAGES:
            interval = Interval(*map(float, np.nanpercentile(drawn[:, column], [2.5, 97.5])))
            if a[name].proportion and np.array_equal(a[name].denominator, b[name].denominator):
                interval = _proportion_difference(a[name], b[name], group)
            elif interval.width < NARROWEST:
                cases = _effective_images(den_a[:, column] + den_b[:, column])
                interval = Interval(*adjusted_difference_interval(max(value, 0), max(-value, 0), cases))
        differences[name] = Difference(value, interval, float(extreme[column] / (resamples + 1)))
    return differences


def _proportion_difference(a: Terms, b: Terms, group: np.ndarray) -> Interval:
    counts = a.denominator > 0
    change = (b.numerator - a.numerator)[counts]
    cases = effective_cases(change, group[counts], (-1, 1))
    return Interval(*adjusted_difference_interval(float((change > 0).mean()), float((change < 0).mean()), cases))
