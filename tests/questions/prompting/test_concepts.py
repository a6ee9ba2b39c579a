"""Concepts that may be absent: where they come from, and the order in which samples try them."""

from collections import Counter

import pytest

from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.questions.prompting.concepts import OFFICIAL, SHORTLIST, pool_of, read_concepts, shortlist
from tests.questions.test_runs import Splits, record

# The table of categories in the field's reports (shared/spec/field_datasets.md, section 1).
PUBLISHED = """
storage tank, bridge, intersection, tennis court, baseball field, substation, pier, viaduct, wind turbine, church,
airport runway, swimming pool, lake, airport helipad, dam, railway, basketball court, beach, greenhouse, roundabout,
solar power plant, ground track field, wastewater plant, river, train station, stadium, island, factory
"""


def test_the_official_concepts_are_the_28_published_categories():
    assert sorted(OFFICIAL) == sorted(name.strip() for name in PUBLISHED.split(","))


def test_every_concept_comes_first_and_is_offered_equally_often():
    lists = [shortlist(OFFICIAL, 3, ("train", f"image {n}"), None) for n in range(1400)]
    assert all(len(set(offered)) == SHORTLIST for offered in lists)
    first = Counter(offered[0] for offered in lists)
    anywhere = Counter(concept for offered in lists for concept in offered)
    # Each is expected 50 times, and 400 times; chi-square with 27 degrees of freedom exceeds 55.5 once in 1,000 times.
    assert sum((first[concept] - 50) ** 2 / 50 for concept in OFFICIAL) < 55.5
    assert all(abs(anywhere[concept] - 400) < 5 * (400 * (1 - SHORTLIST / 28)) ** 0.5 for concept in OFFICIAL)


def test_the_order_depends_on_seed_split_and_id_and_not_on_the_order_of_the_concepts():
    offered = shortlist(OFFICIAL, 0, ("train", "a"), None)
    assert offered == shortlist(tuple(reversed(OFFICIAL)), 0, ("train", "a"), None)
    others = [(1, ("train", "a")), (0, ("test", "a")), (0, ("train", "b"))]
    assert all(shortlist(OFFICIAL, seed, sample, None) != offered for seed, sample in others)


@pytest.mark.parametrize(
    ("category", "never"),
    [
        ("pier", ("pier",)),
        ("Pier", ("pier",)),
        ("jetty", ("pier",)),
        ("bridge", ("bridge", "viaduct")),
        ("airport_runway", ("airport runway", "airport helipad")),
        ("oil tank", ("storage tank",)),
    ],
)
def test_a_sample_is_not_offered_its_own_category_or_another_name_of_it(category, never):
    for number in range(60):
        assert not set(shortlist(OFFICIAL, 0, ("train", str(number)), category)) & set(never)


def test_few_concepts_are_all_offered():
    assert sorted(shortlist(("mosque", "pier"), 0, ("train", "a"), None)) == ["mosque", "pier"]
    assert shortlist(("jetty", "pier"), 0, ("train", "a"), "pier") == ()


def test_the_categories_of_a_set_come_after_the_official_ones_once_each():
    source = Splits(
        train=[record("a", category="vineyard"), record("b", category="salt_pond"), record("c", category="Pier")],
        test=[record("d", category="vineyard"), record("e", category=None), record("f", category="x" * 200)],
    )
    assert pool_of(source) == (*OFFICIAL, "salt pond", "vineyard")


def test_a_file_of_concepts_has_one_a_line(tmp_path):
    path = tmp_path / "concepts.txt"
    path.write_bytes("\ufeff# mine\nsalt  pond\r\n\nwindmill\nSalt Pond\nMühle\n".encode())
    assert read_concepts(path) == ("salt pond", "windmill", "Mühle")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 concepts; at least 2"),
        (b"pier\nPIER\n", "1 concepts"),
        (b"pier\n" + b"x" * 81, "line 2"),
        (b"pier\n---\n", "line 2"),
        (b"pier; lake\nriver\n", "line 1"),
        (b"pier\n\xff\xfe\n", "not UTF-8 text"),
    ],
)
def test_a_broken_file_of_concepts_is_named_with_its_line(tmp_path, content, words):
    path = tmp_path / "concepts.txt"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=f"concepts.txt.*{words}"):
        read_concepts(path)
    with pytest.raises(DataNotFoundError, match="no file of concepts"):
        read_concepts(tmp_path / "none.txt")
