"""The models `python -m baselines predict --model NAME` knows. A new model is one entry here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from operator import attrgetter

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.types import Predictor, Sample


@dataclass(frozen=True)
class PredictorOptions:
    """What a model may need to be built.

    Attributes:
        checkpoint: folder or Hub id of trained weights.
        device: torch device.
        dtype: torch dtype by name.
        batch_size: pairs a call.
        compiled: run the model through torch.compile.
        no_target_threshold: instead of the checkpoint's; None keeps that.
        vlm: name of a vision-language model at a server.
        base_url: of that server; None is OpenAI's.
        train_samples: gives the training split, for models fitted on the spot.
    """

    checkpoint: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    batch_size: int = 8
    vlm: str | None = None
    base_url: str | None = None
    compiled: bool = False
    no_target_threshold: float | None = None
    train_samples: Callable[[], Iterable[Sample]] = field(default=lambda: iter(()))


@dataclass(frozen=True)
class Model:
    """A registered model.

    Attributes:
        name: on the command line.
        summary: what it does, in a line.
        builder: "module:name", the name perhaps dotted; takes `PredictorOptions`.
        trained: it is a network of ours, with a no-target score, that torch can compile.
    """

    name: str
    summary: str
    builder: str
    trained: bool = False


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("empty", "always answers 'no target'", "baselines.trivial:build_empty"),
        Model("everything", "marks the whole image", "baselines.trivial:build_everything"),
        Model("centre", "marks an ellipse in the middle", "baselines.trivial:build_centre"),
        Model("constant", "marks the constant mask that fits the train split best", "baselines.trivial:build_constant"),
        Model("saliency", "marks the superpixels whose colour stands out", "baselines.trivial:build_saliency"),
        Model(
            "segearth_r1",
            "the reference model of the paper; needs --checkpoint",
            "baselines.segearth_r1.predictor:SegEarthR1Predictor.build",
            trained=True,
        ),
        Model(
            "lisa",
            "a language model prompts SAM; needs --checkpoint",
            "baselines.lisa.learner:LisaPredictor.build",
            trained=True,
        ),
        Model(
            "pixellm",
            "a codebook of mask tokens; needs --checkpoint",
            "baselines.pixellm.learner:PixelLMPredictor.build",
            trained=True,
        ),
        Model("vlm_sam", "a vision-language model points, SAM draws; needs --vlm", "baselines.vlm_sam.predictor:build"),
        Model(
            "psalm",
            "scored mask queries; needs --checkpoint",
            "baselines.psalm.learner:PsalmPredictor.build",
            trained=True,
        ),
    )
}


def check_model(name: str, also: Sequence[str] = ()) -> None:
    """Refuse a name that is neither registered nor MODULE:CLASS, before anything slow is done.

    Args:
        name: of the model.
        also: further names that the caller knows.

    Raises:
        UnknownNameError: no such model; names the nearest.
    """
    if ":" not in name and name not in MODELS and name not in also:
        raise UnknownNameError("model", name, [*also, *MODELS], hint="For a model of your own, give MODULE:CLASS")


def build_predictor(name: str, options: PredictorOptions) -> Predictor:
    """Build a registered model, or a user's own class given as MODULE:CLASS.

    A user's class is called without arguments, or with `PredictorOptions` if it takes one.

    Raises:
        UnknownNameError: no such model; names the nearest.
        EarthReasonError: the user's module or class cannot be used, or an option is not for this model; says why.
    """
    if ":" in name:
        return _build_own(name, options)
    check_model(name)
    if not MODELS[name].trained:
        others = ", ".join(model.name for model in MODELS.values() if model.trained)
        _refuse_special(name, options, f"choose {others}")
    module, _, builder = MODELS[name].builder.partition(":")
    predictor: Predictor = attrgetter(builder)(import_module(module))(options)
    return predictor


def _refuse_special(name: str, options: PredictorOptions, remedy: str) -> None:
    """Refuse what only networks know, for a model that would ignore it."""
    asked = {"--no-target-threshold": options.no_target_threshold is not None, "--compile": options.compiled}
    given = [option for option, is_given in asked.items() if is_given]
    if given:
        raise EarthReasonError(f"{given[0]} is not for {name}; leave it out, or {remedy}")


def _build_own(name: str, options: PredictorOptions) -> Predictor:
    module_name, _, class_name = name.partition(":")
    try:
        factory = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise EarthReasonError(f"--model {name}: {error}; give MODULE:CLASS importable from here") from None
    takes_options = bool(inspect.signature(factory).parameters)
    if not takes_options:
        _refuse_special(name, options, "let the class take PredictorOptions")
    predictor = factory(options) if takes_options else factory()
    if not isinstance(predictor, Predictor):
        raise EarthReasonError(f"--model {name}: has no predict(images, questions) method")
    return predictor
