"""Rates by steps and by the clock."""

from types import SimpleNamespace

import pytest
import torch
from transformers import get_linear_schedule_with_warmup

from baselines.training.config import OptimConfig
from baselines.training.pace import Pace, rate_at


def clock_at(minutes):
    return SimpleNamespace(facts=lambda: {"seconds": 60 * minutes})


ALONE = SimpleNamespace(num_processes=1)


@pytest.mark.parametrize(("share", "rate"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (2, 0)])
def test_the_rate_rises_in_a_line_and_falls_in_a_cosine(share, rate):
    assert rate_at(share, 0.1) == pytest.approx(rate, abs=1e-12)


def test_the_linear_schedule_is_that_of_transformers():
    pace = Pace.of(OptimConfig(steps=5000, warmup_share=0.02, schedule="linear"), 1)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    reference = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=100, num_training_steps=5000).lr_lambdas[0]
    steps = (0, 1, 50, 99, 100, 101, 2550, 4999, 5000)
    assert [pace.rate(step) for step in steps] == pytest.approx([reference(step) for step in steps])
    assert pace.rate(2550) == pytest.approx(0.5)


def test_epochs_make_the_steps_where_none_are_given():
    assert Pace.of(OptimConfig(epochs=3), 7).steps == 21


def test_warm_up_by_steps_takes_whole_steps():
    pace = Pace.of(OptimConfig(steps=50, warmup_share=0.03), 1)
    assert [pace.rate(step) for step in (0, 1, 2)] == pytest.approx([0, 0.5, 1])


def test_a_run_by_the_clock_goes_by_the_clock_alone():
    pace = Pace.of(OptimConfig(minutes=10, warmup_share=0.1), 1)
    rates = []
    for minutes in (0, 0.5, 1, 5.5, 10):
        pace.tick(clock_at(minutes), ALONE)
        rates.append(pace.rate(12345))
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert pace.over(1)


def test_a_run_by_steps_never_looks_at_the_clock():
    pace = Pace.of(OptimConfig(steps=10), 1)
    pace.tick(SimpleNamespace(), ALONE)
    assert not pace.over(9)
    assert pace.over(10)
