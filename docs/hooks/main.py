"""The events of MkDocs at which the site's pages are made. Nothing here is committed: see `mkdocs.yml`.

GRADCHAIN_DOCS_PICTURES=0 leaves out the pictures of optimizers, which take minutes the first time.
"""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from mkdocs.structure.files import File, Files

from hooks import api_pages, linking, links_out, optimizer_pages, pictures, stubs

WITH_PICTURES = os.environ.get("GRADCHAIN_DOCS_PICTURES", "1") != "0"


def how_to() -> list[str]:
    """The answers to single questions: one file each, in the order of their names."""
    docs = Path(__file__).parents[1]
    return sorted(str(file.relative_to(docs)) for file in (docs / "howto").glob("*.md"))


def on_config(config: Any) -> Any:
    """Writes what mkdocstrings reads, and puts the made pages into the navigation."""
    stubs.write()
    for section in config.nav:
        for title, children in section.items():
            if title == "How to":
                children.extend(page for page in how_to() if page not in children)
            if title == "Optimizers":
                children.extend(optimizer_pages.navigation())
            if title == "API":
                children.extend(api_pages.navigation())
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the made pages and pictures; the page of optimizers is another than on GitHub."""
    if old := files.get_file_from_path("optimizers.md"):
        files.remove(old)
    drawn = pictures.made() if WITH_PICTURES else None
    pages = api_pages.pages() | optimizer_pages.pages(drawn)
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    for name in drawn or ():
        path = str(pictures.folder() / f"{name}.png")
        files.append(File.generated(config, f"optimizers/{name}.png", abs_src_path=path))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links: those that leave `docs/` go to the repository, names in backticks to their pages."""
    markdown = links_out.absolute(markdown, page.file.src_uri, config.repo_url)
    return markdown if page.file.generated_by else linking.linked(markdown)
