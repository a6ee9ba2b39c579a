"""Push checkpoints and exported models to the Hugging Face Hub, and pull them."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.data.checksums import HubFile, find_faults
from earthreason.data.hub_errors import explain, is_offline
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import atomic_path, refuse_taken

from ..checkpoints import locate_checkpoint
from ..shipping.card import write_plain_card
from .files import (
    CARD,
    CONFIG,
    EXPORT,
    files_of_export,
    files_to_push,
    kind_of,
    read_kind,
    wanted_files,
)

logger = logging.getLogger("earthreason.baselines")
_LARGE = 5_000_000_000
"""Bytes of a file above which transfers that break off hurt."""
_PLACE = re.compile(r"""(--checkpoint |from_pretrained\(["'])FOLDER\b""")
"""Where the commands of a card by `ship` name the checkpoint."""
_STALE = ("*.safetensors", "*.safetensors.index.json", "training*.yaml", "model.onnx*", "model.pt2")


@dataclass(frozen=True)
class Pulled:
    """What `pull_checkpoint` wrote.

    Attributes:
        model: name of the model.
        commit: commit of the repository.
        files: names of the files.
        is_export: whether it is an exported model, not a checkpoint.
    """

    model: str
    commit: str
    files: tuple[str, ...]
    is_export: bool


def push_checkpoint(
    folder: Path, repository: str, *, private: bool = False, revision: str | None = None, message: str | None = None
) -> str:
    """Upload the files of a checkpoint or exported model in one commit.

    The repository is made if there is none, and a card is added where the folder has none. Weights of an earlier push
    are removed in the same commit; other files of the repository stay.

    Args:
        folder: folder of a checkpoint or of `export`, or the name of a shipped checkpoint.
        repository: OWNER/NAME.
        private: whether a new repository is visible to its owner only.
        revision: branch to push to, made if there is none; None is `main`.
        message: message of the commit.

    Returns:
        Address of the commit.

    Raises:
        EarthReasonError: the folder holds other files, the repository another model, or the Hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    folder = Path(locate_checkpoint(folder))
    names = files_to_push(folder)
    model = read_kind(folder)
    card = _card_of(folder, model, repository)
    _check_client(repository)
    for name in names:
        if (size := (folder / name).stat().st_size) > _LARGE:
            logger.warning("%s has %.1f GB; shards of 5 GB (save_pretrained, max_shard_size) resume", name, size / 1e9)
    try:
        api = HfApi(library_name="earthreason")
        name = api.create_repo(repository, private=private, exist_ok=True).repo_id
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        there = set(api.list_repo_files(name, revision=revision))
        _refuse_other(name, revision, there, model, EXPORT in names)
        operations: list[Any] = [
            CommitOperationAdd(file, card if file == CARD else folder / file) for file in dict.fromkeys([*names, CARD])
        ]
        stale = [file for file in there - set(names) if any(Path(file).match(pattern) for pattern in _STALE)]
        operations += [CommitOperationDelete(file) for file in sorted(stale) if "/" not in file]
        done = api.create_commit(name, operations, commit_message=message or f"Push {model}", revision=revision)
    except EarthReasonError:
        raise
    except Exception as error:  # the Hub client raises many kinds: offline, refused, not found, timed out
        reason = explain(error, repository, revision, kind="model")
        raise EarthReasonError(f"{repository} was not pushed: {reason}") from error
    return str(done.commit_url)


def pull_checkpoint(repository: str, folder: Path, revision: str | None = None) -> Pulled:
    """Download a checkpoint or exported model; the folder appears when every file is as the Hub states it.

    Args:
        repository: OWNER/NAME.
        folder: folder to write; it must not exist, or be empty.
        revision: commit, branch or tag; None is `main`.

    Raises:
        EarthReasonError: the Hub refuses, the repository holds no model of this package, or a file arrives damaged.
    """
    refuse_taken(folder)
    try:
        return _pull(repository, folder, revision)
    except EarthReasonError:
        raise
    except Exception as error:  # the Hub client raises many kinds: offline, refused, not found, timed out
        reason = explain(error, repository, revision, kind="model")
        raise DataNotFoundError(f"{repository} was not pulled: {reason}") from error


def _pull(repository: str, folder: Path, revision: str | None) -> Pulled:
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi(library_name="earthreason").model_info(repository, revision=revision, files_metadata=True)
    stated = {
        sibling.rfilename: HubFile(int(sibling.size or 0), sibling.lfs.sha256 if sibling.lfs else None, sibling.blob_id)
        for sibling in info.siblings or []
    }
    files, commit = wanted_files(stated), str(info.sha)
    first = next((name for name in (EXPORT, CONFIG) if name in files), None)
    if first is None:
        raise DataNotFoundError(f"{repository} has no {CONFIG}, so it holds no checkpoint of this package")

    def fetch(names: list[str], again: bool = False) -> dict[str, str]:
        for name in names:
            hf_hub_download(repository, name, revision=commit, local_dir=temporary, force_download=again)
        return find_faults(temporary, {name: stated[name] for name in names})

    with atomic_path(folder) as temporary:
        temporary.mkdir()
        fetch([first])
        model = kind_of(temporary / first, repository)
        if faults := fetch(list(fetch(files)), again=True):
            name, fault = next(iter(faults.items()))
            raise DataFormatError(
                f"{name} of {repository} is not what the Hub states, even after a second download ({fault}); a mirror "
                "or proxy may change it. Try again later or without HF_ENDPOINT"
            )
        shutil.rmtree(temporary / ".cache", ignore_errors=True)  # notes of the client
        if absent := [name for name in files_of_export(temporary) if name not in files]:
            raise DataNotFoundError(f"{repository} holds half an export: {absent[0]}, which {EXPORT} names, is missing")
    return Pulled(model, commit, tuple(files), first == EXPORT)


def _check_client(repository: str) -> None:
    """Check before the network is used that a push can begin."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise EarthReasonError(explain(error, repository, kind="model")) from None
    if "/" not in repository:
        raise EarthReasonError(f"{repository!r} is not the id of a repository; write OWNER/NAME")
    if is_offline():
        raise EarthReasonError("push needs the network, which HF_HUB_OFFLINE forbids; unset it")
    if get_token() is None:
        raise EarthReasonError("push needs a token of the Hub; log in with `hf auth login` or set HF_TOKEN")


def _card_of(folder: Path, model: str, repository: str) -> bytes:
    """Return the card of a folder, or a plain one where there is none.

    Raises:
        DataFormatError: the front matter of the card is broken.
    """
    import yaml
    from huggingface_hub import ModelCard

    path = folder / CARD
    if not path.is_file():
        logger.warning("%s has no %s, so a plain card without scores and licence is pushed", folder, CARD)
        return write_plain_card(model, repository, (folder / EXPORT).is_file()).encode()
    text = path.read_text(encoding="utf-8")
    try:
        ModelCard(text)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise DataFormatError(f"{path}: its front matter is broken: {str(error).splitlines()[0]}") from None
    # The commands of a checkpoint's card take a Hub id; exported models are pulled first.
    if (folder / EXPORT).is_file():
        return text.encode()
    return _PLACE.sub(lambda found: found[1] + repository, text).encode()


def _refuse_other(repository: str, revision: str | None, there: set[str], model: str, is_export: bool) -> None:
    """Refuse a repository that holds another model, or the other kind of folder."""
    from huggingface_hub import hf_hub_download

    first = next((name for name in (EXPORT, CONFIG) if name in there), None)
    if first is None:
        return
    if (first == EXPORT) != is_export:
        holds = "an exported model" if first == EXPORT else "a checkpoint"
        raise EarthReasonError(f"{repository} holds {holds}; push to a repository or --revision of its own")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(hf_hub_download(repository, first, revision=revision, local_dir=scratch))
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = str(content.get("model" if is_export else "model_type")).removeprefix("earthreason_")
        except (ValueError, AttributeError):
            found = "broken"
    if found != model:
        raise EarthReasonError(f"{repository} holds a {found} model, not {model}; push to another repository")
