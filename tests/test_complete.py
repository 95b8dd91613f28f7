"""Completeness: imports point one way, every factory is exported, every factory has a row."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from cases import CASES, PER_EXAMPLE
from examples import without_example

import gradchain as gc

PACKAGE = Path(gc.__file__).parent
TIERS = [
    "core",
    "tree",
    "schedules",
    "transforms",
    "linesearch",
    "optimizers",
    "precision",
    "sharding",
    "tools",
    "train",
    "compare",
]
SIDE = [
    "losses",
    "projections",
    "perturbations",
    "assignment",
    "second_order",
    "microbatching",
    "aggregation",
]  # these import only core and tree
INTEGRATIONS = "integrations"  # and this only core
ALIASES = ["contrib", "tree_utils", "experimental"]
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported_folders(path: Path) -> set[str]:
    """The folders of the package a module imports from at its top level."""
    package = ["gradchain", *path.relative_to(PACKAGE).parts[:-1]]
    folders = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            names = package[: len(package) - node.level + 1] + (node.module or "").split(".")
            if len(names) > 1:
                folders.add(names[1])
    return folders - {""}


def test_imports_point_one_way() -> None:
    for path in MODULES:
        folder = path.relative_to(PACKAGE).parts[0]
        if folder in TIERS:
            allowed = set(TIERS[: TIERS.index(folder) + 1])
            if folder == "compare":
                allowed |= set(SIDE)
        elif folder in SIDE:
            allowed = {"core", "tree", folder}
        elif folder == INTEGRATIONS:
            allowed = set(TIERS[: TIERS.index("tools") + 1]) | {folder}
        else:
            continue
        wrong = imported_folders(path) - allowed
        assert not wrong, f"{path.relative_to(PACKAGE)} imports {sorted(wrong)}"


def test_optimizers_do_not_import_each_other() -> None:
    for path in (PACKAGE / "optimizers").glob("*.py"):
        if path.name != "__init__.py":
            local = [
                n.module
                for n in ast.parse(path.read_text()).body
                if isinstance(n, ast.ImportFrom) and n.level == 1
            ]
            assert not local, f"{path.name} imports {local}"


def factories(path: Path) -> list[str]:
    """The public names a module defines with @transformation or @schedule."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(call, ast.Name) and call.id in ("transformation", "schedule"):
                    found.append(node.name)
    return found


@pytest.mark.parametrize(
    "path", [p for p in MODULES if factories(p)], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_every_factory_is_exported_and_has_a_row(path: Path) -> None:
    folder = importlib.import_module(f"gradchain.{path.relative_to(PACKAGE).parts[0]}")
    rows = {case.name for case in CASES + PER_EXAMPLE}
    inside = " ".join(repr(case.make()) for case in CASES if case.wraps)
    for name in factories(path):
        assert hasattr(folder, name), f"{folder.__name__} does not export {name}"
        flat = hasattr(gc.contrib, name) or hasattr(gc, name) or hasattr(gc.experimental.aggregating, name)
        assert flat, f"gradchain does not export {name}"
        if path.relative_to(PACKAGE).parts[0] not in ("schedules", "aggregation"):
            assert name in rows or f"{name}(" in inside, f"tests/cases.py has no row for {name}"


def test_rows_are_public_factories() -> None:
    for case in CASES:
        assert inspect.isfunction(case.factory), case.name


def test_files_stay_small() -> None:
    lengths = {p: len(p.read_text().splitlines()) for p in MODULES if p.name != "__init__.py"}
    assert max(lengths.values()) <= 400
    assert sorted(lengths.values())[len(lengths) // 2] < 120


@pytest.mark.parametrize("name", sorted({case.name for case in CASES}))
def test_docstrings_are_short_and_say_where_a_rule_comes_from(name: str) -> None:
    written, doc = inspect.getdoc(inspect.unwrap(getattr(gc, name))), inspect.getdoc(getattr(gc, name))
    assert written is not None
    assert doc is not None
    assert len(without_example(written).splitlines()) <= 30
    parameters = inspect.signature(getattr(gc, name)).parameters
    for parameter in parameters:
        assert parameter in doc, f"{name}: the docstring does not mention {parameter}"
