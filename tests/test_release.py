"""A release says one version everywhere, and its files promise what they hold."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gradchain as gc

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def changelog(version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / "changelog.py"), version]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_version_everywhere():
    version = gc.__version__
    assert PROJECT["version"] == version
    cited = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in cited
    section = re.search(rf"^## {re.escape(version)} \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert section
    assert f"\ndate-released: {section[1]}\n" in cited
    assert f"\n## To {version}\n" in (ROOT / "docs" / "upgrading.md").read_text()


def test_the_notes_of_a_release_are_its_section():
    notes = changelog(gc.__version__)
    assert notes.returncode == 0
    assert "### Added" in notes.stdout
    assert "\n## " not in notes.stdout
    unknown = changelog("9.9.9")
    assert unknown.returncode == 1
    assert unknown.stderr == "CHANGELOG.md has no dated section for 9.9.9\n"


def test_every_python_that_is_promised_is_in_the_matrix():
    promised = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert promised[0] == PROJECT["requires-python"].removeprefix(">=")
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    assert set(promised) == set(re.findall(r'"(3\.\d+)"', workflow))
    oldest = next(d for d in PROJECT["dependencies"] if d.startswith("jax")).removeprefix("jax>=")
    assert f'python: "{promised[0]}", jax: "{oldest}"' in workflow
    assert f'python: "{promised[-1]}", jax: newest' in workflow


@pytest.mark.parametrize("name", ["test.yml", "docs.yml", "release.yml"])
def test_workflows_ask_for_no_more_than_they_need(name: str):
    """Reading is the default; only single jobs may do more, and no secret is named."""
    text = (ROOT / ".github" / "workflows" / name).read_text()
    assert re.search(r"^permissions:\n  contents: read\n\S", text, re.M)
    assert "secrets." not in text
    assert not re.search(r"^\s+- uses: \S+@(main|master)$", text, re.M)
