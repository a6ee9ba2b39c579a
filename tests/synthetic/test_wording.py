"""The texts of the splits, checked over every combination of sentence, slot and clause, not over samples."""

import itertools
import re
from functools import cache
from importlib import resources
from pathlib import Path

import pytest

from earthreason.synthetic.categories import CATEGORIES
from earthreason.synthetic.phrases import load_phrases, load_templates
from earthreason.synthetic.questions import WORDINGS

SPLITS = ("train", "val", "test")
VALUES = {
    "count": ["two", "three", "four", "five", "six"],
    "most": ["largest", "smallest"],
    "direction": ["north", "south", "east", "west"],
}


def words(text):
    return tuple(re.findall(r"[a-z0-9']+", text.lower()))


def grams(tokens):
    return {tokens[at : at + 4] for at in range(len(tokens) - 3)}


def filled(template, split):
    """A template with every value of its slots, as the words before and after the clause."""
    wording = load_templates(split)
    article = {head: f"{'an' if head[0] in 'aeiou' else 'a'} {head}" for head in wording.heads}
    landmarks = [*wording.landmarks["water"], *wording.landmarks["trees"]]
    values = {**VALUES, "landmark": landmarks, "head": wording.heads}
    used = [name for name in values if f"{{{name}}}" in template or (name == "head" and "{a_head}" in template)]
    for chosen in itertools.product(*(values[name] for name in used)):
        slots = dict(zip(used, chosen, strict=True))
        slots["a_head"] = article.get(slots.get("head", ""), "")
        before, _, after = template.partition("{clause}")
        yield words(before.format(**slots)), words(after.format(**slots))


@cache
def question_grams(split):
    """Every four consecutive words that a question of the split can have."""
    wording = load_templates(split)
    clauses = [words(text) for category in CATEGORIES for text in load_phrases(category).clauses(split)]
    stories = [words(text) for category in CATEGORIES for text in load_phrases(category).stories(split)]
    starts, ends = {text[:3] for text in clauses}, {text[-3:] for text in clauses}
    openers = [words(text)[-3:] for text in wording.openers]
    found = set().union(*map(grams, [*clauses, *stories, *map(words, wording.openers)]))
    # Of the words around a clause or after a story, only the nearest three can share a group with it.
    tails, nexts, follow = set(), set(), set()
    for template in itertools.chain(*wording.frames.values()):
        for before, after in filled(template, split):
            heads = [before, *(opener + before for opener in openers)] if template[0].islower() else [before]
            found |= set().union(*map(grams, heads), grams(after))
            tails |= {head[-3:] for head in heads}
            nexts.add(after[:3])
    for template in itertools.chain(*wording.requests.values()):
        for request, _ in filled(template, split):
            heads = [request, *(words(opener) + request for opener in wording.openers)]
            found |= set().union(*map(grams, heads))
            follow |= {head[:3] for head in heads}
    for befores, afters in ((tails, starts), (ends, nexts), ({story[-3:] for story in stories}, follow)):
        found |= {gram for before in befores for after in afters for gram in grams(before + after)}
    return found


@pytest.mark.parametrize(("one", "other"), [("train", "val"), ("train", "test"), ("val", "test")])
def test_no_four_consecutive_words_occur_in_two_splits(one, other):
    assert not {" ".join(gram) for gram in question_grams(one) & question_grams(other)}


def test_heads_and_the_words_after_a_clause_belong_to_one_split():
    heads = [{words(head)[-1] for head in load_templates(split).heads} for split in SPLITS]
    nexts = []
    for split in SPLITS:
        frames = itertools.chain(*load_templates(split).frames.values())
        nexts.append({after[0] for frame in frames for _, after in filled(frame, split) if after})
    for first, second in itertools.combinations(range(3), 2):
        assert not heads[first] & heads[second]
        assert not nexts[first] & nexts[second]


@pytest.mark.parametrize(
    ("split", "openers", "function", "frames", "requests"),
    [("train", 16, 27, 15, 12), ("val", 7, 8, 6, 5), ("test", 7, 8, 6, 5)],
)
def test_every_wording_has_its_number_of_sentences(split, openers, function, frames, requests):
    wording = load_templates(split)
    assert len(set(wording.openers)) == len(wording.openers) >= openers
    assert set(wording.frames) == set(wording.requests) == set(WORDINGS)
    for name in WORDINGS:
        assert len(set(wording.frames[name])) >= (function if name == "function" else frames)
        assert len(set(wording.requests[name])) >= requests
        assert all(frame.count("{clause}") == 1 for frame in wording.frames[name])
        slot = {"multi-instance": "count", "superlative": "most", "nearest": "landmark", "direction": "direction"}
        for sentence in (*wording.frames[name], *wording.requests[name]):
            wanted = {slot[name]} if name in slot else set()
            assert set(re.findall(r"\{(\w+)\}", sentence)) - {"head", "a_head", "clause"} == wanted, sentence


def test_every_category_has_wordings_that_do_not_name_it():
    files = resources.files("earthreason.synthetic") / "wording" / "phrases"
    assert {path.name for path in files.iterdir()} == {f"{name.replace(' ', '_')}.toml" for name in CATEGORIES}
    for phrases, split in itertools.product(map(load_phrases, CATEGORIES), SPLITS):
        for text in (*phrases.clauses(split), *phrases.stories(split)):
            for word in phrases.forbidden:
                assert not re.search(rf"\b{word}", text, re.IGNORECASE), text


@pytest.mark.parametrize(("split", "texts", "stories"), [("train", 40, 6), ("val", 15, 3), ("test", 15, 3)])
def test_every_category_has_its_number_of_wordings(split, texts, stories):
    for phrases in map(load_phrases, CATEGORIES):
        assert len({*phrases.clauses(split), *phrases.stories(split)}) >= texts, phrases.singular
        assert len(set(phrases.stories(split))) >= stories, phrases.singular


def test_the_examples_of_the_page_are_questions_that_can_be_asked():
    page = (Path(__file__).parents[2] / "docs" / "synthetic.md").read_text()
    examples = re.findall(
        r'^\| (?:function|multi-instance|superlative|spatial relation|condition) .*\| "(.+)" \|$', page, re.M
    )
    assert len(examples) == 5
    wording = load_templates("test")
    sentences = itertools.chain(*wording.frames.values(), *wording.requests.values())
    patterns = [re.sub(r"\\{\w+\\}", "(.+)", re.escape(text)) for text in sentences]
    for example in examples:
        own = {text for name in CATEGORIES for text in load_phrases(name).clauses("test") if text in example}
        own |= {text for name in CATEGORIES for text in load_phrases(name).stories("test") if text in example}
        assert own, example
        assert any(re.search(f"{pattern}$", example, re.I) for pattern in patterns), example
