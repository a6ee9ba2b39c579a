"""Title, licence and origin of a dataset, for its card and metadata."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from earthreason.files import write_json

ABOUT = "about.json"
"""Name of the file with title, licence and origin in a prepared folder and in an export."""
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*")


@dataclass(frozen=True)
class About:
    """Title, licence and origin of a dataset; unknown values are None or `unknown`.

    Attributes:
        title: title of the dataset.
        licence: SPDX identifier, sentence, or `unknown`.
        origin: origin of images and annotations, in sentences.
        url: URL of the dataset.
        creator: organisation that published the dataset.
        published: ISO date of publication.
        citation: citation of the paper.
    """

    title: str
    licence: str
    origin: str
    url: str | None = None
    creator: str | None = None
    published: str | None = None
    citation: str | None = None

    @property
    def licence_keys(self) -> dict[str, str]:
        """Return the licence as front matter of a Hub card: an identifier, or `other` with a name."""
        if _IDENTIFIER.fullmatch(self.licence):
            return {"license": self.licence.lower()}
        return {"license": "other", "license_name": "see-below"}

    @property
    def licence_url(self) -> str:
        """Return the page of the licence in the SPDX list, or that of the dataset; "" if neither is known."""
        if _IDENTIFIER.fullmatch(self.licence) and self.licence != OWN_DATA.licence:
            return f"https://spdx.org/licenses/{self.licence}.html"
        return self.url or ""

    @property
    def info(self) -> dict[str, str]:
        """Return description, license, citation and homepage, as `datasets.DatasetInfo` names them."""
        return {
            "description": f"{self.title}\n{self.origin}",
            "license": self.licence,
            "citation": self.citation or "",
            "homepage": self.url or "",
        }

    def stated(self, title: str | None = None, licence: str | None = None) -> About:
        """Return a copy with another title or licence, each on one line."""
        given = {"title": title, "licence": licence}
        return replace(self, **{name: " ".join(text.split()) for name, text in given.items() if text is not None})

    def write(self, folder: Path) -> None:
        """Write `about.json` into a folder."""
        write_json(folder / ABOUT, asdict(self))


def read_about(folder: Path) -> About:
    """Return title, licence and origin of the data in a prepared folder or an export."""
    return About(**json.loads((folder / ABOUT).read_text("utf-8")))


OFFICIAL = About(
    title="EarthReason",
    licence="Apache-2.0 for questions, answers and masks; the images have the terms of Million-AID and fMoW",
    origin="EarthReason was published with SegEarth-R1 (arXiv 2504.09644) under Apache-2.0. Its images come from "
    "Million-AID and fMoW, whose own terms apply to them.",
    url="https://huggingface.co/datasets/earth-insights/EarthReason",
    creator="earth-insights",
    published="2025-05-04",
    citation="SegEarth-R1: Geospatial Pixel Reasoning via Large Language Model, arXiv 2504.09644",
)
SYNTHETIC = About(
    title="EarthReason synthetic scenes",
    licence="Apache-2.0",
    origin="Synthetic scenes, drawn by the `earthreason` package; they contain no photographs.",
)
OWN_DATA = About(
    title="Overhead images with implicit questions",
    licence="unknown",
    origin="Where images and questions come from, and under which terms, is not stated here; add it before publishing.",
)
