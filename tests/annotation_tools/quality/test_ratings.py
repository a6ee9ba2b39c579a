import pytest

from annotation_tools.quality.ratings import rate_agreement


def two(*pairs):
    return {f"t{n}": {"anna": a, "ben": b} for n, (a, b) in enumerate(pairs)}


def test_kappa_of_a_table_done_by_hand():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: raw 0.7, chance 0.5, kappa 0.4 (Cohen 1960, by hand).
    said = two(*[("y", "y")] * 20, *[("y", "n")] * 5, *[("n", "y")] * 10, *[("n", "n")] * 15)
    found = rate_agreement(said, 2)
    assert found.raw == pytest.approx(0.7)
    assert found.pairs[0].kappa == pytest.approx(0.4)
    assert found.pabak == pytest.approx(0.4)
    assert found.prevalence == pytest.approx({"y": 0.55, "n": 0.45})


@pytest.mark.parametrize(
    ("categories", "pabak"),
    # Three of four things alike: (k * 3/4 - 1) / (k - 1), which is 2/4, (5/4) / 2, 2 / 3 and (11/4) / 4.
    [(2, 0.5), (3, 0.625), (4, 2 / 3), (5, 0.6875)],
)
def test_pabak_depends_on_how_many_categories_there_are_to_choose_from(categories, pabak):
    said = two(("x", "x"), ("x", "x"), ("y", "y"), ("x", "y"))
    assert rate_agreement(said, categories).pabak == pytest.approx(pabak)


def test_alpha_of_krippendorffs_own_example():
    # Nominal data of four observers with missing values, Krippendorff (2011), section C: alpha = 0.743.
    a = [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None]
    b = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3]
    c = [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None]
    d = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]
    said = {
        f"u{n}": {who: str(value) for who, value in zip("abcd", column, strict=True) if value is not None}
        for n, column in enumerate(zip(a, b, c, d, strict=True))
    }
    assert rate_agreement(said, 5).alpha == pytest.approx(0.743, abs=5e-4)


def test_when_one_answer_prevails_kappa_falls_though_people_agree():
    found = rate_agreement(two(*[("ok", "ok")] * 97, ("ok", "bad"), ("bad", "ok"), ("bad", "ok")), 2)
    assert found.raw == pytest.approx(0.97)
    assert found.pairs[0].kappa < 0.01
    assert found.pabak == pytest.approx(0.94)


def test_perfect_agreement_on_one_answer_is_undefined_not_nan():
    found = rate_agreement(two(("ok", "ok"), ("ok", "ok")), 2)
    assert found.raw == 1
    assert found.alpha is None
    assert found.pairs[0].kappa is None


def test_things_only_one_person_rated_do_not_count():
    found = rate_agreement({"a": {"anna": "x"}, "b": {"anna": "x", "ben": "y"}}, 2)
    assert (found.things, found.raw, found.disputed) == (1, 0.0, ["b"])


def test_nothing_rated_twice_gives_no_numbers():
    found = rate_agreement({"a": {"anna": "x"}}, 2)
    assert (found.raw, found.pabak, found.alpha, found.pairs) == (None, None, None, [])
