"""What makes kept pages invalid, and how many are kept."""

from leaderboard.changes import Changes
from leaderboard.web import cache
from leaderboard.web.cache import Board, DrawnPage, Seen, matches


def seen(*changes):
    made = Seen()
    for one in changes:
        made.note(one)
    return made


def row(number, entry_id, split="toy/open"):
    return Changes(number, {number: (split, entry_id)}, everything=False)


def test_a_change_ends_what_shows_its_row_or_its_split_and_nothing_else():
    known = seen(Changes(5, {}, everything=True), row(6, "a"))
    assert not known.is_valid(5, ("a",))
    assert not known.is_valid(5, ("b", "a"))
    assert not known.is_valid(5, ("toy/open",))
    assert known.is_valid(5, ("b", "toy/test"))
    assert known.is_valid(6, ("a", "toy/open"))
    assert not known.is_valid(4, ())


def test_an_older_reading_that_comes_late_revives_nothing():
    late = Changes(6, {6: ("toy/open", "a")}, everything=False)
    known = seen(Changes(5, {}, everything=True), Changes(7, {7: ("toy/open", "a")}, everything=False), late)
    assert not known.is_valid(6, ("a",))


def test_pages_of_another_database_are_not_shown():
    known = seen(Changes(90, {}, everything=True), Changes(3, {}, everything=True))
    assert not known.is_valid(90, ())


def test_forgotten_changes_count_for_all(monkeypatch):
    monkeypatch.setattr(cache, "_CHANGES", 4)
    known = seen(Changes(0, {}, everything=True), *(row(number, f"row{number}") for number in range(1, 7)))
    assert len(known._numbers) == 4
    assert not known.is_valid(0, ("another",))
    assert not known.is_valid(3, ("row4",))
    assert known.is_valid(6, ("row4",))


def test_pages_are_kept_by_their_bytes_and_the_longest_unread_goes_first(monkeypatch):
    monkeypatch.setattr(cache, "_PAGE_BYTES", 300)
    board = Board(None, None)
    board._seen.note(Changes(0, {}, everything=True))
    for name in ("a", "b", "c"):
        board._keep(name, DrawnPage(b"x" * 100, {}, "text/html", "", 0, ()))
    assert board._kept("a")
    board._keep("d", DrawnPage(b"x" * 40, {"br": b"x" * 60}, "text/html", "", 0, ()))
    assert list(board._pages) == ["c", "a", "d"]
    board._keep("d", DrawnPage(b"x" * 10, {}, "text/html", "", 0, ()))
    assert board._bytes == 210


def test_tags_are_compared_as_browsers_and_proxies_send_them():
    assert matches('W/"a"', 'W/"a"')
    assert matches('"b", "a"', 'W/"a"')
    assert matches("*", 'W/"a"')
    assert not matches("", 'W/"a"')
    assert not matches('"ab"', 'W/"a"')
