"""Dataset cards: the README.md of a folder, whose front matter the Hub and `datasets` read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.about import About
from earthreason.data.omissions import LEFT_OUT, Omissions
from earthreason.types import OPTIONAL_FACTS

if TYPE_CHECKING:
    from datasets import Features

COLUMNS = {
    "sample_id": "unique over all splits",
    "image": "overhead picture, RGB",
    "mask": "region that answers the questions: 255, elsewhere 0, in the size of the image",
    "ignore": "pixels that count neither as target nor as background: 255, elsewhere 0; null if there are none",
    "targets": "masks of the separate targets, whose union is the mask; null if the questions have one mask",
    "questions": "implicit questions about the region",
    "answers": "explanatory answers; none if nothing answers the questions",
    "is_empty": "nothing in the image answers the questions: the mask is all zero",
    "height": "height of the image in pixels",
    "width": "width of the image in pixels",
    **{fact: f"{meaning}; null if unknown" for fact, meaning in OPTIONAL_FACTS.items()},
    "extra": "other keys of the source as a JSON object; null if there are none",
}
"""Meaning of every column, in the order of the schema."""
_BODY = Path(__file__).with_name("card.md")


def write_card(
    folder: Path,
    about: About,
    rows: Mapping[str, int],
    files: Mapping[str, str],
    columns: Mapping[str, str] = COLUMNS,
    config: str = "default",
    omissions: Omissions | None = None,
    features: Features | None = None,
) -> None:
    """Write `README.md`.

    Args:
        folder: folder of the data.
        about: title, licence, origin and citation; `datasets` shows them in the info of what it loads.
        rows: number of rows by split.
        files: pattern of the data files by split, relative to `folder`.
        columns: meaning of every column.
        config: name of the configuration.
        omissions: samples that were left out.
        features: types of the columns, where the files do not state them.
    """
    from huggingface_hub import DatasetCardData

    total = sum(rows.values())
    licence: dict[str, Any] = dict(about.licence_keys)
    front = DatasetCardData(
        **licence,
        pretty_name=about.title,
        task_categories=["image-segmentation", "visual-question-answering"],
        language=["en"],
        tags=["remote-sensing", "reasoning-segmentation"],
        size_categories=["n<1K" if total < 1000 else "1K<n<10K" if total < 10_000 else "10K<n<100K"],
        configs=[
            {
                "config_name": config,
                "data_files": [{"split": split, "path": pattern} for split, pattern in files.items()],
            }
        ],
        dataset_info={"config_name": config, **about.info, **_typed(features)},
    )
    body = _BODY.read_text(encoding="utf-8").format(
        columns="".join(f"| `{name}` | {meaning} |\n" for name, meaning in columns.items()),
        counts=", ".join(f"{split} {count:,}" for split, count in rows.items()),
        left_out=f" {omissions.summary()}; `{LEFT_OUT}` lists all." if omissions else "",
        cited=f"\n\nCite: {about.citation}" if about.citation else "",
        about=about,
    )
    (folder / "README.md").write_text(f"---\n{front.to_yaml()}\n---\n\n{body}", encoding="utf-8")


def _typed(features: Features | None) -> dict[str, Any]:
    """Return the features in the form of a card."""
    if features is None:
        return {}
    from datasets.info import DatasetInfo, DatasetInfosDict
    from huggingface_hub import DatasetCardData

    data = DatasetCardData()
    DatasetInfosDict(default=DatasetInfo(features=features)).to_dataset_card_data(data)
    return {"features": data["dataset_info"]["features"]}
