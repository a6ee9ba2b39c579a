"""Files with the names and shapes of the published LISA and PixelLM, at small width, convert into working models."""

from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from baselines.common.languages import byte_tokenizer
from baselines.common.processing import add_tokens
from baselines.lisa import conversion as lisa_conversion
from baselines.lisa.learner import new_config as new_lisa
from baselines.lisa.predictor import LisaPredictor
from baselines.pixellm import conversion as pixellm_conversion
from baselines.pixellm.learner import new_config as new_pixellm
from baselines.pixellm.predictor import PixelLMPredictor
from earthreason import load_dataset
from earthreason.errors import EarthReasonError

H, TEXT_FFN = 64, 128


def text_parts(folder, tokens):
    """LLaMA and tokenizer as transformers saves them, and their tensors."""
    tokenizer = byte_tokenizer()
    ids = add_tokens(tokenizer, tokens)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=H,
        intermediate_size=TEXT_FFN,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=1024,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return config, ids, dict(model.state_dict())


def linear(outputs, inputs):
    return {"weight": (outputs, inputs), "bias": (outputs,)}


def norm(width):
    return {"weight": (width,), "bias": (width,)}


def spelled(prefix, parts):
    return {f"{prefix}.{name}": shape for name, shape in parts.items()}


def attention(prefix, width, inner):
    names = {**{f"{n}_proj": (inner, width) for n in "qkv"}, "out_proj": (width, inner)}
    return {k: v for name, shape in names.items() for k, v in spelled(f"{prefix}.{name}", linear(*shape)).items()}


