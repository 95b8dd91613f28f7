"""The pages of the API: one for each section, and one with all names."""

import inspect
import tomllib
from pathlib import Path

from .docstrings import inline, sections
from .linking import linked
from .public import Entry, alias_text, entries, is_defined, pages as pages_of_entries

TITLES: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "titles.toml").read_text())


def navigation() -> list[dict[str, str]]:
    """The pages in the order of `titles.toml`; what is not there comes last."""
    made = [page for page in pages_of_entries() if page.startswith("api/")]
    order = list(TITLES)
    made.sort(key=lambda page: order.index(key) if (key := _key(page)) in order else len(order))
    return [{_title(page): page} for page in made]


def pages() -> dict[str, str]:
    """The Markdown of all pages of the API, by path."""
    made = {
        page: api_page(page, on_it) for page, on_it in pages_of_entries().items() if page.startswith("api/")
    }
    return {"api/index.md": index(), **made}


def _key(page: str) -> str:
    return page.removeprefix("api/").removesuffix(".md")


def _title(page: str) -> str:
    return TITLES.get(_key(page), {}).get("title") or _key(page).replace("_", " ").capitalize()


def api_page(page: str, on_it: list[Entry]) -> str:
    """A page: a table of what is on it, then every name in full."""
    text = TITLES.get(_key(page), {}).get("text", "")
    parts = [f"# {_title(page)}", text, table(on_it), *map(full, on_it)]
    return "\n\n".join(part for part in parts if part) + "\n"


def full(entry: Entry) -> str:
    """A name in full, by mkdocstrings."""
    return f"::: {entry.path}"


def table(on_it: list[Entry]) -> str:
    """A row for each name: a link and its first sentence."""
    rows = [f"| [`{shown(e)}`][{e.path}] | {summary(e)} |" for e in on_it]
    return "\n".join(["| Name | |", "| --- | --- |", *rows])


def shown(entry: Entry) -> str:
    """A path without the package's name."""
    return entry.path.removeprefix("gradchain.")


def summary(entry: Entry) -> str:
    """The first paragraph of a description, for a cell of a table."""
    if is_defined(entry.value):
        doc = inspect.getdoc(entry.value) or ""
    else:
        doc = alias_text(entry.name)
    first = sections(doc)[0][1].split("\n\n")[0] if doc else "A type alias."
    return linked(inline(" ".join(first.split())), but={entry.name})


def index() -> str:
    """All names in the order of the alphabet, with the pages that show them."""
    parts = [
        "# All public names",
        "Names are flat where they stand alone here (`gradchain.adam`); others have a module first. "
        "`import gradchain as gc` is enough for all but `gradchain.integrations`. Each name is shown in "
        "full on one page. Optax's other paths to it (`gradchain.contrib`, `gradchain.tree_utils`) lead to "
        "the same object.",
        "| Section | Names |\n| --- | --- |\n" + "\n".join(_sections()),
    ]
    ordered = sorted(entries().values(), key=lambda e: shown(e).lower())
    return "\n\n".join([*parts, "## In the order of the alphabet", table(ordered)]) + "\n"


def _sections() -> list[str]:
    counts = {page: len(on_it) for page, on_it in pages_of_entries().items()}
    optimizers = sum(n for page, n in counts.items() if page.startswith("optimizers/"))
    rows = [f"| [Optimizers](../optimizers.md), and what belongs to one alone | {optimizers} |"]
    for item in navigation():
        for title, page in item.items():
            rows.append(f"| [{title}]({page.removeprefix('api/')}) | {counts[page]} |")
    return rows
