"""The pages for those who come from PyTorch and Keras: every argument is there, every pair is tried."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import gradchain as gc

ROOT = Path(__file__).parent.parent
PAGES = ["pytorch", "keras"]
FILES = {"pytorch": "torch", "keras": "keras"}


def text_of(page: str) -> str:
    return (ROOT / "docs" / "from" / f"{page}.md").read_text()


def reference(page: str) -> Any:
    return json.loads((ROOT / "tests" / "references" / f"{FILES[page]}.json").read_text())


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of all tables, without their headers."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def call(name: str, arguments: dict[str, Any]) -> str:
    """A call as code; {name: arguments} is a call too, a list a tuple."""

    def value(given: Any) -> str:
        if isinstance(given, dict):
            ((inner, of),) = given.items()
            return call(inner, of)
        return repr(tuple(given) if isinstance(given, list) else given)

    return f"{name}({', '.join(f'{k}={value(v)}' for k, v in arguments.items())})"


@pytest.mark.parametrize("page", PAGES)
def test_the_steps_shown_are_those_that_are_compared(page: str):
    """Each pair on the page is a case whose steps `test_*_parity.py` compares, and the other way round."""
    _, _, table = text_of(page).partition("## The same steps")
    shown = [(theirs, ours, note) for theirs, ours, note in rows(table)]
    tried = [
        (f"`{call(case[FILES[page]], case['arguments'])}`", f"`{case['gradchain']}`", case["note"])
        for case in reference(page)["cases"]
    ]
    assert shown == [(a, b, note) for a, b, note in tried]


@pytest.mark.parametrize("page", PAGES)
def test_every_argument_is_there_with_its_default(page: str):
    _, _, text = text_of(page).partition("## The arguments")
    text, _, _ = text.partition("## The same steps")
    common, *sections = text.split("### ")
    shared = {name for row in rows(common) for name in re.findall(r"`(\w+)`", row[0])}
    assert len(shared) >= 6
    known = reference(page)["defaults"]
    assert [section.split()[0] for section in sections] == list(known)
    for section in sections:
        name = section.split()[0]
        own = {row[0].strip("`"): row[1].strip("`") for row in rows(section)}
        assert all(known[name][argument] == default for argument, default in own.items())
        assert set(known[name]) == set(own) | (shared & set(known[name]))


@pytest.mark.parametrize("page", PAGES)
def test_what_a_class_is_called_here_has_the_arguments_named(page: str):
    """A section's first lines name factories; plain names in the last column are their arguments."""
    for section in text_of(page).partition("## The same steps")[0].split("### ")[1:]:
        head, _, table = section.partition("| ")
        factories = [getattr(gc, name) for name in re.findall(r"`gc\.(\w+)", head)]
        assert factories, head
        arguments = {argument for f in factories for argument in inspect.signature(f).parameters}
        named = [m for row in rows("| " + table) if (m := re.match(r"`(\w+)`(, `(\w+)`)?", row[2]))]
        for found in named:
            assert {found[1], found[3]} - {None} <= arguments, (section.split()[0], found[0])
