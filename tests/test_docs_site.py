"""The built documentation: its links, the reference of functions and commands, and its pages on a phone."""

import io
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isclass, isfunction
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install -e .[docs]")
mkdocstrings = pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: pip install -e .[docs]")
ROOT = Path(__file__).parent.parent
PUBLIC = (
    *("earthreason", "earthreason.data.load", "earthreason.data.schema", "earthreason.data.catalogue"),
    *("earthreason.data.exports", "earthreason.masks.rle", "earthreason.masks.grids", "earthreason.metrics.protocols"),
    *("earthreason.metrics.result", "earthreason.metrics.torch", "earthreason.predictions", "earthreason.predictors"),
    *("earthreason.geo", "earthreason.questions.pipeline", "earthreason.questions.validate", "earthreason.torch"),
    *("earthreason.reports.evaluation", "earthreason.reports.browse", "earthreason.synthetic", "earthreason.types"),
    *("earthreason.board_client", "earthreason.overlay", "earthreason.errors", "baselines.registry", "baselines.auto"),
)
"""Modules whose public names the reference has: those of `__all__`, or else the functions and classes defined there."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    return folder


class Page(HTMLParser):
    """Collects the anchors of a page, and what it links to or shows."""

    def __init__(self):
        super().__init__()
        self.anchors = set()
        self.targets = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self.targets += [values[name] for name in ("href", "src") if values.get(name)]


@cache
def read_page(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def test_every_link_of_the_site_leads_to_a_page_and_an_anchor_that_exist(site):
    dead = []
    pages = [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
    for page in pages:
        for target in read_page(page).targets:
            link = urlsplit(target)
            if link.scheme or link.netloc:
                continue
            goal = (page.parent / unquote(link.path)).resolve() if link.path else page
            goal = goal / "index.html" if goal.is_dir() else goal
            if not goal.is_file() or (link.fragment and unquote(link.fragment) not in read_page(goal).anchors):
                dead.append(f"{page.relative_to(site)}: {target}")
    assert len(pages) > 30
    assert dead == []


def public_names(module):
    named = getattr(module, "__all__", None)
    if named is not None:
        return [name for name in named if not name.startswith("__")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (isclass(value) or isfunction(value)) and value.__module__ == module.__name__
    ]


@pytest.fixture(scope="module")
def documented(site):
    with (site / "objects.inv").open("rb") as file:
        return set(mkdocstrings.Inventory.parse_sphinx(file))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_reference_has_every_public_name(name, documented):
    if "torch" in name or "baselines" in name:
        pytest.importorskip("torch")
    module = import_module(name)
    names = public_names(module)
    assert names
    missing = []
    for each in names:
        value = getattr(module, each)
        places = {entry for entry in documented if entry.rpartition(".")[2] == each}
        home = f"{getattr(value, '__module__', '')}.{each}"
        same = (getattr(import_module(place.rpartition(".")[0]), each, None) is value for place in places - {home})
        if home not in places and not any(same):
            missing.append(each)
    assert missing == []


def load_hook():
    spec = spec_from_file_location("cli_reference", ROOT / "docs" / "hooks" / "cli_reference.py")
    hook = module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook


HOOK = load_hook()


@pytest.mark.parametrize("program", HOOK.APPS)
def test_the_reference_of_a_program_has_every_option_that_typer_documents_exactly_once(program):
    module = HOOK.APPS[program]
    typers = subprocess.run(
        [sys.executable, "-m", "typer", module, "utils", "docs", "--name", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ours = sections(HOOK.describe_program(program), r"^## (.+)$", r"^\| `(.+?)` \|")
    theirs = sections(typers, r"^#+ `(.+)`$", r"^\* `(.+?)`: (?=.)")
    children = {command.split()[-1] for command in theirs}
    assert len(theirs) > 5
    for command, names in theirs.items():
        options = [name_of(name) for name in names if "--help" not in name and name not in children]
        assert sorted(map(name_of, ours.pop(command))) == sorted(options), command
    assert ours == {}


def sections(markdown, heading, row):
    """Return the rows of each section by its heading."""
    _, *parts = re.split(heading, markdown, flags=re.MULTILINE)
    return {name: re.findall(row, text, re.MULTILINE) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def name_of(record):
    return record.partition(" <")[0]


def test_every_page_of_commands_names_a_program():
    pages = {page.stem for page in (ROOT / "docs" / "reference" / "commands").glob("*.md")}
    assert pages == set(HOOK.APPS)


def test_examples_of_commands_are_code_and_no_option_is_read_as_markup(site):
    text = (site / "reference" / "commands" / "earthreason" / "index.html").read_text(encoding="utf-8")
    assert "<!-- commands" not in text
    assert "Example:" not in text


@pytest.mark.browser
@pytest.mark.slow
def test_no_page_of_the_documentation_is_wider_than_a_phone_even_with_everything_opened(site, chromium):
    pages = sorted(site.rglob("index.html"))
    assert len(pages) > 20
    page = chromium.new_page(viewport={"width": 360, "height": 800})
    for file in pages:
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360, file.relative_to(site)


def end_of_address(path):
    return f"{path.parent.name}/{path.name}"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("system", ["light", "dark"])
def test_figures_follow_the_mode_that_the_reader_chose_for_the_page(site, chromium, system):
    figures = sorted((ROOT / "docs" / "images").rglob("*.svg"))
    texts = {page: page.read_text(encoding="utf-8") for page in site.rglob("index.html")}
    pages = {path: page for path in figures for page, text in texts.items() if f'{end_of_address(path)}"' in text}
    assert pages.keys() == set(figures)
    page = chromium.new_page(viewport={"width": 1200, "height": 900}, color_scheme=system)
    for path, file in pages.items():
        page.goto(file.as_uri())
        for scheme, dark in (("default", False), ("slate", True)):
            page.evaluate("scheme => { document.body.dataset.mdColorScheme = scheme; }", scheme)
            image = page.locator(f"img[src$='{end_of_address(path)}']").first
            image.scroll_into_view_if_needed()
            image.evaluate("image => image.decode()")
            shot = Image.open(io.BytesIO(image.screenshot())).convert("L")
            assert (np.median(np.asarray(shot)) < 60) is np.bool_(dark), (path.name, scheme)
