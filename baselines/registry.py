"""The models of this package, one `ModelEntry` each.

To add a model, add a package with a file `entry.py` that calls `register`, for example `baselines/mine/entry.py`. Every
`baselines/*/entry.py` is imported when `MODELS` is first read, so no other file has to change. An entry names
its parts as "module:attribute" and imports none of them, so listing the models does not import torch.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import refuse_taken, write_json
from earthreason.types import Predictor, Sample

from .checkpoints import find_shipped


@dataclass(frozen=True)
class PredictorOptions:
    """Settings to build a predictor with. Each model uses those that apply to it.

    Attributes:
        checkpoint: folder, Hub id or shipped name of the weights.
        device: name of the torch device.
        dtype: name of the torch dtype.
        batch_size: questions per batch.
        vlm: name of the vision-language model on the server.
        base_url: address of the server; None means OpenAI.
        compiled: whether to compile the model with torch.compile.
        no_target_threshold: threshold that replaces the checkpoint's; None keeps the checkpoint's.
        task: kind of question, which replaces the checkpoint's; None keeps the checkpoint's.
        on_canvas: whether masks stay on the model's canvas, as the reference scores them.
        reply: whether the mask tokens are `forced` into the prompt, or the reply is `generated` by the model.
        train_samples: function that returns the training split, for models fitted to it; None for that of the
            predicted configuration.
        coordinates: how the vision-language model gives coordinates; None takes it from the model's name.
        temperature: its sampling temperature; None leaves it to the server.
        max_tokens: largest length of its answers; None leaves it to the server.
    """

    checkpoint: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    batch_size: int = 8
    vlm: str | None = None
    base_url: str | None = None
    compiled: bool = False
    no_target_threshold: float | None = None
    task: str | None = None
    on_canvas: bool = False
    reply: str = "forced"
    train_samples: Callable[[], Iterable[Sample]] | None = None
    coordinates: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = None


@dataclass(frozen=True)
class ConversionOptions:
    """Settings of `earthreason-baselines convert`. Each converter uses those that apply to it.

    Attributes:
        source: published checkpoint.
        target: folder to write.
        dtype: name of the dtype of the weights to write.
        clip: folder or Hub id of the CLIP that the published files leave out; None means the usual one.
        config: configuration file of a model that does not have the published size.
        task: kind of question that the model was trained for; None takes it from the name of `source`.
        ground_resolution: finest and coarsest GSD of the canvas in training, metres per pixel; None if unknown.
    """

    source: str
    target: Path
    dtype: str = "float32"
    clip: str | None = None
    config: Path | None = None
    task: str | None = None
    ground_resolution: tuple[float, float] | None = None


@dataclass(frozen=True)
class AssemblyOptions:
    """Settings of `earthreason-baselines assemble`. Each model takes the parts that its entry names.

    Attributes:
        target: folder to write.
        dtype: name of the dtype of the weights to write.
        llm: folder or Hub id of a language model, or of a LLaVA.
        clip: folder or Hub id of CLIP.
        sam: folder or Hub id of SAM in the format of transformers, or its original `.pth` file.
        mask2former: folder or Hub id of a Mask2Former with Swin in the format of transformers, or detectron2's pickle.
    """

    target: Path
    dtype: str = "float32"
    llm: str | None = None
    clip: str | None = None
    sam: str | None = None
    mask2former: str | None = None


PARTS = ("llm", "clip", "sam", "mask2former")
"""Names of the parts among `AssemblyOptions`."""


@dataclass(frozen=True)
class ModelEntry:
    """A model with references to its parts, "module:attribute"; the attribute may be dotted.

    Attributes:
        name: name on the command line.
        summary: one-line description of the model.
        predictor: reference to a function that takes `PredictorOptions` and returns a predictor.
        learner: reference to a function that takes a `TrainConfig` and the training texts and returns a `Learner`.
        converter: reference to a function that takes `ConversionOptions` and returns a `Report`.
        assembler: reference to a function that takes `AssemblyOptions` and returns an `Assembly`.
        parts: names of the `AssemblyOptions` that the assembler needs.
        own_options: names of rarely used `PredictorOptions` and `ConversionOptions` that this model uses; their
            help on the command line names the model.
        presets: comparison suites that include this model, each with the model's own changes, such as
            `{"tiny": {"optim": {"learning_rate": 3e-4}}}`.
        weights: whether the model has any, so that it can be given a checkpoint.
        trained: whether the model is a network with a no-target score that torch can compile.
        architecture: keys of `model.architecture` that apply to the model, and `vision` if its image encoder can be
            another one.
        adaptable: keys among these and `image_size` that may differ from the checkpoint that training starts from.
        reference: whether the other models are compared with this one; it is listed first.
    """

    name: str
    summary: str
    predictor: str
    learner: str | None = None
    converter: str | None = None
    assembler: str | None = None
    parts: tuple[str, ...] = ()
    own_options: tuple[str, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: bool = True
    trained: bool = False
    architecture: frozenset[str] = frozenset()
    adaptable: frozenset[str] = frozenset()
    reference: bool = False


class ModelRegistry(Mapping[str, ModelEntry]):
    """Entries by name. The first access imports `entry.py` of all subpackages of a package."""

    def __init__(self, package: Any) -> None:
        """Start empty.

        Args:
            package: imported package whose subpackages are scanned.
        """
        self._package = package
        self._entries: dict[str, ModelEntry] = {}
        self._scanned = False

    def register(self, entry: ModelEntry) -> None:
        """Add an entry.

        Raises:
            ValueError: another entry has this name.
        """
        if self._entries.setdefault(entry.name, entry) != entry:
            raise ValueError(f"two models are called {entry.name!r}")

    def _scan(self) -> dict[str, ModelEntry]:
        if not self._scanned:
            self._scanned = True
            for folder in self._package.__path__:
                for path in sorted(Path(folder).glob("*/entry.py")):
                    import_module(f"{self._package.__name__}.{path.parent.name}.entry")
            self._entries = dict(sorted(self._entries.items(), key=lambda item: not item[1].reference))
        return self._entries

    def __getitem__(self, name: str) -> ModelEntry:
        return self._scan()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scan())

    def __len__(self) -> int:
        return len(self._scan())


MODELS = ModelRegistry(import_module(str(__package__)))
register = MODELS.register


def trainable_models() -> list[str]:
    """List the names of the models that can be trained."""
    return [name for name, entry in MODELS.items() if entry.learner is not None]


def convertible_models() -> list[str]:
    """List the names of the models that have a converter."""
    return [name for name, entry in MODELS.items() if entry.converter is not None]


def assembled_models(part: str | None = None) -> list[str]:
    """List the names of the models that can be assembled, or of those that have a part such as `clip`."""
    return [name for name, e in MODELS.items() if e.assembler is not None and (part is None or part in e.parts)]


def models_with_option(option: str) -> list[str]:
    """List the names of the models that have `option` among their `own_options`."""
    return [name for name, entry in MODELS.items() if option in entry.own_options]


def load_reference(reference: str) -> Any:
    """Import the object that "module:attribute" names."""
    module, _, attribute = reference.partition(":")
    return attrgetter(attribute)(import_module(module))


def check_model(name: str, also: Sequence[str] = ()) -> None:
    """Refuse a name that is neither registered nor MODULE:CLASS.

    Args:
        name: name of the model.
        also: further names to accept.

    Raises:
        UnknownNameError: there is no such model; the message names the nearest.
    """
    if ":" not in name and name not in MODELS and name not in also:
        raise UnknownNameError("model", name, [*also, *MODELS], hint="For a model of your own, give MODULE:CLASS")


def check_learner(name: str) -> None:
    """Refuse the name of a model that cannot be trained.

    Raises:
        UnknownNameError: there is no such model; the message names the nearest.
    """
    known = trainable_models()
    if name not in known:
        raise UnknownNameError("model", name, known)


def check_converter(name: str) -> None:
    """Refuse the name of a model without a converter.

    Raises:
        UnknownNameError: there is no such model; the message names the nearest.
    """
    known = convertible_models()
    if name not in known:
        raise UnknownNameError("model", name, known)


def build_predictor(name: str, options: PredictorOptions) -> Predictor:
    """Build a registered model, or a user's own class given as MODULE:CLASS.

    A user's class is called without arguments, or with `PredictorOptions` if it takes one.

    Raises:
        UnknownNameError: there is no such model; the message names the nearest.
        EarthReasonError: the user's module or class cannot be used, or the model does not support an option.
    """
    if ":" in name:
        return _build_own(name, options)
    check_model(name)
    if options.checkpoint is not None and not MODELS[name].weights:
        raise EarthReasonError(f"--checkpoint {options.checkpoint}: {name} has no weights; leave it out")
    if not MODELS[name].trained:
        others = ", ".join(entry.name for entry in MODELS.values() if entry.trained)
        _refuse_network_options(name, options, f"choose {others}")
    predictor: Predictor = load_reference(MODELS[name].predictor)(options)
    return predictor


def build_shipped(name: str = "tiny") -> Predictor:
    """Build the model of a shipped checkpoint, even where a folder has the same name.

    Raises:
        EarthReasonError: there is no such checkpoint, or a file is missing or damaged.
    """
    shipped = find_shipped(name)
    return build_predictor(shipped.model, PredictorOptions(checkpoint=str(shipped.folder)))


def convert_checkpoint(name: str, options: ConversionOptions) -> Any:
    """Convert published weights into a checkpoint of this package.

    Returns:
        `baselines.common.conversion.Report` on the tensors.

    Raises:
        UnknownNameError: there is no converter for this model; the message names the nearest.
        EarthReasonError: the published files do not fit.
    """
    check_converter(name)
    report = load_reference(str(MODELS[name].converter))(options)
    path, task = options.target / "config.json", options.task or task_named(options.source)
    if path.is_file():
        stated = {"task": task, "ground_resolution": options.ground_resolution}
        write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **stated})
    return report


def assemble_checkpoint(name: str, options: AssemblyOptions) -> Any:
    """Build an untrained checkpoint of this package from pretrained parts.

    Returns:
        `baselines.common.assembly.Assembly`, which says what was made of what.

    Raises:
        UnknownNameError: no model of this name can be assembled; the message names the nearest.
        EarthReasonError: a part is missing, is not one of this model, or does not fit; or the folder is not empty.
    """
    known = assembled_models()
    if name not in known:
        raise UnknownNameError("model", name, known)
    needed = MODELS[name].parts
    given = [part for part in PARTS if getattr(options, part) is not None]
    if lacking := [part for part in needed if part not in given]:
        raise EarthReasonError(f"{name} needs --{lacking[0]}; its parts: {', '.join(f'--{part}' for part in needed)}")
    if foreign := [part for part in given if part not in needed]:
        raise EarthReasonError(
            f"--{foreign[0]}: {name} has no such part (its parts: {', '.join(f'--{part}' for part in needed)})"
        )
    refuse_taken(options.target)
    return load_reference(str(MODELS[name].assembler))(options)


def task_named(source: str) -> str:
    """Return the task of a published checkpoint by its name: `referring` if that names RRSIS-D or RefSegRS.

    The published configurations do not say what a model was trained on.
    """
    name = Path(source).name.lower().replace("-", "").replace("_", "")
    return "referring" if "rrsisd" in name or "refsegrs" in name else "reasoning"


def _refuse_network_options(name: str, options: PredictorOptions, remedy: str) -> None:
    """Refuse options that only trained networks understand, for a model that would ignore them."""
    asked = {
        "--no-target-threshold": options.no_target_threshold is not None,
        "--compile": options.compiled,
        "--task": options.task is not None,
        "--on-canvas": options.on_canvas,
        "--reply": options.reply != "forced",
    }
    given = [option for option, is_given in asked.items() if is_given]
    if given:
        raise EarthReasonError(f"{given[0]} is not for {name}; leave it out, or {remedy}")


def _build_own(name: str, options: PredictorOptions) -> Predictor:
    module_name, _, class_name = name.partition(":")
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))  # `python -m` looks there, an installed program does not
    try:
        factory = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise EarthReasonError(f"--model {name}: {error}; give MODULE:CLASS importable from here") from None
    takes_options = bool(inspect.signature(factory).parameters)
    if not takes_options:
        _refuse_network_options(name, options, "let the class take PredictorOptions")
    predictor = factory(options) if takes_options else factory()
    if not isinstance(predictor, Predictor):
        raise EarthReasonError(f"--model {name}: has no predict(images, questions) method")
    return predictor
