"""The sample's first test rows with answers to them, and a server that gives these answers."""

import os
from pathlib import Path

import pytest

from earthreason import load_dataset
from tests.integrations.answering_server import AnsweringServer
from tests.integrations.foreign import python_with, run_program
from tests.integrations.written_answers import write_answers

COUNT = 40


@pytest.fixture(scope="session")
def rows():
    return load_dataset("earthreason", "sample", split=f"test[:{COUNT}]")


@pytest.fixture(scope="session")
def written(rows):
    """Answers by question, and masks by sample id."""
    return write_answers(list(rows))


@pytest.fixture(scope="module")
def server(written):
    server = AnsweringServer(written[0])
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def run(request, tmp_path_factory):
    """Run code after the `START` of the test file in an environment with its `LIBRARY`."""
    library, start = request.module.LIBRARY, request.module.START
    python = python_with(library, f"EARTHREASON_{library.upper()}")
    return lambda code: run_program(python, start + code, library, tmp_path_factory.mktemp("home"))


def foreign_python(variable):
    """Return the Python that an environment variable names; skip where it is unset."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} does not name the python of an environment with the harness")
    assert Path(path).is_file(), f"{variable}={path}: there is no such file"
    return path
