"""SAM comes from earthreason-baselines, under the name that `import_name` finds."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from earthreason.errors import EarthReasonError
from earthreason.grounding.drawers import load_drawer
from tests.conftest import ROOT

NAMES = ("earthreason_baselines", "baselines")


def loaded():
    return [module for module in sys.modules if module.partition(".")[0] in NAMES]


@pytest.fixture
def packages(monkeypatch):
    """Make packages of given names importable, and no other ones of these two names."""
    for module in loaded():
        monkeypatch.delitem(sys.modules, module)
    for name in NAMES:
        monkeypatch.setitem(sys.modules, name, None)

    def make(package, loader):
        for name in (package, f"{package}.vlm_sam", f"{package}.vlm_sam.masks"):
            module = ModuleType(name)
            module.__path__ = [str(ROOT / "baselines")]
            module.__spec__ = ModuleSpec(name, None, is_package=True)
            module.__spec__.submodule_search_locations.extend(module.__path__)
            monkeypatch.setitem(sys.modules, name, module)
        module.load_mask_maker = loader

    yield make
    for module in loaded():  # before monkeypatch brings the others back
        del sys.modules[module]


@pytest.mark.parametrize("package", ["earthreason_baselines", "baselines"])
def test_both_import_names_are_known(packages, package):
    packages(package, lambda *settings: settings)
    assert load_drawer("facebook/sam-vit-base", "cuda") == ("facebook/sam-vit-base", "cuda", "float32")


def test_without_the_baselines_it_says_what_to_install(packages):
    with pytest.raises(EarthReasonError, match="^SAM needs earthreason-baselines: pip install .*, or leave SAM out$"):
        load_drawer("facebook/sam-vit-base")


def test_a_module_that_the_baselines_lack_is_named(packages, monkeypatch, tmp_path):
    folder = tmp_path / "earthreason_baselines" / "vlm_sam"
    folder.mkdir(parents=True)
    (folder / "masks.py").write_text("import no_such_torch\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "earthreason_baselines")
    with pytest.raises(EarthReasonError, match="^SAM needs the module no_such_torch: pip install "):
        load_drawer("facebook/sam-vit-base")
