"""The description of the API, and what schemathesis makes of it."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_description_names_the_form_and_the_errors(server):
    described = server.client.get("/openapi.json").json()
    call = described["paths"]["/segment"]["post"]
    name = call["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    form = described["components"]["schemas"][name]
    assert form["required"] == ["questions"]
    assert set(form["properties"]) == {"image", "sample", "scene", "questions", "threshold", "area", "task", "words"}
    for status in ("400", "403", "404", "408", "413", "415", "422", "429", "503"):
        answer = call["responses"][status]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/ErrorBody"}
    for path, calls in described["paths"].items():
        if path.endswith(".png"):
            assert set(calls["get"]["responses"]["200"]["content"]) == {"image/png"}


def test_schemathesis_finds_nothing(server, tmp_path):
    pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install -e .[dev]")
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"{server.client.base_url}/openapi.json",
            "--max-examples",
            "3",
            "--checks",
            "all",
            # OpenAPI cannot say "exactly one of image, sample and scene".
            "--exclude-checks",
            "positive_data_acceptance",
            "--no-color",
            "--seed",
            "1",
            "--suppress-health-check",
            "all",
            "--phases",
            "examples,coverage,fuzzing",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-6000:]
