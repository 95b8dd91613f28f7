"""A table of cells, as plain text, as HTML, or for rich."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

STYLES = {"": "", "dim": "opacity:0.55", "bold": "font-weight:bold", "warning": "color:#b35900"}
"""What a cell may look like, and how HTML says it; rich has its own words."""


class Cell(NamedTuple):
    """A text and its look: one of `STYLES`."""

    text: str
    style: str = ""


class Grid(NamedTuple):
    """A table. A row may be shorter than the header; columns named in `right` are aligned to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell | Sequence[Cell]]]  # a cell may be of several pieces
    right: frozenset[int] = frozenset()

    def text(self) -> str:
        """Columns that are as wide as they need, two spaces apart."""
        rows = [list(self.header), *(["".join(p.text for p in _pieces(c)) for c in r] for r in self.rows)]
        widths = [max(len(r[i]) for r in rows if i < len(r)) for i in range(len(self.header))]

        def line(row: list[str]) -> str:
            cells = (
                c.rjust(w) if i in self.right else c.ljust(w)
                for i, (c, w) in enumerate(zip(row, widths, strict=False))
            )
            return "  ".join(cells).rstrip()

        return "\n".join(map(line, rows))

    def html(self) -> str:
        """A table that needs no style sheet."""
        head = "".join(
            f'<th style="text-align:{self._side(i)}">{html.escape(h)}</th>'
            for i, h in enumerate(self.header)
        )
        body = "".join(map(self._row, self.rows))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def rich(self) -> Any:
        """The same as rich's own table."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, name in enumerate(self.header):
            table.add_column(name, justify="right" if i in self.right else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text.assemble(*((p.text, _RICH[p.style]) for p in _pieces(c))) for c in row))
        return table

    def _row(self, row: Sequence[Cell | Sequence[Cell]]) -> str:
        cells = (
            f'<td style="text-align:{self._side(i)};white-space:pre-wrap;padding-right:1em">'
            + "".join(map(_span, _pieces(c)))
            + "</td>"
            for i, c in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    def _side(self, column: int) -> str:
        return "right" if column in self.right else "left"


_RICH = {"": "", "dim": "dim", "bold": "bold", "warning": "yellow"}


def _pieces(cell: Cell | Sequence[Cell]) -> Sequence[Cell]:
    return (cell,) if isinstance(cell, Cell) else cell  # type: ignore[return-value]


def _span(piece: Cell) -> str:
    style = STYLES[piece.style]
    text = html.escape(piece.text)
    return f'<span style="{style}">{text}</span>' if style else text
