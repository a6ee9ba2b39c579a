"""A new check is one file: tried on a copy of the package with two more files."""

import json

from tests.conftest import write_sample
from tests.copied_package import CopiedPackage

POLITE = '''
"""Objects to questions that say please."""

import re

from earthreason.questions.checks.base import Check, each_question


def objection(question):
    return "says please" if re.search(r"\\bplease\\b", question) else None


CHECK = Check(
    "polite",
    "A question does not say please.",
    bad=("Please find where a boat could moor.",),
    good=("Where could a boat moor?",),
    run=each_question("polite", objection),
)
'''
CROWDED = '''
"""Objects to every dataset of more than two images."""

from earthreason.questions.checks.base import CheckFinding, SetCheck


def _run(sets):
    for asked in list(sets)[2:]:
        yield CheckFinding("crowded", asked.sample_id, asked.questions[0], "one image too many")


CHECK = SetCheck("crowded", "A dataset has two images at most.", _run)
'''


def test_a_new_check_is_one_file(tmp_path):
    copied = CopiedPackage(tmp_path)
    checks = copied.package / "questions" / "checks"
    (checks / "polite.py").write_text(POLITE)
    (checks / "crowded.py").write_text(CROWDED)
    for stem in ("a", "b", "c"):
        write_sample(tmp_path / "set" / "test", stem)
    question = {"questions": ["Where, please, could one land?"], "answer": ["There."]}
    (tmp_path / "set" / "test" / "QAs" / "b.json").write_text(json.dumps(question))
    result = json.loads(copied.run("-m", "earthreason", "questions", "validate", "set", "--json", "-"))
    new = ("polite", "crowded")
    ours = [(f["check"], f["sample_id"], f["reason"]) for f in result["findings"] if f["check"] in new]
    assert ours == [("polite", "test-b", "says please"), ("crowded", "c", "one image too many")]
    assert {name: result["checks"][name] for name in new} == {"polite": 1, "crowded": 1}
