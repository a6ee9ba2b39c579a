"""The two JSON documents behind every row of the board: the submitted metadata and the result of scoring."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from earthreason.errors import EarthReasonError, describe_validation_error
from earthreason.metrics.protocols import DEFAULT_PROTOCOL
from earthreason.metrics.statistics import Interval

ALL = "all"
"""The subset of every question."""
CURVE = tuple(round(0.05 * step, 2) for step in range(20))
"""IoU thresholds of the curve: a result states the share of questions above each."""
MAX_RESAMPLES = 100_000
"""Most resamples of a result, so that a submitted file cannot cause hours of work."""
MAX_PARAMETERS = 10_000_000
"""Most parameters of a model, in millions."""
MIN_PARAMETERS = 1e-6
"""One parameter, in millions."""
MAX_CARD_BYTES = 16 << 10
MAX_CARD_DEPTH = 8
Training = Literal["trained", "few-shot", "zero-shot"]
TRAINING_TITLES: dict[str, str] = {
    "trained": "trained on the dataset",
    "few-shot": "few-shot",
    "zero-shot": "zero-shot",
}


class RecordError(EarthReasonError, ValueError):
    """Invalid metadata, card or result; the message has one fault per line."""


# Characters that show nothing, or turn or hide others, by the properties of Unicode; a test compares the ranges with
# the properties. The API's schema states the patterns, so they are written in what every engine for patterns reads.
_IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Default_Ignorable_Code_Point."""
_FORMAT = r"\ufff9-\ufffb\U00013430-\U0001343f"
"""General category Cf, other than _IGNORABLE and the visible Prepended_Concatenation_Mark."""
_BLANK = r"\u2800\u2d7f\U0001107f\U00013440\U00016fe4\U0001d159"
"""No property tells these from letters and symbols: the blank Braille pattern, joiners, fillers, the null notehead."""
_CONTROL, _CONTROL_IN_TEXT = r"\x00-\x1f\x7f-\x9f", r"\x00-\x09\x0b-\x1f\x7f-\x9f"
"""A text may have line breaks."""
_NOTHING = r"\ufdd0-\ufdef\ufffe\uffff" + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(1, 15))
"""Noncharacter_Code_Point, but for the private planes. XML has no place for two of them, so one would end a feed."""
_UNSEEN = rf"\u2028\u2029\ue000-\uf8ff\U000f0000-\U0010ffff{_IGNORABLE}{_FORMAT}{_BLANK}{_NOTHING}"
"""With the separators of lines and paragraphs, and private use."""
UNSEEN = re.compile(f"[{_UNSEEN}]")
PRINTED_LINE = rf"^[^{_CONTROL}{_UNSEEN}]*$"
_NAME = rf"^[^{_CONTROL}{_UNSEEN}]*[^{_CONTROL}{_UNSEEN}\s][^{_CONTROL}{_UNSEEN}]*$"
_TEXT = rf"^[^{_CONTROL_IN_TEXT}{_UNSEEN}]*$"
_LINK = r"^https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?([/?#][!#-&(-;=?-\[\]_a-z~]*)?$"


# The functions below say what the patterns would refuse too, but only by writing themselves.


def _refuse_unseen(value: Any, but: str = "") -> Any:
    """Name the first character that shows nothing, other than those of `but`.

    Raises:
        PydanticCustomError: there is one.
    """
    found = re.findall(f"[{_CONTROL}{_UNSEEN}]", value) if isinstance(value, str) else []
    unseen = next((character for character in found if character not in but), None)
    if unseen is None:
        return value
    kind = "control character" if unicodedata.category(unseen) == "Cc" else "no name"
    facts = {"code": f"U+{ord(unseen):04X}", "name": unicodedata.name(unseen, kind)}
    raise PydanticCustomError("unseen", "contains {code} ({name}), which shows nothing; leave it out", facts)


def _refuse_unseen_but_breaks(value: Any) -> Any:
    return _refuse_unseen(value, "\n")


def _refuse_blank(value: Any) -> Any:
    if isinstance(value, str) and value and not value.strip():
        raise PydanticCustomError("blank", "has nothing but spaces")
    return value


