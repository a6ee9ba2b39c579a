"""The parameters by which the table is filtered, sorted and cut into pages, for the pages and the API."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, get_args

from fastapi import Depends, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from ..board import DEFAULT_SORT, PAGE_ROWS, SORTS, BoardQuery, check_query
from ..records import ALL, MAX_PARAMETERS, PRINTED_LINE, Printed, Training
from .state import Shared

MOST_ROWS = 500
_MOST_OFFSET = 10_000_000


_TEXT = {"type": "string"}
_NOTHING = {**_TEXT, "maxLength": 0}


def _check_day(value: Any) -> Any:
    """Check that a text is a day of the calendar, or empty.

    Raises:
        PydanticCustomError: it is not.
    """
    try:
        if value and date.fromisoformat(value).isoformat() != value:
            raise ValueError
    except (TypeError, ValueError):
        raise PydanticCustomError("day", "must be a day, such as 2026-01-31") from None
    return value


def _nothing_is_none(value: Any) -> Any:
    return None if value == "" else value


_Day = Annotated[str, BeforeValidator(_check_day), WithJsonSchema({"anyOf": [{"format": "date", **_TEXT}, _NOTHING]})]
_Millions = Annotated[
    float | None,
    BeforeValidator(_nothing_is_none),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_PARAMETERS}, _NOTHING]}),
]


class _BoardParameters(BaseModel):
    model_config = ConfigDict(extra="ignore")

    split: str = Field(
        default="",
        max_length=81,
        description="Split name from `/api/splits`; default: the one that the board opens with.",
    )
    protocol: str = Field(default="", max_length=40, description="Default: the main protocol of the split.")
    subset: str = Field(default=ALL, max_length=200)
    training: Literal["", *get_args(Training)] = ""  # type: ignore[valid-type]
    since: _Day = Field(default="", description="Only rows published on this day or later.")
    search: Annotated[str, Printed] = Field(
        default="",
        max_length=80,
        pattern=PRINTED_LINE,
        description="Only rows whose model or team has this in its name, in any case.",
    )
    largest: _Millions = Field(
        default=None,
        gt=0,
        le=MAX_PARAMETERS,
        allow_inf_nan=False,
        description="Only models that state at most so many parameters, in millions.",
    )
    sort: Literal[SORTS] = Field(  # type: ignore[valid-type]
        default=DEFAULT_SORT,
        description="A score, `date`, `model` or `size`. Ties go by date and ID.",
    )
    ascending: bool = Field(
        default=False, description="Worst score, oldest row, first name or smallest model first. Default: the last."
    )


BoardParameters = Annotated[_BoardParameters, Query()]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Most rows in the answer.")]
Offset = Annotated[int, Query(ge=0, le=_MOST_OFFSET, description="Rows to leave out at the start.")]
PageNumber = Annotated[int, Query(ge=1, le=_MOST_OFFSET // PAGE_ROWS)]


async def resolve(state: Shared, given: BoardParameters) -> BoardQuery:
    """Turn the parameters into a query.

    Raises:
        UnknownNameError: the split, protocol or column does not exist.
    """
    split = given.split or await state.board.default_split()
    main = await state.board.main_protocol(split)
    chosen = {"split": split, "main_protocol": main, "protocol": given.protocol or main}
    return check_query(BoardQuery(**{**given.model_dump(), **chosen}))


Resolved = Annotated[BoardQuery, Depends(resolve)]
