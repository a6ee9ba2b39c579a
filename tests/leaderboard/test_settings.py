"""Settings that cannot work are refused when the board starts, by name and with what would do."""

import sqlite3

import pytest

from earthreason.cli.ports import check_free, url_of
from earthreason.errors import EarthReasonError
from leaderboard.settings import Settings, settings_from
from tests.leaderboard.people import BASE, Browser, board_with
from tests.leaderboard.toys import free_port


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BASE_URL", "board.example", "is not a web address such as https://"),
        ("BASE_URL", "ftp://board.example", "is not a web address"),
        ("BASE_URL", "https://board example", "is not a web address"),
        ("BASE_URL", "https://board.example?x#y", "is not a web address"),
        ("BASE_URL", "https://user:pw@board.example", "is not a web address"),
        ("BASE_URL", "https://board.example:99999", "port out of range"),
        ("BASE_URL", "https://example.org/board/", "has the path /board"),
        ("GITHUB_URL", "github", "is not a web address"),
        ("GITHUB_API_URL", "https://a b", "is not a web address"),
        ("HUGGINGFACE_URL", "//hf.co", "is not a web address"),
        ("SMTP_HOST", "mail example", "is not the name or address of a machine"),
        ("SMTP_HOST", "smtp://mail.example", "is not the name or address of a machine"),
        ("MAIL_FROM", "board", "is not an e-mail address"),
        ("MAIL_FROM", "board@", "is not an e-mail address"),
        ("MAIL_FROM", "a@b.org\nBcc: c@d.org", "is not an e-mail address"),
        ("TITLE", "a\nb", r"contains U\+000A"),
        ("TITLE", "\u3164", r"contains U\+3164"),
        ("LEASE_SECONDS", "inf", "less than or equal"),
        ("POLL_SECONDS", "inf", "less than or equal"),
        ("DRAWING_SHARE", "inf", "less than or equal"),
        ("SESSION_HOURS", "99999999999999", "less than or equal"),
        ("MAX_UPLOAD_MIB", "901", "less than or equal to 900"),
        ("GITHUB_CLIENT_SECRET", "x", "needs EARTHREASON_BOARD_GITHUB_CLIENT_ID"),
        ("HUGGINGFACE_CLIENT_SECRET", "x", "needs EARTHREASON_BOARD_HUGGINGFACE_CLIENT_ID"),
        ("SMTP_PASSWORD", "x", "needs EARTHREASON_BOARD_SMTP_USER"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line(name, value, said):
    with pytest.raises(EarthReasonError, match=f"EARTHREASON_BOARD_{name}.*{said}") as caught:
        settings_from({f"EARTHREASON_BOARD_{name}": value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("setting", sorted(Settings.model_fields))
def test_an_empty_variable_is_never_a_value(setting):
    name = f"EARTHREASON_BOARD_{setting.upper()}"
    with pytest.raises(EarthReasonError, match=f"{name} is empty"):
        settings_from({name: " "})


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://board.example/", "https://board.example"),
        ("https://Board.Example:443", "https://board.example"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_boards_address_is_written_as_browsers_send_it(given, origin):
    """The expected values are what Chromium sends as Origin from these addresses."""
    assert settings_from({"EARTHREASON_BOARD_BASE_URL": given}).base_url == origin


def test_the_largest_file_fits_into_a_value_of_sqlite():
    most = Settings.model_fields["max_upload_mib"].metadata[-1].le << 20
    with sqlite3.connect(":memory:") as connection:
        assert most < connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)


def test_a_form_from_another_address_of_the_board_names_the_right_one(settings, database, board):
    """Behind a proxy the board sees another address than the browser; readers must not be told of an attack only."""
    with board_with(settings, database) as (app, _):
        answer = Browser(app).post("/sign-in", {"token": "x"}, headers={"Origin": "https://10.0.0.7"})
    assert answer.status_code == 403
    assert f"open {BASE}" in answer.text
    assert "EARTHREASON_BOARD_BASE_URL" in answer.text


def test_an_address_that_cannot_be_listened_on_names_the_right_option():
    with pytest.raises(EarthReasonError, match=r"192\.0\.2\.1.*another --host"):
        check_free("192.0.2.1", free_port())
    with pytest.raises(EarthReasonError, match="another --host"):
        check_free("board.invalid", free_port())
    check_free("::1", free_port())
    assert url_of("::1", 80) == "http://[::1]:80"


def test_settings_come_from_the_environment():
    found = settings_from({"EARTHREASON_BOARD_DAILY_LIMIT": "7", "DATABASE_URL": "sqlite:///x", "HOME": "/"})
    assert (found.daily_limit, found.database_url) == (7, "sqlite:///x")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DAILY_LIMIT", "0", "DAILY_LIMIT"),
        ("DALY_LIMIT", "1", "DALY_LIMIT"),
        ("LEASE_SECONDS", "5", "LEASE_SECONDS must be longer than EARTHREASON_BOARD_TIME_LIMIT"),
    ],
)
def test_a_wrong_setting_is_named(name, value, said):
    with pytest.raises(EarthReasonError, match=said):
        settings_from({f"EARTHREASON_BOARD_{name}": value})


def test_no_setting_holds_a_secret_by_default():
    secrets = [name for name in Settings.model_fields if name.endswith(("_secret", "_password"))]
    assert len(secrets) == 3
    assert [getattr(Settings(), name) for name in secrets] == [None] * 3
