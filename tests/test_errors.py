"""Faults that pydantic finds, told in one line each."""

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earthreason.errors import describe_validation_error


class Inner(BaseModel):
    sizes: list[int]


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=3)] = ""
    inner: Inner | None = None
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self):
        if self.low > self.high:
            raise ValueError("low exceeds high")
        return self


def error_of(values):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    return caught.value


def test_each_fault_has_a_line_with_its_place():
    error = error_of({"name": "long", "inner": {"sizes": [1, "x"]}})
    assert describe_validation_error(error, "file.json").splitlines() == [
        "file.json.name: string should have at most 3 characters",
        "file.json.inner.sizes.1: input should be a valid integer, unable to parse string as an integer",
    ]


def test_rejected_values_are_quoted_only_where_asked_and_shortened():
    error = error_of({"name": "s" * 100})
    assert "sss" not in describe_validation_error(error)
    quoted = describe_validation_error(error, inputs=True)
    assert quoted == f"name: string should have at most 3 characters, got '{'s' * 56}..."


def test_a_missing_field_quotes_nothing():
    assert describe_validation_error(error_of({"inner": {}}), inputs=True) == "inner.sizes: field required"


def test_a_fault_of_the_whole_keeps_our_own_words():
    error = error_of({"low": 2})
    assert describe_validation_error(error) == "low exceeds high"
    assert describe_validation_error(error, "plan.yaml") == "plan.yaml: low exceeds high"


def test_at_most_so_many_faults_are_described():
    error = error_of({f"unknown_{n}": 1 for n in range(20)})
    assert len(describe_validation_error(error).splitlines()) == 10
    assert describe_validation_error(error, limit=1) == "unknown_0: extra inputs are not permitted"
