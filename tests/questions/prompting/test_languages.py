"""Languages by name and code, and which checks understand them."""

import pytest

from earthreason.errors import EarthReasonError
from earthreason.questions.checks import QuestionSet, check_many, not_applied, passing
from earthreason.questions.language import languages_of
from earthreason.questions.prompting import languages
from earthreason.questions.prompting.languages import ENGLISH, Language, parse_language

SENTENCES = {
    "ar": "أين يمكن لقارب صغير أن يرسو ليلا بالقرب من القرية؟",
    "de": "Wo könnte ein kleines Boot für die Nacht anlegen?",
    "el": "Πού θα μπορούσε να δέσει ένα μικρό σκάφος για τη νύχτα;",
    "es": "¿Dónde podría amarrar una barca pequeña durante la noche?",
    "fr": "Où un petit bateau pourrait-il accoster pour la nuit ?",
    "hi": "रात के लिए एक छोटी नाव कहाँ रुक सकती है?",
    "it": "Dove potrebbe ormeggiare una piccola barca per la notte?",
    "ja": "小さな船は夜の間どこに停泊できますか。",
    "ko": "작은 배는 밤에 어디에 정박할 수 있습니까?",
    "nl": "Waar zou een kleine boot voor de nacht kunnen aanmeren?",
    "pl": "Gdzie mała łódź mogłaby zacumować na noc?",
    "pt": "Onde um pequeno barco poderia atracar durante a noite?",
    "ru": "Где маленькая лодка могла бы причалить на ночь?",
    "sv": "Var kan en liten båt lägga till för natten?",
    "th": "เรือลำเล็กจะจอดตอนกลางคืนได้ที่ไหน",
    "tr": "Küçük bir tekne gece için nereye yanaşabilir?",
    "uk": "Де маленький човен міг би пристати на ніч?",
    "vi": "Một chiếc thuyền nhỏ có thể cập bến ở đâu vào ban đêm?",
    "zh": "小船晚上可以停靠在哪里？",
}


@pytest.mark.parametrize("text", ["German", "german", "de", " German "])
def test_a_language_is_known_by_name_or_code(text):
    assert parse_language(text) == Language("German", "de")


def test_any_other_language_is_given_by_name_and_code():
    assert parse_language("Icelandic/is") == Language("Icelandic", "is")
    assert parse_language("English") == ENGLISH


@pytest.mark.parametrize("text", ["Germn", "Icelandic", "/de", "German/", "German/DE", "a/b/c", "", "xx"])
def test_an_unknown_language_is_told_in_one_line(text):
    with pytest.raises(EarthReasonError, match="NAME/CODE|unknown language") as caught:
        parse_language(text)
    assert "\n" not in str(caught.value)


def test_the_known_codes_are_those_of_the_identifier():
    assert set(SENTENCES) <= set(languages._KNOWN.values())
    for code, sentence in SENTENCES.items():
        assert max(languages_of(sentence), key=languages_of(sentence).get) == code


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_texts_in_the_wanted_language_pass_and_others_do_not(code):
    other = "fr" if code != "fr" else "de"
    questions = (SENTENCES[code], SENTENCES[other], "Where could a small boat tie up for the night?")
    asked = QuestionSet("a", questions, (SENTENCES[code], SENTENCES[other]), "pier", language=code)
    assert passing(asked) == ([SENTENCES[code]], [SENTENCES[code]])
    assert {finding.check for finding in check_many([asked])} == {"language"}


def test_only_the_check_of_the_language_understands_others_than_english():
    assert not_applied("en") == []
    assert "language" not in not_applied("de")
    assert {"names category", "answer target", "emptiness", "near duplicate", "length"} <= set(not_applied("de"))
