"""The papers behind a transformation, as BibTeX."""

import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core import GradientTransformation, parts, with_extra_args_support

_SMALL = {"a", "an", "the", "on", "of", "for", "and"}
_PLACE = re.compile(
    r"(section|appendix|algorithm|equation|theorem|chapter|lecture|ICLR|ICML|NeurIPS|JMLR|COLT|CVPR|ACL|EMNLP)\b"
)
"""How a clause after a title begins: where the paper was published, or which part of it is meant."""


class Paper(NamedTuple):
    """A reference of a docstring."""

    authors: tuple[str, ...]  # surnames; "others" for et al.
    year: str
    title: str  # "" where a docstring gives the arXiv id alone
    arxiv: str  # "" if there is none
    note: str  # where it was published, "" if not told

    @property
    def key(self) -> str:
        """The BibTeX key: "kingma2014adam"."""
        words = re.findall(r"[a-z0-9]+", self.title.lower())
        word = next((w for w in words if w not in _SMALL), "")
        return re.sub(r"[^a-z]", "", self.authors[0].lower()) + self.year + word

    def bibtex(self) -> str:
        """The entry."""
        fields = {
            "author": " and ".join(a if a == "others" else f"{{{a}}}" for a in self.authors),
            "title": f"{{{self.title}}}",
            "year": self.year,
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else "",
            "note": self.note,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


def cite(tx: GradientTransformation) -> str:
    """BibTeX of the papers behind a transformation: those that the docstrings of its links refer to.

        print(cite(chain(clip_by_global_norm(1.0), adamw(1e-3))))

    Args: tx. A pair of another library names no papers; a comment says so.
    Returns: one entry for each paper, in the order of the links; authors are given by surname.
    """
    found: dict[str, Paper] = {}
    silent: list[str] = []
    for part in parts(tx):
        if part.pair.factory is None:
            silent.append(part.name)
        for factory in _factories(part.pair):
            for paper in papers(inspect.getdoc(factory) or ""):
                full = paper._replace(title=_titles().get(_identity(paper), paper.title))
                found.setdefault(full.key, full)
    lines = [paper.bibtex() for paper in found.values()]
    lines += [f"% {name}: another library's, which names no papers" for name in silent]
    return "\n\n".join(lines)


def papers(doc: str) -> list[Paper]:
    """The references of a docstring: "Authors, year, title, place, arXiv:id; ..."."""
    match = re.search(r"Reference: (.*?)(?:\n\s*\n|\Z)", doc, re.DOTALL)
    if match is None:
        return []
    text = " ".join(match[1].split())
    return [paper for piece in text.split("; ") if (paper := _paper(piece)) is not None]


def _paper(text: str) -> Paper | None:
    match = re.match(r"(?P<authors>[^;]+?), (?P<year>(?:18|19|20)\d\d)(?:, |\.)(?P<rest>.*)", text)
    if match is None:
        return None
    rest = match["rest"].strip()
    number = re.search(r"arXiv:(\d{4}\.\d{4,5})", rest)
    title, *more = [p for p in rest.rstrip(".").split(", ") if "arXiv:" not in p] or [""]
    while more and not _PLACE.match(more[0]):  # a title with a comma in it
        title += f", {more.pop(0)}"
    return Paper(
        _authors(match["authors"]), match["year"], title, number[1] if number else "", ", ".join(more)
    )


def _authors(text: str) -> tuple[str, ...]:
    names = re.split(r", | and ", text.removesuffix(" et al."))
    return (*names, "others") if text.endswith("et al.") else tuple(names)


def _factories(pair: Any) -> Iterator[Any]:
    """The factory of a pair, and those of the links that it puts together."""
    factory = pair.factory
    if factory is not None:
        yield getattr(factory, "inner_factory", factory)
    for link in pair.links:
        if link is not pair:
            yield from _factories(with_extra_args_support(link))


def _identity(paper: Paper) -> Any:
    """What tells papers apart, however much of the title a docstring gives."""
    return paper.arxiv or (paper.authors, paper.year, paper.title[:12])


@functools.cache
def _titles() -> dict[Any, str]:
    """The longest title of each paper in all docstrings: those of rules may give the arXiv id alone."""
    import gradchain

    found: dict[Any, str] = {}
    for module in (gradchain, gradchain.contrib):
        for value in vars(module).values():
            for paper in papers(inspect.getdoc(value) or "") if inspect.isroutine(value) else ():
                known = found.get(_identity(paper), "")
                found[_identity(paper)] = max(known, paper.title, key=len)
    return found
