import numpy as np

from earthreason.synthetic.sizes import draw_size


def test_sizes_have_the_sides_and_ratios_of_the_real_set():
    rng = np.random.default_rng(0)
    sizes = np.array([draw_size(rng) for _ in range(4000)])
    ratios = sizes.max(1) / sizes.min(1)
    assert sizes.min() >= 123
    assert sizes.max() <= 2048
    assert ratios.max() <= 3.02  # sides are whole pixels
    assert 0.37 < (ratios == 1).mean() < 0.43
    assert 0.44 < (sizes[ratios > 1][:, 0] > sizes[ratios > 1][:, 1]).mean() < 0.56
    roots = np.sqrt(sizes.prod(1))
    assert 0.1 < (roots > 724).mean() < 0.14
