"""A host and a team in Chromium: invitation, sign-up by e-mail and with an account, team page, organisers' page."""

from pathlib import Path

import pytest
from oidc_provider_mock import run_server_in_thread

from leaderboard.links import create_link
from leaderboard.members import add_member, create_team
from leaderboard.submissions import set_flag
from leaderboard.tables import Submission
from leaderboard.tokens import add_token, find_caller
from leaderboard.webhooks import add_webhook
from tests.leaderboard.people import mail_server
from tests.leaderboard.test_browser import browser as browser
from tests.leaderboard.test_server import Programs
from tests.leaderboard.toys import make_predictions

pytestmark = [pytest.mark.browser, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e .[dev]")
PAGES = ("/progress?split=toy/test", "/sign-in", "/team", "/admin", "/mine", "/submit")


@pytest.fixture
def served(hand, tmp_path):
    """Programs of a board with mail server and OpenID provider, and the mailbox."""
    with mail_server() as (controller, box), run_server_in_thread() as provider:
        made = Programs(
            str(hand.worker.settings.database_url),
            tmp_path / "log",
            resamples=50,
            smtp_host="127.0.0.1",
            smtp_port=controller.port,
            smtp_security="none",
            mail_from="board@board.test",
            open_sign_up="true",
            huggingface_client_id="board",
            huggingface_client_secret="s",
            huggingface_url=f"http://localhost:{provider.server_port}",
        )
        made.environment["EARTHREASON_BOARD_BASE_URL"] = made.address
        made.web()
        made.start("notify")
        made.wait()
        yield made, box
        made.end()


def wait_for_mail(page, box, number):
    for _ in range(100):
        if len(box.envelopes) >= number:
            return box.link()
        page.wait_for_timeout(100)
    raise AssertionError("no mail came")


def sign_in(page, address, token):
    page.goto(f"{address}/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_host_invites_a_team_whose_members_come_by_mail_and_by_account(browser, hand, served):
    programs, box = served

    def is_fault(said, page):  # the provider's own page wants styles from the internet
        return said.type == "error" and page.url.startswith(programs.address)

    host, owner, bob, ada = (browser.new_context().new_page() for _ in range(4))
    faults = []
    for page in (host, owner, bob, ada):
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said, page=page: faults.append(said.text) if is_fault(said, page) else None)

    sign_in(host, programs.address, hand.tokens["admin"])
    host.get_by_role("link", name="Organisers").click()
    host.get_by_role("button", name="Invite a new team").click()
    link = host.locator("pre.secret").inner_text()

    owner.goto(link)
    owner.get_by_label("Name of the team").fill("Geo Lab")
    owner.get_by_label("Your name").fill("Olga")
    owner.get_by_role("button", name="Create a team").click()
    assert owner.locator("pre.secret").inner_text().startswith("er_")
    owner.get_by_role("link", name="I have copied it").click()
    playwright.expect(owner.get_by_role("heading", name="Geo Lab")).to_be_visible()
    owner.get_by_label("E-mail address").fill("bob@lab.example")
    owner.get_by_role("button", name="Invite").click()

    bob.goto(f"{programs.address}/join?link={wait_for_mail(bob, box, 1)}")
    bob.get_by_label("Your name").fill("Bob")
    bob.get_by_role("button", name="Join Geo Lab").click()
    playwright.expect(bob.get_by_text("bob@lab.example")).to_be_visible()
    bob.get_by_label("Name of a new token").fill("cluster")
    bob.get_by_role("button", name="Create a token").click()
    token = bob.locator("pre.secret").inner_text()
    hand.tokens["bob"] = token
    hand.submit(make_predictions(hand.references), team="bob", split="toy/open")
    hand.score()
    bob.goto(f"{programs.address}/mine")
    bob.get_by_role("button", name="Publish").click()
    playwright.expect(bob.get_by_text("everyone")).to_be_visible()

    ada.goto(f"{programs.address}/sign-in")  # an account at an OpenID provider, on another site
    ada.get_by_role("link", name="Continue with Hugging Face").click()
    ada.locator("input[name=sub]").fill("ada")
    ada.get_by_role("button", name="Authorize", exact=True).click()
    ada.get_by_label("Name of the team").fill("Adas")
    ada.get_by_role("button", name="Create a team").click()
    playwright.expect(ada.get_by_role("heading", name="Adas")).to_be_visible()
    ada.get_by_role("button", name="Sign out", exact=True).click()
    ada.goto(f"{programs.address}/sign-in")
    ada.get_by_role("link", name="Continue with Hugging Face").click()
    ada.locator("input[name=sub]").fill("ada")
    ada.get_by_role("button", name="Authorize", exact=True).click()
    playwright.expect(ada.get_by_role("heading", name="Adas")).to_be_visible()  # the strict cookie came along

    owner.reload()
    row = owner.get_by_role("row").filter(has_text="Bob")
    row.get_by_role("button", name="Remove").first.click()
    bob.goto(f"{programs.address}/team")
    assert bob.url.endswith("/sign-in")
    assert faults == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_pages_of_teams_and_organisers_fit_a_phone_and_read_in_the_dark(browser, hand, served):
    """Without JavaScript; with the longest names."""
    programs, _ = served
    contrast = (Path(__file__).parent / "contrast.js").read_text()
    hand.published(make_predictions(hand.references), metadata={"model": "W" * 80, "training": "trained"})
    for scheme in ("light", "dark"):
        for team in ("alpha", "admin"):
            context = browser.new_context(
                viewport={"width": 390, "height": 844}, color_scheme=scheme, java_script_enabled=False
            )
            page = context.new_page()
            sign_in(page, programs.address, hand.tokens[team])
            if scheme == "light" and team == "alpha":
                page.goto(f"{programs.address}/team")
                page.get_by_label("Name of a new token").fill("N" * 60)
                page.get_by_role("button", name="Create a token").click()
                page.goto(f"{programs.address}/team")
                page.get_by_label("Address", exact=True).fill("https://example.org/" + "h" * 200)
                page.get_by_role("button", name="Add a webhook").click()
            if scheme == "light" and team == "admin":
                page.goto(f"{programs.address}/admin")
                page.get_by_label("Submission", exact=True).fill(
                    hand.client.get("/api/board?split=toy/test").json()["rows"][0]["id"]
                )
                page.get_by_label("Reason").fill("R" * 300)
                page.get_by_role("button", name="Flag", exact=True).click()
            for path in PAGES:
                page.goto(programs.address + path)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, (path, team)
                assert page.get_by_role("heading", level=1).count() == 1, path
                assert page.evaluate(contrast) >= 4.4, (path, scheme)
            context.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_longest_names_and_addresses_fit_a_phone(browser, hand, served):
    """With every role, token, invitation, webhook, message and flag that a page can show."""
    programs, _ = served
    row = hand.submit(make_predictions(hand.references), metadata={"model": "M" * 80, "training": "trained"})
    with hand.worker.database.write() as session:
        team = create_team(session, "T" * 80)
        add_member(session, team, "N" * 80, "owner", email="a" * 64 + "@" + "b" * 60 + ".example")
        add_token(session, team.id, label="L" * 80)
        secret = add_token(session, team.id)[1]
        add_webhook(session, find_caller(session, secret), "https://example.org/" + "u" * 280, private=False)
        create_link(
            session,
            "invitation",
            team_id=team.id,
            email="c" * 64 + "@" + "d" * 60 + ".example",
            details={"role": "owner"},
        )
        set_flag(session, session.get_one(Submission, row), "F" * 1000)
        session.get_one(Submission, row).team_id = team.id
    for token, paths in (
        (secret, ("/team", "/mine", f"/mine/{row}", "/submit")),
        (hand.tokens["admin"], ("/admin", "/mine")),
    ):
        page = browser.new_context(viewport={"width": 360, "height": 800}).new_page()
        sign_in(page, programs.address, token)
        page.wait_for_url(lambda url: "sign-in" not in url)
        for path in paths:
            page.goto(programs.address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_over_the_limit_is_said_before_the_upload_and_a_deletion_is_asked_for(browser, hand, served, tmp_path):
    programs, _ = served
    row = hand.submit(make_predictions(hand.references))
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate((128 << 20) + 1)
    page = browser.new_context().new_page()
    posted = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    sign_in(page, programs.address, hand.tokens["alpha"])
    page.wait_for_url(lambda url: "sign-in" not in url)
    posted.clear()
    page.goto(f"{programs.address}/submit")
    page.get_by_label("Name").fill("Model A")
    page.get_by_label("Exposure to the dataset").select_option("trained")
    chosen = page.get_by_label("File")
    chosen.set_input_files(tmp_path / "large.json")
    page.locator("main").get_by_role("button", name="Submit").click()
    assert chosen.evaluate("input => input.validationMessage") == "The file is over 128 MiB."
    page.goto(f"{programs.address}/mine/{row}")
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_timeout(300)
    assert posted == []
    page.get_by_label("Delete Model A on toy/test").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/mine")
    assert row not in page.content()
