"""Every public name of gradchain: where it is defined, what else it is called, and the page that has it."""

import ast
import dataclasses
import functools
import importlib
import inspect
import tomllib
import types
from pathlib import Path
from typing import Any

import gradchain as gc

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

MODULES = (
    "gradchain",
    "gradchain.contrib",
    "gradchain.tree",
    "gradchain.optimizers",
    "gradchain.transforms",
    "gradchain.schedules",
    "gradchain.linesearch",
    "gradchain.precision",
    "gradchain.sharding",
    "gradchain.losses",
    "gradchain.projections",
    "gradchain.perturbations",
    "gradchain.second_order",
    "gradchain.assignment",
    "gradchain.microbatching",
    "gradchain.aggregation",
    "gradchain.experimental",
    "gradchain.tools",
    "gradchain.train",
    "gradchain.integrations.flax",
    "gradchain.integrations.optuna",
    "gradchain.core",
    "gradchain.tree_utils",
)
"""Where users find names. A name is shown under the first module of these that has it."""

SECTIONS: dict[str, str] = tomllib.loads((HERE / "sections.toml").read_text())
"""By file or folder under `gradchain/`: the page of its names, without "api/" and ".md"."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A public object."""

    path: str  # "gradchain.adam"
    value: Any
    aliases: tuple[str, ...]  # the other paths that lead to it
    source: str  # the file that defines it: "gradchain/optimizers/adam.py"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def page(self) -> str:
        """The page that shows it, as a path in the site."""
        if self.path.startswith("gradchain.core."):
            return "api/rules.md"
        folder, _, file = self.source.removeprefix("gradchain/").removesuffix(".py").rpartition("/")
        if folder == "optimizers" and file in optimizers():
            return f"optimizers/{file}.md"
        return f"api/{_section(f'{folder}/{file}' if folder else file)}.md"


def _section(place: str) -> str:
    """The section of a file, or of the first folder above it that has one."""
    while place not in SECTIONS and "/" in place:
        place = place.rpartition("/")[0]
    return SECTIONS.get(place, place.partition("/")[0])


@functools.cache
def optimizers() -> dict[str, Any]:
    """Every optimizer, by name."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return dict(generate.optimizers())


def names(module: types.ModuleType) -> list[str]:
    """The public names of a module: what it lists, or what it imports under their own names."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [
            n for n, value in vars(module).items() if not n.startswith("_") and _is_ours(module, value)
        ]
    return [n for n in listed if not inspect.ismodule(getattr(module, n))]


def _is_ours(module: types.ModuleType, value: Any) -> bool:
    """Whether a value belongs to gradchain; in a single file, whether this file defines it."""
    home = getattr(value, "__module__", None) or type(value).__module__
    if hasattr(module, "__path__") or module.__name__ in ("gradchain.contrib", "gradchain.tree_utils"):
        return home.startswith("gradchain")
    return home == module.__name__


@functools.cache
def entries() -> dict[str, Entry]:
    """All public objects, by path."""
    found: dict[Any, list[str]] = {}
    values: dict[Any, Any] = {}
    for place in MODULES:
        module = importlib.import_module(place)
        for name in names(module):
            value = getattr(module, name)
            key = id(value) if is_defined(value) else name
            found.setdefault(key, []).append(f"{place}.{name}")
            values[key] = value
    made = []
    for key, paths in found.items():
        first = _proper(paths, values[key])
        rest = tuple(p for p in paths if p != first)
        made.append(Entry(first, values[key], rest, _source(values[key], first)))
    return {entry.path: entry for entry in made}


def is_defined(value: Any) -> bool:
    """Whether it is a function or a class, itself wherever it is; other values go by their names."""
    return value is not Any and (inspect.isfunction(value) or inspect.isclass(value))


def _proper(paths: list[str], value: Any) -> str:
    """The path whose last part is the object's own name, if one in the first module has it."""
    place = paths[0].rpartition(".")[0]
    own = f"{place}.{getattr(value, '__name__', '')}"
    return own if own in paths else paths[0]


def _source(value: Any, path: str) -> str:
    """The file that defines a value, from the root of the repository."""
    if is_defined(value):
        file = inspect.getsourcefile(inspect.unwrap(value))
        if file and Path(file).is_relative_to(Path(gc.__file__).parent):
            return str(Path("gradchain") / Path(file).relative_to(Path(gc.__file__).parent))
    home = alias_home(path.rpartition(".")[2])
    return home or "gradchain/core/types.py"


@functools.cache
def _assigned() -> dict[str, tuple[str, str]]:
    """Names that are assigned at the top of a file, with the text below them: by name, file and text."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(Path(gc.__file__).parent.rglob("*.py")):
        body = ast.parse(file.read_text()).body
        body = [s for node in body for s in (node.orelse if isinstance(node, ast.If) else [node])]
        for node, after in zip(body, [*body[1:], None], strict=True):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(targets[0], ast.Name):
                continue
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            text = str(after.value.value) if is_text else ""
            where = str(Path("gradchain") / file.relative_to(Path(gc.__file__).parent))
            if text or targets[0].id not in found:
                found[targets[0].id] = (where, text)
    return found


def alias_home(name: str) -> str | None:
    """The file that assigns a name."""
    return _assigned().get(name, (None, ""))[0]


def alias_text(name: str) -> str:
    """What stands below the assignment of a name."""
    return _assigned().get(name, ("", ""))[1]


def pages() -> dict[str, list[Entry]]:
    """The entries of each page: what it is named after, the other functions, the types."""
    found: dict[str, list[Entry]] = {}
    for entry in entries().values():
        found.setdefault(entry.page, []).append(entry)
    for page, on_it in found.items():
        main = page.removeprefix("optimizers/").removesuffix(".md")
        on_it.sort(key=lambda e: (e.name != main, not inspect.isfunction(e.value), e.name.lower()))
    return dict(sorted(found.items()))
