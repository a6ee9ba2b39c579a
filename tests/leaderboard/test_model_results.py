"""The pages of a model's results name each other, on a server and on a static site."""

import re

from leaderboard.static_site import write_site
from tests.leaderboard.listings import entry
from tests.leaderboard.toys import METADATA, make_predictions


def listed(hand, row):
    """Days and links of the table of results of a model's page."""
    part = hand.client.get(f"/models/{row}").text.partition("<h2>Results of")[2].partition("</table>")[0]
    return re.findall(r'href="/models/([^"]+)"', part)


def publish(hand, content, name="Model A", **given):
    return hand.published(content, metadata={**METADATA, "model": name}, **given)


def test_results_of_one_model_name_each_other_at_once(hand, references):
    first = publish(hand, make_predictions(references, 1))
    assert listed(hand, first) == []
    other = publish(hand, make_predictions(references, 2), "Another")
    theirs = publish(hand, make_predictions(references, 3), team="beta")
    assert listed(hand, first) == []
    second = publish(hand, make_predictions(references, 4), "MODEL  a", split="toy/open")
    assert listed(hand, first) == [second]
    assert listed(hand, second) == [first]
    assert listed(hand, other) == listed(hand, theirs) == []
    hand.set(second, "private")
    assert listed(hand, first) == []


def test_renaming_a_model_moves_its_row(hand, references):
    first = publish(hand, make_predictions(references, 1))
    second = publish(hand, make_predictions(references, 2))
    third = publish(hand, make_predictions(references, 3), "New")
    assert listed(hand, first) == [second]
    assert listed(hand, third) == []
    change = {"metadata": {**METADATA, "model": "New"}}
    assert hand.client.patch(f"/api/submissions/{second}", json=change, headers=hand.headers()).status_code == 200
    assert listed(hand, first) == []
    assert listed(hand, third) == [second]


def test_scores_of_a_hidden_split_are_those_that_its_rows_show(hand, references):
    hidden, opened = (publish(hand, make_predictions(references, 1), split=split) for split in ("toy/test", "toy/open"))
    page = hand.client.get(f"/models/{opened}").text.partition("<h2>Results of")[2]
    scores = dict(re.findall(r'<td class="text">(toy/\w+)</td><td>([\d.]+)</td>', page))
    shown = {
        split: hand.client.get(f"/api/board?split={split}").json()["rows"][0]["scores"]["gIoU"][0]
        for split in ("toy/test", "toy/open")
    }
    assert scores == {"toy/test": f"{100 * shown['toy/test']:.0f}", "toy/open": f"{100 * shown['toy/open']:.2f}"}
    assert hidden != opened


def test_a_static_site_names_them_too_and_plots_the_progress(tmp_path):
    rows = [entry("one", 0.5, published=1), entry("two", 0.6, published=86_400 * 2), entry("other", 0.4)]
    rows[:2] = [type(row)(**{**vars(row), "metadata": {**row.metadata, "model": "Same"}}) for row in rows[:2]]
    write_site(rows, tmp_path / "site")
    page = (tmp_path / "site" / "model-one.html").read_text()
    assert re.findall(r'href="(model-[^"]+)">1970-01-03', page) == ["model-two.html"]
    assert "Results of" not in (tmp_path / "site" / "model-other.html").read_text()
    progress = (tmp_path / "site" / "progress-table-toy-test-segearth-r1.html").read_text()
    assert progress.count("<circle") == 3
    assert progress.count('class="leads"') == 3  # other, one and two, each better than those before
    assert "<form" not in progress
    assert "progress-table-toy-test-segearth-r1.html" in (tmp_path / "site" / "index.html").read_text()


def test_the_way_back_from_a_row_leads_to_the_table_of_its_split(hand, references):
    rows = [publish(hand, make_predictions(references, seed), f"M{seed}", split="toy/open") for seed in (1, 2)]
    for path in (f"/models/{rows[0]}", f"/compare?ids={rows[0]}&ids={rows[1]}"):
        back = re.search(r'<a href="([^"]+)">Table</a> / toy/open', hand.client.get(path).text)
        assert back is not None
        assert "<h1>toy/open</h1>" in hand.client.get(back[1]).text
