"""The page: a part written by hand, which stays, and a part made of the results."""

from pathlib import Path

from . import pictures, tables
from .figures import Data

NAME = "quality.md"
BEGIN = "<!-- made by `python -m benchmarks quality`: from here on, changes are lost -->"
BARE = "# Training quality\n\n"


def text(existing: str, data: Data, drawn: list[tuple[str, str]]) -> str:
    """The page with its generated part made anew; what stands before it is kept."""
    by_hand = existing.partition(BEGIN)[0] or BARE
    return f"{by_hand}{BEGIN}\n\n{tables.generated(data, drawn)}"


def write(folder: Path, data: Data) -> list[Path]:
    """Writes the page and the pictures into a folder; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / NAME
    existing = page.read_text(encoding="utf-8") if page.exists() else ""
    drawn = pictures.draw(data, folder)
    page.write_text(text(existing, data, drawn), encoding="utf-8")
    return [page, *(folder / file for _, file in drawn)]
