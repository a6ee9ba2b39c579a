"""The documentation in Debian's Chromium, on a phone of 360 pixels, and with its figures in both modes."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e .[dev]")
pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install -e .[dev]")
ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium")


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built documentation."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    return folder


@needs_chromium
def test_no_page_of_the_documentation_is_wider_than_a_phone_even_with_everything_opened(site):
    pages = sorted(site.rglob("index.html"))
    assert len(pages) > 20
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 800})
        for file in pages:
            page.goto(file.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
            assert page.evaluate("document.scrollingElement.scrollWidth") <= 360, file.relative_to(site)
        browser.close()


def _name(path):
    """End of the address of a picture."""
    return f"{path.parent.name}/{path.name}"


@needs_chromium
@pytest.mark.parametrize("system", ["light", "dark"])
def test_figures_follow_the_mode_that_the_reader_chose_for_the_page(site, system):
    figures = sorted((ROOT / "docs" / "images").rglob("*.svg"))
    texts = {page: page.read_text() for page in site.rglob("index.html")}
    pages = {path: page for path in figures for page, text in texts.items() if f'{_name(path)}"' in text}
    assert pages.keys() == set(figures)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=system)
        for path, file in pages.items():
            page.goto(file.as_uri())
            for scheme, dark in (("default", False), ("slate", True)):
                page.evaluate("scheme => { document.body.dataset.mdColorScheme = scheme; }", scheme)
                image = page.locator(f"img[src$='{_name(path)}']").first
                image.scroll_into_view_if_needed()
                image.evaluate("image => image.decode()")
                shot = Image.open(io.BytesIO(image.screenshot())).convert("L")
                assert (np.median(np.asarray(shot)) < 60) is np.bool_(dark), (path.name, scheme)
        browser.close()
