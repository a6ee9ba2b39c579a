"""What may stand in a name: nothing that shows nothing, by the properties of Unicode."""

import sys
import unicodedata
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from earthreason.errors import EarthReasonError
from leaderboard.records import Line, Name, RecordError, Text, check_reason, parse_metadata
from leaderboard.tokens import check_team_name

NAMES = {"model": "Model", "training": "trained"}
UNSEEN = (0x3164, 0x2800, 0x115F, 0x1160, 0x34F, 0xFE0F, 0xFE00, 0xFFA0, 0xAD, 0x200B, 0x2060, 0x180E, 0xE0041, 0x1D159)
NOT_FORMAT = r"\p{Cc}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}"


def accepts(kind):
    adapter = TypeAdapter(kind)

    def test(text):
        try:
            adapter.validate_python(text)
        except ValidationError:
            return False
        return True

    return test


@pytest.mark.parametrize("code", UNSEEN, ids=hex)
def test_what_shows_nothing_is_in_no_name(code):
    character, name = chr(code), unicodedata.name(chr(code))
    for text in (character, f"Mo{character}del", f"Model{character}"):
        with pytest.raises(RecordError, match=rf"metadata\.model: contains U\+{code:04X} \({name}\)"):
            parse_metadata({**NAMES, "model": text})
        with pytest.raises(RecordError):
            parse_metadata({**NAMES, "backbone": text})
        with pytest.raises(EarthReasonError):
            check_team_name(text)
        with pytest.raises(EarthReasonError):
            check_reason(text)


@pytest.mark.parametrize("name", ["Modell ä", "模型", "नमूना", "نموذج", "모델", "model-ß/2 (v1.0)", "🛰 Sat", "⠓⠊", "é"])
def test_names_in_every_script_are_accepted(name):
    assert parse_metadata({**NAMES, "model": name}).model == name


@pytest.mark.parametrize("name", ["", " ", "\u3000", "\u00a0\u2003"])
def test_a_name_of_spaces_is_none(name):
    assert not accepts(Name)(name)


def test_the_ranges_are_those_of_the_properties():
    """Every code point, against the properties as another program knows them; blanks have no property."""
    unseen = accepts(Annotated[str, Field(pattern=rf"^([{NOT_FORMAT}]|\p{{Cf}})$")])
    shown_format = accepts(Annotated[str, Field(pattern=r"^\p{Prepended_Concatenation_Mark}$")])
    line, text = accepts(Line), accepts(Text)
    blanks = set("\u2800\u2d7f\U0001107f\U00013440\U00016fe4\U0001d159")
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) == "Cs":
            continue
        refused = (unseen(character) and not shown_format(character)) or character in blanks
        if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
            refused = True  # noncharacters
        assert line(character) is not refused, hex(code)
        assert text(character) is (not refused or character == "\n"), hex(code)


def test_the_schema_states_the_whole_rule():
    """Programs that read only the schema make names that are accepted."""
    schema = TypeAdapter(Name).json_schema()
    assert (schema["minLength"], schema["maxLength"]) == (1, 80)
    stated = accepts(Annotated[str, Field(pattern=schema["pattern"])])
    for code in (*UNSEEN, 0x41, 0x20, 0x4E00, 0xE000, 0x0A):
        assert stated(chr(code)) is accepts(Name)(chr(code))
