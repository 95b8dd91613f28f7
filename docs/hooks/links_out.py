"""Links of a page to files outside `docs/`: on GitHub they are relative, in the site they go to GitHub."""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def absolute(markdown: str, page: str, repository: str) -> str:
    """The page's Markdown with such links made absolute; FileNotFoundError if a file is not there."""

    def replaced(found: re.Match[str]) -> str:
        path, mark, anchor = found[1].partition("#")
        at = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), path))
        if at.startswith("docs/") and not at.endswith((".py", ".toml")):
            return found[0]
        if not (ROOT / at).exists():
            raise FileNotFoundError(f"docs/{page} links to {found[1]}, which is not there")
        kind = "tree" if (ROOT / at).is_dir() else "blob"
        return f"]({repository}/{kind}/main/{at}{mark}{anchor})"

    return re.sub(r"\]\(((?!\w+:|#)[^)\s]+)\)", replaced, markdown)
