"""Write the board as files for any web host, with the same templates and links between files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path, refuse_taken
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from leaderboard.board import BoardEntry, BoardQuery, build_table, table_csv, table_values
from leaderboard.published import load_published
from leaderboard.records import ALL
from leaderboard.results_repo import slug
from leaderboard.web.rendering import draw
from leaderboard.web.views import SplitChoice, board_view, comparison, entry_view, published_view

ASSETS = Path(__file__).parent / "static"
MOST_COMPARED = 12
"""Splits with more models get no comparison pages."""


class StaticLinks:
    """Links between the files of one folder: every link is a file name."""

    live = False

    def home(self) -> str:
        return "index.html"

    def board(self, query: BoardQuery) -> str:
        return f"{self._table(query)}.html"

    def model(self, entry_id: str) -> str:
        return f"model-{slug(entry_id)}.html"

    def page(self, name: str) -> str:
        return f"{name}.html"

    def file(self, name: str) -> str:
        return name

    def data(self, query: BoardQuery, form: str) -> str:
        return f"{self._table(query)}.{form}"

    def record(self, entry_id: str) -> str:
        return f"model-{slug(entry_id)}.json"

    def compare(self, ids: Sequence[str]) -> str:
        first, second = sorted(ids)
        return f"compare-{hashlib.blake2b(f'{first} {second}'.encode(), digest_size=6).hexdigest()}.html"

    def _table(self, query: BoardQuery) -> str:
        subset = [] if query.subset == ALL else query.subset.split(": ", 1)
        return "-".join(["table", *map(slug, query.split.split("/")), query.protocol, *map(slug, subset)])


def write_site(entries: Sequence[BoardEntry], out: Path, title: str = "EarthReason") -> int:
    """Write the site into a new folder; return the number of pages.

    Raises:
        EarthReasonError: there are no results, the folder is taken, or two pages would have the same name.
    """
    if not entries:
        raise EarthReasonError("there are no results to show")
    refuse_taken(out)
    links, by_split = StaticLinks(), _by_split(entries)
    with atomic_path(out) as folder:
        folder.mkdir()
        shutil.copytree(ASSETS, folder, dirs_exist_ok=True)

        def put(name: str, template: str, **values: Any) -> None:
            _write_new(folder / name, draw(template, links, title, **values))

        choices = [SplitChoice(split, rows[0].record.hides_labels) for split, rows in by_split.items()]
        for rows in by_split.values():
            _write_tables(folder, put, links, rows, choices)
            _write_models(folder, put, links, rows)
        home = links.board(BoardQuery(max(by_split, key=lambda split: (split.endswith("/test"), len(by_split[split])))))
        shutil.copyfile(folder / home, folder / links.home())
        put(links.page("published"), "published.html", **published_view())
        put(links.page("scoring"), "scoring.html", protocols=PROTOCOLS.values())
        printed = [result.model_dump(mode="json") for result in load_published().results]
        _write_new(folder / "published.json", json.dumps(printed, indent=1))
        return len(list(folder.glob("*.html")))


def _write_new(path: Path, text: str) -> None:
    """Write a page under an unused name.

    Raises:
        EarthReasonError: the name is taken.
    """
    if path.exists():
        raise EarthReasonError(f"two pages of the site would be called {path.name}; rename one model, split or group")
    path.write_text(text, encoding="utf-8")


def _by_split(entries: Sequence[BoardEntry]) -> dict[str, list[BoardEntry]]:
    by_split: dict[str, list[BoardEntry]] = {}
    for entry in entries:
        by_split.setdefault(f"{entry.record.config}/{entry.record.split}", []).append(entry)
    return dict(sorted(by_split.items()))


def _write_tables(
    folder: Path,
    put: Callable[..., None],
    links: StaticLinks,
    rows: Sequence[BoardEntry],
    choices: Sequence[SplitChoice],
) -> None:
    split = f"{rows[0].record.config}/{rows[0].record.split}"
    for protocol in PROTOCOLS:
        subsets = [subset.key for subset in build_table(rows, BoardQuery(split, protocol)).subsets] or [ALL]
        for subset in subsets:
            query = BoardQuery(split, protocol, subset)
            put(links.board(query), "board.html", **board_view(rows, query, choices))
            table = build_table(rows, query)
            _write_new(folder / links.data(query, "json"), json.dumps(table_values(table), indent=1))
            _write_new(folder / links.data(query, "csv"), table_csv(table))


def _write_models(folder: Path, put: Callable[..., None], links: StaticLinks, rows: Sequence[BoardEntry]) -> None:
    compared = rows if len(rows) <= MOST_COMPARED else []
    for entry in rows:
        others = [other for other in compared if other is not entry]
        put(links.model(entry.id), "model.html", **{**entry_view(entry), "others": others})
        _write_new(folder / links.record(entry.id), entry.record.model_dump_json(indent=1))
    for pair in combinations(compared, 2):
        put(links.compare([entry.id for entry in pair]), "compare.html", **comparison(pair, DEFAULT_PROTOCOL, []))
