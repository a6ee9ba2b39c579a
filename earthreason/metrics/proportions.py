"""Intervals of proportions and of their paired differences, also where several questions are about one image.

The resamples of a bootstrap cannot contain an outcome that the data lack: from 11 correct answers of 11 it concludes
100 to 100 %. These formulas do not have that fault.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

Z95 = 1.959963984540054
"""97.5th percentile of the normal distribution."""


def wilson_interval(share: float, cases: float) -> tuple[float, float]:
    """Compute the 95 % score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Args:
        share: observed proportion, 0 to 1.
        cases: number of independent cases; it may be a fraction.
    """
    centre = share + Z95**2 / (2 * cases)
    half = Z95 * sqrt(share * (1 - share) / cases + Z95**2 / (4 * cases**2))
    scale = 1 + Z95**2 / cases
    return max(0.0, min(share, (centre - half) / scale)), min(1.0, max(share, (centre + half) / scale))


def adjusted_difference_interval(gains: float, losses: float, cases: float) -> tuple[float, float]:
    """Compute the 95 % interval of a difference of paired proportions: gains minus losses.

    Source: Bonett and Price 2012, J. Educ. Behav. Stat. 37:479; recommended by Fagerland, Lydersen and Laake 2014,
    Stat. Med. 33:2850.

    Args:
        gains: share of the cases that only the second model gets right.
        losses: share of the cases that only the first model gets right.
        cases: number of independent cases; it may be a fraction.
    """
    gained, lost = ((share * cases + 1) / (cases + 2) for share in (gains, losses))
    centre, half = gained - lost, Z95 * sqrt((gained + lost - (gained - lost) ** 2) / (cases + 2))
    return max(-1.0, centre - half), min(1.0, centre + half)


def effective_cases(values: np.ndarray, group: np.ndarray, extremes: tuple[float, float]) -> float:
    """Compute how many independent cases are as informative as these, which share images.

    This is the number of cases divided by the design effect, the variance of the mean over images relative to that of
    as many independent cases (Kish 1965, Survey Sampling, ch. 5; for Wilson's interval: Korn and Graubard 1998, Surv.
    Methodol. 24:193). With few cases of one kind, the estimate of the design effect is poor; with none, it is
    impossible. Therefore half an image with all values at either extreme is added to both variances. The effect is at
    least 1 and at most the number of cases per image, which makes it exactly 1 where each image has one.

    Args:
        values: value of each of n cases, (n,) float64.
        group: number of the image of each case, (n,) int.
        extremes: smallest and largest possible value.
    """
    sizes = np.bincount(group)
    sums = np.bincount(group, values)[sizes > 0]
    sizes = sizes[sizes > 0]
    n, images = len(values), len(sizes)
    largest = float((sizes**2).sum() / n)  # the effect if all cases of an image agreed
    ends = np.array(extremes)
    mean = (values.sum() + largest * ends.sum() / 2) / (n + largest)
    variance = ((values**2).sum() + largest * (ends**2).sum() / 2) / (n + largest) - mean**2
    residuals = ((sums - mean * sizes) ** 2).sum() + ((largest * (ends - mean)) ** 2).sum() / 2
    design_effect = residuals / (images + 1) * images / (n * variance)
    return float(n / np.clip(design_effect, 1, largest))
