"""The static site: whole, escaped, in pages, and never two pages under one name."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from earthreason.errors import EarthReasonError
from earthreason.metrics.references import Reference, References
from earthreason.predictions.reader import open_predictions
from leaderboard.results_repo import read_repository, write_entry
from leaderboard.scoring import score_predictions
from leaderboard.static_site import write_site
from tests.leaderboard.listings import entry
from tests.leaderboard.test_results_repo import entry_of
from tests.leaderboard.test_results_repo import record as record
from tests.leaderboard.test_results_repo import repository as repository
from tests.leaderboard.toys import make_predictions


def test_every_group_has_a_page_of_its_own(tmp_path, references):
    groups = References(
        (
            Reference(r.sample_id, r.segmentation, category=("机场", "桥", "sea port")[n % 3])
            for n, r in enumerate(references.values())
        ),
        "toy",
    )
    (tmp_path / "p.json").write_bytes(make_predictions(groups))
    opened = open_predictions(tmp_path / "p.json")
    record = score_predictions(opened, groups, config="toy", split="test", hidden=False, resamples=20).record
    write_entry(tmp_path / "results", entry_of(record))
    write_site(read_repository(tmp_path / "results"), tmp_path / "site")
    pages = sorted((tmp_path / "site").glob("table-toy-test-segearth-r1-category-*.html"))
    assert len(pages) == 3
    assert len({re.search(r"<h1>.*?questions \((.*?)\)", page.read_text(), re.DOTALL).group(1) for page in pages}) == 3
    assert pages[-1].name == "table-toy-test-segearth-r1-category-sea-port.html"


def test_a_site_does_not_write_one_page_over_another(record, tmp_path):
    one, other = entry_of(record), entry_of(record, "Model B")
    with pytest.raises(EarthReasonError, match="two pages of the site would be called model-same.html"):
        write_site([replace(one, id="same"), replace(other, id="same")], tmp_path / "site")
    assert not (tmp_path / "site").exists()


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src")]


def test_the_static_site_is_whole_links_hold_and_text_is_escaped(repository, tmp_path):
    pages = write_site(read_repository(repository), tmp_path / "site")
    files = list((tmp_path / "site").glob("*.html"))
    assert len(files) == pages > 10
    for page in files:
        text = page.read_text()
        assert "<b>" not in text.replace("Model &lt;b&gt;", "")
        links = Links()
        links.feed(text)
        for link in links.found:
            if not re.match("https?:|#", link):
                assert (tmp_path / "site" / link).is_file(), f"{page.name} links to {link}"
    index = (tmp_path / "site" / "index.html").read_text()
    assert "Model A" in index
    assert "<form" not in index


def test_a_large_site_has_pages_of_fifty_rows_and_links_between_them(tmp_path):
    rows = (entry(f"row-{n:03d}", 0.9 - n / 1000) for n in range(120))
    write_site(rows, tmp_path / "site")  # a generator: the rows are never in memory together
    names = ["", "-page-2", "-page-3"]
    pages = [(tmp_path / "site" / f"table-toy-test-segearth-r1{name}.html").read_text() for name in names]
    shown = [re.findall(r'<a href="model-row-(\d+)\.html">', page) for page in pages]
    assert [len(page) for page in shown] == [50, 50, 20]
    assert [int(number) for page in shown for number in page] == list(range(120))
    assert 'href="table-toy-test-segearth-r1-page-3.html" rel="next"' in pages[1]
    assert "data-sort" not in pages[0]  # one page cannot sort the whole table
    told = json.loads((tmp_path / "site" / "table-toy-test-segearth-r1.json").read_text())
    assert (told["total"], len(told["rows"])) == (120, 120)
    assert len((tmp_path / "site" / "table-toy-test-segearth-r1.csv").read_text().splitlines()) == 121


def test_a_site_is_not_written_over_another(repository, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "x").touch()
    with pytest.raises(EarthReasonError, match="not an empty folder"):
        write_site(read_repository(repository), tmp_path / "site")
    with pytest.raises(EarthReasonError, match="no result"):
        write_site([], tmp_path / "other")


# --- the Hub ---------------------------------------------------------------------------------------------------------
