"""The compiler on a GPU; a file of its own, as it takes longest."""

import pytest
import torch

from tests.baselines.segearth_r1.test_gpu import QUESTIONS, pictures, predictor_on

pytestmark = pytest.mark.gpu


def test_inference_compiles_into_one_graph(gpu):
    predictor = predictor_on(gpu)
    batch = predictor._prepare(pictures(), QUESTIONS)
    expected, *_ = predictor._forward(batch)
    # Making kernels for a CPU takes minutes; there, the graph is only captured.
    backend = "inductor" if gpu == "cuda" else "eager"
    predictor.compiled = True
    predictor._ask = torch.compile(predictor._ask_plainly, fullgraph=True, backend=backend)
    found, *_ = predictor._forward(batch)
    assert torch.allclose(found, expected, atol=2e-3 * float(expected.abs().max()))
    longer = predictor._prepare(pictures(), [question + " and why is that so?" for question in QUESTIONS])
    with torch.compiler.set_stance("fail_on_recompile"):
        predictor._forward(longer)
