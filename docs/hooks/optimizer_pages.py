"""One page for each optimizer, and one with all of them by family."""

import functools
import tomllib
from pathlib import Path
from typing import Any

import jax.numpy as jnp

import gradchain as gc

from . import drives
from .api_pages import full, summary
from .linking import linked
from .public import Entry, optimizers, pages as pages_of_entries

HERE = Path(__file__).parent
FAMILIES: dict[str, dict[str, str]] = tomllib.loads((HERE / "families.toml").read_text())
"""By family: its text, and by optimizer when to use it."""


@functools.cache
def members() -> dict[str, list[str]]:
    """The optimizers of each family; those in no family come last."""
    found = {family: [n for n in table if n != "text"] for family, table in FAMILIES.items()}
    known = {name for names in found.values() for name in names}
    if others := [name for name in optimizers() if name not in known]:
        found["Others"] = others
    return found


def when(name: str) -> str:
    """When to use an optimizer; empty if nobody has written it."""
    return next((table[name] for table in FAMILIES.values() if name in table), "")


def navigation() -> list[dict[str, Any]]:
    """The pages by family."""
    return [{family: [{n: f"optimizers/{n}.md"} for n in names]} for family, names in members().items()]


def pages(captions: dict[str, str]) -> dict[str, str]:
    """The Markdown of all pages of optimizers, by path."""
    made = {f"optimizers/{name}.md": page(name, captions) for name in optimizers()}
    return {"optimizers.md": index(), **made}


def page(name: str, captions: dict[str, str]) -> str:
    """An optimizer's page."""
    own = pages_of_entries()[f"optimizers/{name}.md"]
    first, rest = own[0], own[1:]
    assert first.name == name
    parts = [
        f"# {name}",
        f"**When to use it** {when_linked(name)}",
        full(first),
        *picture(name, captions),
        *memory(name),
        *cited(name),
        *parts_of(rest),
    ]
    return "\n\n".join(parts) + "\n"


def when_linked(name: str) -> str:
    """When to use an optimizer, with links."""
    return linked(when(name), but={name})


def picture(name: str, captions: dict[str, str]) -> list[str]:
    """The picture and what it shows, or why there is none."""
    if not captions:
        return []
    heading = "## On three landscapes"
    if name not in captions:
        return []
    drawn = captions[name]
    return [heading, drawn]


def memory(name: str) -> list[str]:
    """What the state takes."""
    if name in drives.NOT_TRANSFORMATIONS:
        return []
    rows = [f"| {dtype} | {drives.memory(name, dtype):.3g} |" for dtype in ("float32", "bfloat16")]
    return [
        "## Memory",
        f"Bytes of the state for each parameter, of a matrix of 512 x 512 and a bias of 512, by `gc.memory` of "
        f"`{drives.call_text(name)}`:".replace("`gc.memory`", "[`gc.memory`][gradchain.memory]"),
        "\n".join(["| Parameters | Bytes |", "| --- | ---: |", *rows]),
    ]


def cited(name: str) -> list[str]:
    """BibTeX of its papers."""
    if name in drives.NOT_TRANSFORMATIONS:
        return []
    text = gc.cite(drives.typical(name))
    return ["## Cite", f"```bibtex\n{text.strip()}\n```"]


def parts_of(rest: list[Entry]) -> list[str]:
    """The other names of the same file."""
    return [full(entry) for entry in rest]


def index() -> str:
    """All optimizers by family."""
    parts = [
        "# Optimizers",
        "Each has a page: its rule and arguments, its walk on three landscapes, the memory of its state, its papers. "
        "[Choosing](choosing.md) helps to begin. Any of them is a chain of [links](api/links.md), and what stands "
        "around it is a [wrapper](api/wrappers.md). Bytes are those of the state for each float32 parameter of a "
        "matrix.",
    ]
    on_pages = pages_of_entries()
    for family, names in members().items():
        rows = []
        for name in names:
            entry = on_pages[f"optimizers/{name}.md"][0]
            size = "" if name in drives.NOT_TRANSFORMATIONS else f"{drives.memory(name, jnp.float32):.3g}"
            rule = summary(entry)
            rows.append(f"| [`{name}`](optimizers/{name}.md) | {rule} | {size} |")
        table = "\n".join(["| Name | Rule | Bytes |", "| --- | --- | ---: |", *rows])
        parts += [f"## {family}", FAMILIES.get(family, {}).get("text", ""), table]
    return "\n\n".join(parts) + "\n"


__all__ = ["FAMILIES", "index", "members", "navigation", "page", "pages", "when"]
