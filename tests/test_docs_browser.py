"""The documentation in Debian's Chromium, on a phone of 360 pixels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e .[dev]")
pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install -e .[dev]")
ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
def test_no_page_of_the_documentation_is_wider_than_a_phone_even_with_everything_opened(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    pages = sorted(tmp_path.rglob("index.html"))
    assert len(pages) > 20
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 800})
        for file in pages:
            page.goto(file.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
            assert page.evaluate("document.scrollingElement.scrollWidth") <= 360, file.relative_to(tmp_path)
        browser.close()
