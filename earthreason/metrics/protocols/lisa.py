"""LISA's evaluator of ReasonSeg."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="lisa",
        title="LISA / ReasonSeg",
        rank=50,
        configs=("reasonseg", "gres"),  # GRES: LISAt's eval_lisat.py has the same rules
        paper="LISA, arXiv 2308.00692",
        evaluator="github.com/dvlab-research/LISA, train_ds.py validate",
        grid=Grid("native"),
        ignore=True,
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        float_type="float32",
        explanation="Masks are compared at native size, for the first question only. The IoU is I / (U + 1e-5), or 1 "
        "if the union is 0. Pixels of ReasonSeg's 'ignore' shapes count nowhere. Pr@X is not computed. LISA's "
        "multi-GPU runs repeat samples to fill the last batch; here every sample counts once.",
    )
)
