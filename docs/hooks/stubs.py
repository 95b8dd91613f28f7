"""A package for mkdocstrings to read: every public name where users find it, with what `help()` shows.

The real files are of no use to a static reader: an optimizer has the name of its file, arguments are
described once for all factories, and some names are imported when they are first asked for.
"""

import ast
import functools
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .docstrings import inline, markdown
from .linking import linked
from .public import Entry, alias_text, entries, is_defined

STUBS = Path(__file__).parents[2] / ".cache" / "site" / "stubs"


def write() -> None:
    """Writes the package anew."""
    shutil.rmtree(STUBS, ignore_errors=True)
    modules: dict[str, list[str]] = {"gradchain": []}
    for entry in entries().values():
        modules.setdefault(entry.path.rpartition(".")[0], []).append(stub(entry))
    for module, stubs in modules.items():
        folder = STUBS.joinpath(*module.split("."))
        for above in (folder, *folder.parents):
            if above == STUBS:
                break
            above.mkdir(parents=True, exist_ok=True)
            (above / "__init__.py").touch()
        (folder / "__init__.py").write_text("\n\n".join(stubs) + "\n")


def stub(entry: Entry) -> str:
    """The code of a public name: its signature and, as a docstring, its description in Markdown."""
    text = repr(linked(description(entry), but=_own(entry)))
    if inspect.isclass(entry.value) and is_defined(entry.value):
        return f"class {entry.name}:\n    {text}"
    if inspect.isfunction(entry.value):
        return f"def {entry.name}{signature(entry.value)}:\n    {text}"
    return f"{entry.name} = ...\n{text}"


def _own(entry: Entry) -> set[str]:
    """Words in a description that are not links: the name itself and its arguments."""
    arguments = set(inspect.signature(entry.value).parameters) if inspect.isfunction(entry.value) else set()
    return {entry.name, *entry.aliases, *arguments}


def description(entry: Entry) -> str:
    """What stands below the heading of a name."""
    if inspect.isclass(entry.value) and is_defined(entry.value):
        parts = [markdown(inspect.getdoc(entry.value) or ""), fields(entry.value), methods(entry.value)]
    elif inspect.isfunction(entry.value):
        parts = [markdown(inspect.getdoc(entry.value) or "")]
    else:
        parts = [markdown(alias_text(entry.name)) or f"A type alias: `{entry.value!r}`."]
    if others := [a for a in entry.aliases if a.rpartition(".")[2] != entry.name]:
        parts.append("**Other names:** " + ", ".join(f"`{a}`" for a in sorted(others)))
    parts.append(f"[Source]({source_link(entry.source)}){{.source}}")
    return "\n\n".join(part for part in parts if part)


def source_link(source: str) -> str:
    """The address of a file in the repository."""
    return f"https://github.com/gradchain/gradchain/blob/main/{source}"


def fields(cls: type) -> str:
    """The fields of a tuple or a dataclass, with the comments beside them."""
    items = []
    for node, comment in _commented(cls):
        remark = f": {inline(comment)}" if comment else ""
        items.append(f"- `{node.target.id}: {ast.unparse(node.annotation)}`{remark}")
    return "**Fields:**\n\n" + "\n".join(items) if items else ""


def _commented(cls: type) -> list[tuple[Any, str]]:
    try:
        lines = textwrap.dedent(inspect.getsource(cls)).split("\n")
    except (OSError, TypeError):
        return []
    body = ast.parse("\n".join(lines)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = []
    for node in body.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if not node.target.id.startswith("_"):
            last = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset or 0 :].decode()
            found.append((node, " ".join(last.partition("#")[2].split())))
    return found


def methods(cls: type) -> str:
    """The documented methods and properties of a class."""
    items = []
    for name, value in vars(cls).items():
        function = value.fget if isinstance(value, property) else value
        function = getattr(function, "__func__", function)
        doc = inspect.getdoc(function) if inspect.isfunction(function) else None
        if name.startswith("_") or not doc:
            continue
        shown = name if isinstance(value, property) else name + _flat(signature(function))
        items.append(f"- `{shown}`: {inline(' '.join(doc.split()))}")
    return "**Methods:**\n\n" + "\n".join(items) if items else ""


def _flat(text: str) -> str:
    return text.replace("(self, ", "(").replace("(self)", "()")


def signature(function: Callable[..., Any]) -> str:
    """A signature: arguments and defaults as they are at run time, annotations as they are written."""
    shown = inspect.signature(function)
    written = _annotations(inspect.unwrap(function))
    parameters = []
    for name, p in shown.parameters.items():
        has = p.annotation is not p.empty
        annotation = (
            _Written(written.get(name) or inspect.formatannotation(p.annotation)) if has else p.empty
        )
        default = p.default if p.default is p.empty else _Written(_default(p.default))
        parameters.append(p.replace(annotation=annotation, default=default))
    result = written.get("return") or (
        "" if shown.return_annotation is shown.empty else inspect.formatannotation(shown.return_annotation)
    )
    text = str(inspect.Signature(parameters))
    return (
        f"{text} -> {result.rpartition('.')[2] if result.startswith('gradchain.') else result}"
        if result
        else text
    )


class _Written(str):
    """Code that prints as it is, where Python would print its `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _default(value: Any) -> str:
    """A default as code."""
    text = getattr(value, "__name__", None) if callable(value) else None
    text = text or repr(value)
    try:
        ast.parse(text)
    except SyntaxError:
        return "..."
    return text


@functools.cache
def _annotations(function: Callable[..., Any]) -> dict[str, str]:
    """The annotations of a function as its file has them."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError, TypeError):
        return {}
    if not isinstance(node, ast.FunctionDef):
        return {}
    a = node.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    found = {arg.arg: ast.unparse(arg.annotation) for arg in every if arg.annotation}
    if node.returns:
        found["return"] = ast.unparse(node.returns)
    return {name: _plain(text) for name, text in found.items()}


def _plain(text: str) -> str:
    """An annotation as users know it: without quotes, and without kinds that matter to rules alone."""
    text = text[1:-1] if text[:1] == text[-1:] == "'" else text
    return re.sub(r"\b(AddedNumber|Hyperparameter)\b", "ScalarOrSchedule", text)  # as `help()` has it
