"""What the page took from npm is what vendor.json says it is."""

import hashlib
import json
import re
from pathlib import Path

SERVE = Path(__file__).parents[4] / "baselines" / "serve"
VENDOR = SERVE / "static" / "vendor"


def test_vendored_files_have_the_hashes_of_vendor_json():
    said = json.loads((VENDOR / "vendor.json").read_text())
    there = {path.name for path in VENDOR.iterdir()} - {"vendor.json", "README.md"}
    assert set(said["files"]) == there
    for name, expected in said["files"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == expected, name


def test_versions_agree_wherever_they_are_written():
    said = json.loads((VENDOR / "vendor.json").read_text())
    readme, licences = (VENDOR / "README.md").read_text(), (VENDOR / "ol.LICENSE").read_text()
    assert said["bundler"] in readme
    for package in said["packages"]:
        assert f"{package['name']} {package['version']}" in licences
    assert "ol@10.11.0" in readme


def test_no_file_of_the_page_is_larger_than_a_megabyte():
    for path in SERVE.rglob("*"):
        assert not path.is_file() or path.stat().st_size < 1_000_000, path


def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline():
    page = (SERVE / "templates" / "index.html").read_text()
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert not re.match(r"[a-z]+:|//", address), address
    assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=", page)
    for path in SERVE.glob("static/*.js"):
        assert not re.search(r"https?://|innerHTML|\beval\b|setAttribute\(\"style", path.read_text()), path.name