def _refuse_what_is_no_link(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(_LINK, value):
        raise PydanticCustomError("link", "is not a web address such as https://example.org/paper, in plain ASCII")
    return value


Printed = BeforeValidator(_refuse_unseen)
Line = Annotated[str, Field(max_length=120, pattern=PRINTED_LINE), Printed]
Name = Annotated[
    str,
    Field(min_length=1, max_length=80, pattern=_NAME),
    Printed,
    BeforeValidator(_refuse_blank),
]
Text = Annotated[str, Field(max_length=1000, pattern=_TEXT), BeforeValidator(_refuse_unseen_but_breaks)]
Link = Annotated[str, Field(max_length=300, pattern=_LINK), BeforeValidator(_refuse_what_is_no_link)]


class Metadata(BaseModel):
    """The submitter's statements about a model. All are public except `contact`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: Name
    training: Training
    paper: Link | None = None
    code: Link | None = None
    checkpoint: Link | None = None
    parameters_millions: Annotated[FiniteFloat, Field(ge=MIN_PARAMETERS, le=MAX_PARAMETERS)] | None = None
    backbone: Line = ""
    extra_data: Line = ""
    description: Text = ""
    contact: Line = ""

    def public(self) -> dict[str, Any]:
        """Return everything except the contact, as JSON values."""
        return self.model_dump(mode="json", exclude={"contact"})


Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class ScoreEstimate(NamedTuple):
    """A score with its 95 % interval; `low` and `high` are None without one. Undefined scores are not recorded."""

    value: Fraction
    low: Fraction | None
    high: Fraction | None

    @property
    def interval(self) -> Interval | None:
        return None if self.low is None or self.high is None else Interval(self.low, self.high)

    def overlaps(self, other: ScoreEstimate) -> bool:
        """Tell whether the intervals share a value; False if one of them is missing."""
        mine, theirs = self.interval, other.interval
        return mine is not None and theirs is not None and mine.overlaps(theirs)


class Subset(BaseModel):
    """A subset of the questions: `all`, or one group of a breakdown."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: Annotated[str, Field(max_length=200)]
    breakdown: Annotated[str, Field(max_length=80)]
    group: Annotated[str, Field(max_length=120)]
    questions: Count


class ProtocolScores(BaseModel):
    """Scores under one protocol, by subset and then by metric."""

    model_config = ConfigDict(extra="forbid")

    grid: str
    questions: Count
    scores: dict[str, dict[str, ScoreEstimate]]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ResultRecord(BaseModel):
    """The outcome of scoring one predictions file against one split."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    earthreason: str
    config: str
    split: str
    main_protocol: Annotated[str, Field(max_length=40)] = DEFAULT_PROTOCOL
    """Protocol by which the split ranks models; the first versions knew one only and did not record it."""
    dataset_sha256: Sha256
    predictions_sha256: Sha256
    questions: Count
    images: Count
    empty_targets: Count
    resamples: Annotated[int, Field(ge=0, le=MAX_RESAMPLES)]
    seed: Annotated[int, Field(ge=0, lt=1 << 32)]
    subsets: list[Subset]
    protocols: dict[str, ProtocolScores]
    not_scored: dict[str, str]
    curve: Annotated[list[Fraction], Field(max_length=len(CURVE))]
    """Share of questions with IoU above 0, 0.05, ... 0.95 under the main protocol; empty if the labels are hidden."""
    decimals: Annotated[int, Field(ge=0, le=15)] | None = None
    """Decimals to which every score is rounded because the labels are hidden; None if the result is complete."""

    @model_validator(mode="after")
    def _curve_is_complete(self) -> ResultRecord:
        if len(self.curve) != len(CURVE) and not (self.hides_labels and not self.curve):
            raise ValueError(f"the curve must have {len(CURVE)} values")
        return self

    @property
    def split_key(self) -> str:
        """Config and split in one name, `config/split`."""
        return f"{self.config}/{self.split}"

    @property
    def hides_labels(self) -> bool:
        """Whether the result is reduced to what a split with hidden labels shows."""
        return self.decimals is not None

    def estimate(self, protocol: str, subset: str, metric: str) -> ScoreEstimate | None:
        """Return a score, or None if it was not computed."""
        scores = self.protocols.get(protocol)
        return None if scores is None else scores.scores.get(subset, {}).get(metric)


Parsed = TypeVar("Parsed", bound=BaseModel)


def parse_metadata(value: Any) -> Metadata:
    """Check submitted metadata.

    Raises:
        RecordError: the value is invalid; the message has one fault per line.
    """
    return parse_record(Metadata, value, "metadata")


def parse_result(value: Any, place: str = "result") -> ResultRecord:
    """Check a stored or shared result.

    Raises:
        RecordError: the value is invalid; the message has one fault per line.
    """
    return parse_record(ResultRecord, value, place)


def parse_record(kind: type[Parsed], value: Any, place: str) -> Parsed:
    """Check a value against a model.

    Raises:
        RecordError: the value is invalid; the message has one fault per line.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise RecordError(describe_validation_error(error, place, inputs=True)) from None


def check_card(card: JsonValue) -> dict[str, JsonValue] | None:
    """Check a model card: a JSON object of any form, but small and shallow.

    Raises:
        RecordError: the card is something else, too large or nested too deep.
    """
    if card is None:
        return None
    if not isinstance(card, dict):
        raise RecordError("card: a card is a JSON object")
    if _depth(card) > MAX_CARD_DEPTH:
        raise RecordError(f"card: nested more than {MAX_CARD_DEPTH} levels deep")
    if len(json_bytes(card, "card")) > MAX_CARD_BYTES:
        raise RecordError(f"card: over {MAX_CARD_BYTES >> 10} KiB; link to it instead")
    return card


def json_bytes(value: JsonValue, place: str) -> bytes:
    """Write a value as strict JSON; Python's reader accepts more than JSON allows.

    Raises:
        RecordError: the value has no JSON form, so no answer could contain it.
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # Unicode's errors are of this kind
        raise RecordError(
            f"{place}: contains NaN, an infinite number or an unpaired surrogate; JSON allows none of them"
        ) from None


def check_reason(reason: str | None) -> str | None:
    """Check the reason for a flag.

    Raises:
        RecordError: the reason is empty, too long or not plain text.
    """
    if reason is not None and not reason.strip():
        raise RecordError("reason: is empty; leave it out to remove the flag")
    try:
        return None if reason is None else TypeAdapter(Text).validate_python(reason)
    except ValidationError as error:
        raise RecordError(describe_validation_error(error, "reason")) from None


def _depth(value: JsonValue) -> int:
    """Measure how deep a JSON value nests, without recursion, and stop past the limit."""
    level, depth = [value], 0
    while level and depth <= MAX_CARD_DEPTH:
        depth += 1
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