def two_way(prefix, width, ffn):
    """The transformer of SAM's decoder, as the original names it."""
    shapes = {}
    for n in range(2):
        layer = f"{prefix}.layers.{n}"
        shapes |= attention(f"{layer}.self_attn", width, width)
        for cross in ("cross_attn_token_to_image", "cross_attn_image_to_token"):
            shapes |= attention(f"{layer}.{cross}", width, width // 2)
        shapes |= spelled(f"{layer}.mlp.lin1", linear(ffn, width)) | spelled(f"{layer}.mlp.lin2", linear(width, ffn))
        for k in (1, 2, 3, 4):
            shapes |= spelled(f"{layer}.norm{k}", norm(width))
    shapes |= attention(f"{prefix}.final_attn_token_to_image", width, width // 2)
    return shapes | spelled(f"{prefix}.norm_final_attn", norm(width))


def mlp(prefix, *widths):
    return {
        key: shape
        for n, (inputs, outputs) in enumerate(pairwise(widths))
        for key, shape in spelled(f"{prefix}.layers.{n}", linear(outputs, inputs)).items()
    }


def prompt_encoder(prefix, width):
    """With the parts that neither model uses."""
    return {
        f"{prefix}.pe_layer.positional_encoding_gaussian_matrix": (2, width // 2),
        f"{prefix}.no_mask_embed.weight": (1, width),
        f"{prefix}.not_a_point_embed.weight": (1, width),
        **{f"{prefix}.point_embeddings.{n}.weight": (1, width) for n in range(4)},
        f"{prefix}.mask_downscaling.0.weight": (4, 1, 2, 2),
    }


def tensors(shapes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.05 * torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


def write_lisa(folder, clip_folder):
    config_text, (seg, *_), text = text_parts(folder, ("[SEG]", "<im_start>", "<im_end>"))
    config = new_lisa("mini", 256, config_text, seg, False)
    config.foreground_prior = None  # the published files have no such tensor
    clip = config.clip_config
    CLIPVisionModel(clip).save_pretrained(clip_folder)
    width, out, sam = 48, 48, "model.visual_model"
    shapes = {
        f"{sam}.image_encoder.pos_embed": (1, 16, 16, width),
        f"{sam}.image_encoder.patch_embed.proj.weight": (width, 3, 16, 16),
        f"{sam}.image_encoder.patch_embed.proj.bias": (width,),
        f"{sam}.image_encoder.neck.0.weight": (out, width, 1, 1),
        f"{sam}.image_encoder.neck.2.weight": (out, out, 3, 3),
        **spelled(f"{sam}.image_encoder.neck.1", norm(out)),
        **spelled(f"{sam}.image_encoder.neck.3", norm(out)),
        **spelled("model.mm_projector", linear(H, clip.hidden_size)),
        **spelled("model.text_hidden_fcs.0.0", linear(H, H)),
        **spelled("model.text_hidden_fcs.0.2", linear(out, H)),
        **prompt_encoder(f"{sam}.prompt_encoder", out),
        f"{sam}.mask_decoder.iou_token.weight": (1, out),
        f"{sam}.mask_decoder.mask_tokens.weight": (4, out),
        f"{sam}.mask_decoder.output_upscaling.0.weight": (out, out // 4, 2, 2),
        f"{sam}.mask_decoder.output_upscaling.0.bias": (out // 4,),
        **spelled(f"{sam}.mask_decoder.output_upscaling.1", norm(out // 4)),
        f"{sam}.mask_decoder.output_upscaling.3.weight": (out // 4, out // 8, 2, 2),
        f"{sam}.mask_decoder.output_upscaling.3.bias": (out // 8,),
        **two_way(f"{sam}.mask_decoder.transformer", out, 2 * out),
        **mlp(f"{sam}.mask_decoder.iou_prediction_head", out, out, out, 4),
    }
    for n in range(4):
        shapes |= mlp(f"{sam}.mask_decoder.output_hypernetworks_mlps.{n}", out, out, out, out // 8)
    for n in range(2):
        block = f"{sam}.image_encoder.blocks.{n}"
        side = 16 if n in config.sam_config.vision_config.global_attn_indexes else 8
        shapes |= spelled(f"{block}.norm1", norm(width)) | spelled(f"{block}.norm2", norm(width))
        shapes |= spelled(f"{block}.attn.qkv", linear(3 * width, width))
        shapes |= spelled(f"{block}.attn.proj", linear(width, width))
        shapes |= {f"{block}.attn.rel_pos_{axis}": (2 * side - 1, width // 4) for axis in "hw"}
        shapes |= spelled(f"{block}.mlp.lin1", linear(2 * width, width))
        shapes |= spelled(f"{block}.mlp.lin2", linear(width, 2 * width))
    made = {**text, **tensors(shapes)}
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, folder / "model.safetensors")
    return config, made


def write_pixellm(folder, clip_folder):
    codebook = tuple(f"[SEG{n}]" for n in range(6))
    config_text, ids, text = text_parts(folder, (*codebook, "<im_start>", "<im_end>"))
    config = new_pixellm("mini", 256, config_text, ids[:6], False)
    config.foreground_prior, config.as_released = None, True
    clip = config.clip_config
    CLIPVisionModel(clip).save_pretrained(clip_folder)
    out = config.decoder_dim
    made = {**text, **tensors(pixellm_shapes(clip.hidden_size, H, out, config.decoder_ffn, config.projector_dim))}
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, folder / "model.safetensors")
    return config, made


def pixellm_shapes(clip, text, out, ffn, between):
    """Names and shapes from the widths of CLIP, language model, decoder, its MLPs and the projectors."""
    decoder = "model.mask_decoder"
    shapes = {
        **spelled("model.mm_projector.0", linear(between, clip)),
        **spelled("model.mm_projector.2", linear(text, between)),
        **spelled("model.out_mm_projector.0", linear(between, clip)),
        **spelled("model.out_mm_projector.2", linear(text, between)),
        "model.image_feature_neck.0.weight": (out, text, 1, 1),
        "model.image_feature_neck.2.weight": (out, out, 3, 3),
        **spelled("model.image_feature_neck.1", norm(out)),
        **spelled("model.image_feature_neck.3", norm(out)),
        **spelled("model.text_hidden_fcs.0.0", linear(text, text)),
        **spelled("model.text_hidden_fcs.0.2", linear(out, text)),
        **prompt_encoder("model.prompt_encoder", out),
        f"{decoder}.iou_token.weight": (1, out),
        f"{decoder}.mask_tokens.weight": (4, out),
        f"{decoder}.level_embed.weight": (2, out),
        f"{decoder}.pe1.positional_encoding_gaussian_matrix": (2, out // 2),
        f"{decoder}.output_upscaling.0.weight": (out, out // 8, 2, 2),
        f"{decoder}.output_upscaling.0.bias": (out // 8,),
        **spelled(f"{decoder}.output_upscaling.1", norm(out // 8)),
        f"{decoder}.upsample_2x.0.weight": (out, out, 2, 2),
        f"{decoder}.upsample_2x.0.bias": (out,),
        **spelled(f"{decoder}.upsample_2x.1", norm(out)),
        **two_way(f"{decoder}.transformer.0", out, ffn),
        **two_way(f"{decoder}.transformer.1", out, ffn),
        **mlp(f"{decoder}.iou_prediction_head", out, out, out, 4),
    }
    for n in range(4):
        shapes |= mlp(f"{decoder}.output_hypernetworks_mlps.{n}", out, out, out, out // 8)
    return shapes


KINDS = {
    "lisa": (write_lisa, lisa_conversion, LisaPredictor),
    "pixellm": (write_pixellm, pixellm_conversion, PixelLMPredictor),
}
SAM = "model.visual_model"
PLACES = {
    "lisa": {
        f"{SAM}.image_encoder.blocks.1.norm2.weight": "vision_tower.sam.layers.1.layer_norm2.weight",
        f"{SAM}.image_encoder.neck.3.bias": "vision_tower.sam.neck.layer_norm2.bias",
        f"{SAM}.mask_decoder.output_hypernetworks_mlps.2.layers.2.weight": (
            "mask_decoder.output_hypernetworks_mlps.2.proj_out.weight"
        ),
        f"{SAM}.mask_decoder.transformer.layers.0.norm4.bias": "mask_decoder.transformer.layers.0.layer_norm4.bias",
        "model.text_hidden_fcs.0.2.weight": "query.2.weight",
        "model.layers.1.mlp.up_proj.weight": "language_model.layers.1.mlp.up_proj.weight",
    },
    "pixellm": {
        "model.mask_decoder.transformer.1.layers.1.mlp.lin1.weight": (
            "pixel_decoder.transformers.1.layers.1.mlp.lin1.weight"
        ),
        "model.mask_decoder.output_hypernetworks_mlps.0.layers.1.weight": "pixel_decoder.hypernetwork.layers.0.weight",
        "model.mask_decoder.pe1.positional_encoding_gaussian_matrix": "pixel_decoder.positions.1.matrix",
        "model.out_mm_projector.2.bias": "mask_projector.2.bias",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_published_files_become_a_working_checkpoint(kind, tmp_path):
    write, conversion, predictor_class = KINDS[kind]
    source, clip, target = tmp_path / "source", tmp_path / "clip", tmp_path / "ours"
    source.mkdir()
    config, published = write(source, clip)
    report = conversion.convert_published(source, clip, target, config=config)
    assert report.dropped
    predictor = predictor_class.from_pretrained(target)
    found = predictor.model.state_dict()
    for theirs, ours in PLACES[kind].items():
        assert torch.equal(found[ours], published[theirs]), theirs
    row = load_dataset("earthreason", "sample", split="test[:1]")[0]
    ((logits, _),) = predictor.logits([row["image"]], row["questions"][:1])
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("kind", "tokens"), [("lisa", "[SEG]"), ("pixellm", "[SEG0][SEG1][SEG2][SEG3][SEG4][SEG5]")])
def test_a_converted_model_is_asked_in_its_own_wording(kind, tokens, tmp_path):
    write, conversion, predictor_class = KINDS[kind]
    source, clip = tmp_path / "source", tmp_path / "clip"
    source.mkdir()
    config, _ = write(source, clip)
    conversion.convert_published(source, clip, tmp_path / "ours", config=config)
    processor = predictor_class.from_pretrained(tmp_path / "ours").processor
    words = processor.tokenizer.decode([i for i in processor.prompt("Where is it?").input_ids if i >= 0])
    assert words.endswith(f"USER:<im_start><im_end>Where is it? Please output segmentation mask. ASSISTANT:{tokens}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("model.text_hidden_fcs.0.0.bias"), "missing: query.0.bias"),
        (lambda t: t.update({"model.new.weight": torch.zeros(1)}), "unknown: model.new.weight"),
        (lambda t: t.update({"model.text_hidden_fcs.0.0.bias": torch.zeros(3)}), r"found \(3,\), expected \(64,\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_written(kind, change, words, tmp_path):
    write, conversion, _ = KINDS[kind]
    source, clip, target = tmp_path / "source", tmp_path / "clip", tmp_path / "ours"
    source.mkdir()
    config, published = write(source, clip)
    change(published)
    save_file({name: tensor.contiguous() for name, tensor in published.items()}, source / "model.safetensors")
    with pytest.raises(EarthReasonError, match=words):
        conversion.convert_published(source, clip, target, config=config)
    assert not target.exists()


def test_a_folder_without_clip_is_an_error(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    write_lisa(source, tmp_path / "clip")
    with pytest.raises(EarthReasonError, match="cannot be loaded"):
        lisa_conversion.convert_published(source, tmp_path / "none", tmp_path / "ours")


def test_a_folder_that_training_left_says_what_to_do_with_it(tmp_path):
    (tmp_path / "latest").write_text("global_step500")
    with pytest.raises(EarthReasonError, match="zero_to_fp32"):
        lisa_conversion.convert_published(tmp_path, tmp_path / "none", tmp_path / "ours")


def test_full_size_configurations_have_the_published_shapes():
    from baselines.common.conversion import shapes_of
    from baselines.lisa.modeling import LisaConfig, LisaModel
    from baselines.pixellm.modeling import PixelLMConfig, PixelLMModel

    lisa = shapes_of(LisaModel, LisaConfig())
    assert lisa["vision_tower.sam.layers.31.attn.qkv.weight"] == (3840, 1280)
    assert lisa["projector.weight"] == (4096, 1024)
    assert LisaConfig().visual_tokens == 256
    pixellm = shapes_of(PixelLMModel, PixelLMConfig())
    assert pixellm["mask_projector.2.weight"] == (4096, 8192)
    assert pixellm["pixel_decoder.transformers.1.layers.0.mlp.lin1.weight"] == (2048, 256)
    assert CLIPVisionConfig().model_type == "clip_vision_model"
