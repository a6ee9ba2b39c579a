"""Competition hosts: bundles for Codabench and EvalAI, and the scoring programs that run on them."""
