"""One page for each optimizer, and one with all of them by family."""

import functools
import tomllib
from pathlib import Path
from typing import Any

import gradchain as gc

from . import drives, pictures, stubs
from .api_pages import full, summary
from .linking import linked
from .public import optimizers, pages as pages_of_entries

NOTEBOOK = "notebooks/02_watching_optimizers.ipynb"
HERE = Path(__file__).parent
FAMILIES: dict[str, dict[str, str]] = tomllib.loads((HERE / "families.toml").read_text())
"""By family: its text, and by optimizer when to use it."""


@functools.cache
def bytes_of(name: str, dtype: str) -> str:
    """Bytes of the state for a parameter, for a table: a single counter is none."""
    size = drives.memory(name, dtype)
    return "0" if size < 1e-3 else f"{size:.3g}"


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


Drawn = dict[str, dict[str, list[float | None]]]
"""By optimizer and landscape: the learning rate, and the height at the end."""


def pages(drawn: Drawn | None) -> dict[str, str]:
    """The Markdown of all pages of optimizers, by path; None leaves out the pictures."""
    made = {f"optimizers/{name}.md": page(name, drawn) for name in optimizers()}
    return {"optimizers.md": index(), **made}


def page(name: str, drawn: Drawn | None) -> str:
    """An optimizer's page."""
    first, *rest = pages_of_entries()[f"optimizers/{name}.md"]
    assert first.name == name
    parts = [
        f"# {name}",
        f"**When to use it:** {linked(when(name), but={name})}",
        full(first),
        *(picture(name, drawn) if drawn is not None else []),
        *memory(name),
        *cited(name),
        *map(full, rest),
    ]
    return "\n\n".join(parts) + "\n"


def picture(name: str, drawn: Drawn) -> list[str]:
    """The picture and what it shows, or why there is none."""
    heading = "## On three landscapes"
    if name in pictures.NOT_DRAWN:
        return [heading, pictures.NOT_DRAWN[name]]
    steps = drives.steps_of(name)
    every = steps // drives.STEPS
    dots = "a dot for each step" if every == 1 else f"a dot for every {every} steps"
    sentences = [
        f"{steps} steps on each, {dots}, from the ring to the diamond. Stars are minima.",
        _how_chosen(name, drawn[name]),
        "The two numbers are the diagonal of a 2 x 2 matrix." if name in drives.ON_MATRICES else "",
        pictures.REMARKS.get(name, ""),
        f"The [notebook]({stubs.source_link(NOTEBOOK)}) tells what they show.",
    ]
    shown = f"[![Walks of {name} on a ravine, a saddle and a plateau]({name}.png)]({name}.png)"
    return [heading, shown, linked(" ".join(filter(None, sentences)), but={name})]


def _how_chosen(name: str, walks: dict[str, list[float | None]]) -> str:
    rates = [f"{rate:.2g}" for rate, _ in walks.values() if rate is not None]
    if not rates:
        return "Nothing is tuned: all arguments have their defaults."
    return (
        f"Each has the learning rate, out of {len(drives.RATES)} from {drives.RATES[0]:g} to "
        f"{drives.RATES[-1]:g}, whose last {drives.LAST} steps are lowest: {', '.join(rates)}. "
        "There is no weight decay."
    )


def memory(name: str) -> list[str]:
    """What the state takes."""
    if name in drives.NOT_TRANSFORMATIONS:
        return []
    rows = [f"| {dtype} | {bytes_of(name, dtype)} |" for dtype in ("float32", "bfloat16")]
    return [
        "## Memory",
        "Bytes of the state for each parameter, of a matrix of 512 x 512 and a bias of 512, by "
        f"[`gc.memory`][gradchain.memory] of `{drives.call_text(name)}`:",
        "\n".join(["| Parameters | Bytes |", "| --- | ---: |", *rows]),
    ]


def cited(name: str) -> list[str]:
    """BibTeX of its papers."""
    if name in drives.NOT_TRANSFORMATIONS:
        return []
    text = gc.cite(drives.typical(name))
    return ["## Cite", f"```bibtex\n{text.strip()}\n```"]


def index() -> str:
    """All optimizers by family."""
    parts = [
        "# Optimizers",
        "Each has a page: when to use it, its rule and arguments, its walk on three landscapes, the memory "
        "of its state, its papers. [Choosing](choosing.md) helps to begin. Most are chains of "
        "[links](api/links.md), and what stands around one is a [wrapper](api/wrappers.md). Bytes are "
        "those of the state for each float32 parameter of a matrix of 512 x 512 and a bias.",
    ]
    on_pages = pages_of_entries()
    for family, names in members().items():
        rows = []
        for name in names:
            entry = on_pages[f"optimizers/{name}.md"][0]
            size = "" if name in drives.NOT_TRANSFORMATIONS else bytes_of(name, "float32")
            rule = summary(entry)
            rows.append(f"| [`{name}`](optimizers/{name}.md) | {rule} | {size} |")
        table = "\n".join(["| Name | Rule | Bytes |", "| --- | --- | ---: |", *rows])
        parts += [f"## {family}", FAMILIES.get(family, {}).get("text", ""), table]
    return "\n\n".join(parts) + "\n"
