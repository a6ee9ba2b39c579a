"""Intervals and tests of mean scores of models that were trained several times, over seeds and images.

Every training of a model answers the same images, so its scores are a table of seeds by images. Seeds are a random
effect: another seed gives other scores. They differ between models, images do not. This is the design of studies in
which readers differ by treatment and all read the same cases, and its estimates are those of two-way analysis of
variance: the variance of the mean of S seeds and n images is (MS_images + MS_seeds - MS_residual) / (n S) (Obuchowski
and Rockette 1995, Commun. Stat. Simul. 24:285; with readers nested in treatments: Hillis 2014, Stat. Med. 33:330).

Few seeds make their variance uncertain, so intervals and p-values are from Student's t with Satterthwaite's degrees of
freedom (1946, Biom. Bull. 2:110), as in Welch's test, to which this one reduces if the images do not matter. The
percentile bootstrap over seeds and images estimates the same variance, but with 5 seeds it finds four fifths of that
of the seeds, and knows no degrees of freedom: at the level of 5 % it called 7 % of 1,200 simulated pairs of equal
models different if seeds varied by 2 points, and 12 % if by 4. tests/metrics/test_seeds.py counts how often this test
does, and how often one that ignores seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from scipy import special

from earthreason.metrics.proportions import adjusted_difference_interval, wilson_interval
from earthreason.metrics.statistics import MIN_IMAGES, NARROWEST, Difference, Interval


@dataclass(frozen=True)
class _Part:
    """Part of the variance of a mean, estimated with so many degrees of freedom."""

    variance: float
    freedom: float


def seeded_interval(values: np.ndarray) -> Interval | None:
    """Compute the 95 % interval of the mean score of a model over seeds and images.

    With a single seed, the interval holds for that training only, or for a model without training. If the scores hardly
    vary, the interval is Wilson's for the number of images, as in `confidence_intervals`.

    Args:
        values: score of every image from 0 to 1, (seeds, images) float64.

    Returns:
        The interval; None for fewer than `MIN_IMAGES` images.
    """
    images = values.shape[1]
    if images < MIN_IMAGES:
        return None
    mean = float(values.mean())
    half, _ = _half_width_and_freedom([_of_images(values.mean(0)), *_of_seeds(values)])
    if 2 * half < NARROWEST:
        return Interval(*wilson_interval(mean, images))
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def seeded_difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Compute the difference of the mean scores of two models over seeds and images, and test it.

    The images are paired, the seeds are not. That is on the safe side where the same seed favours both models.

    Args:
        a: scores of model A from 0 to 1, (seeds of A, images) float64; a single row for a model without training.
        b: scores of model B for the same images in the same order, (seeds of B, images) float64.

    Raises:
        ValueError: the numbers of images differ.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{a.shape[1]} and {b.shape[1]} images cannot be paired")
    value, images = float(b.mean() - a.mean()), a.shape[1]
    if images < 2:
        return Difference(value, None, 1.0)
    half, freedom = _half_width_and_freedom([_of_images(b.mean(0) - a.mean(0)), *_of_seeds(a), *_of_seeds(b)])
    error = half / special.stdtrit(freedom, 0.975)
    extremity = abs(value) / error if error else inf if value else 0.0
    p_value = float(2 * special.stdtr(freedom, -extremity))
    interval = None
    if images >= MIN_IMAGES:
        interval = Interval(value - half, value + half)
        if interval.width < NARROWEST:
            interval = Interval(*adjusted_difference_interval(max(value, 0), max(-value, 0), images))
    return Difference(value, interval, p_value)


def _of_images(means: np.ndarray) -> _Part:
    """Estimate the part of the images from the means over the seeds, (images,); it includes the residual's."""
    return _Part(float(means.var(ddof=1)) / len(means), len(means) - 1)


def _of_seeds(values: np.ndarray) -> list[_Part]:
    """Estimate what the seeds add to the variance of the mean of (seeds, images) values.

    The variance of the means of the seeds includes the residual's, which that of the images has already; it is
    subtracted. If that leaves nothing, the seeds add nothing.
    """
    seeds, images = values.shape
    if seeds < 2:
        return []
    of_seed, of_image = values.mean(1, keepdims=True), values.mean(0)
    freedom = (seeds - 1) * (images - 1)
    residual = float(((values - of_seed - of_image + values.mean()) ** 2).sum()) / freedom / values.size
    between = float(of_seed.var(ddof=1)) / seeds
    return [_Part(between, seeds - 1), _Part(-residual, freedom)] if between > residual else []


def _half_width_and_freedom(parts: Sequence[_Part]) -> tuple[float, float]:
    """Return half the width of the 95 % interval, and Satterthwaite's degrees of freedom of the summed variance."""
    variance = sum(part.variance for part in parts)
    uncertainty = sum(part.variance**2 / part.freedom for part in parts)
    freedom = variance**2 / uncertainty if uncertainty else parts[0].freedom
    return float(special.stdtrit(freedom, 0.975)) * sqrt(variance), freedom


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that the chance of any false finding is the level (Holm 1979).

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
        [0.03, 0.06, 0.06, 0.02]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[number]))
        corrected[number] = largest
    return corrected
