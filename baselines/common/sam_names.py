"""Names of the original Segment Anything and of transformers'."""

from baselines.common.conversion import Table

SAM_ENCODER: Table = (
    (r"blocks\.(\d+)\.norm([12])\.", r"layers.\1.layer_norm\2."),
    (r"blocks\.", "layers."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
)
SAM_TRANSFORMER: Table = (
    (r"layers\.(\d+)\.norm([1234])\.", r"layers.\1.layer_norm\2."),
    (r"norm_final_attn\.", "layer_norm_final_attn."),
)
SAM_MLP: Table = (
    (r"layers\.0\.", "proj_in."),
    (r"layers\.1\.", "layers.0."),
    (r"layers\.2\.", "proj_out."),
)
