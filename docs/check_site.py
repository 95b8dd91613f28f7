"""Checks a built site: `python docs/check_site.py SITE`. Prints what is wrong, and exits with 1 then.

- Every link inside the site leads to a file, and every anchor to an element.
- No page loads anything from another host.
- The search index has every public name, and finds it without its module.
- Every optimizer has a page, and a picture unless it says why not.
"""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""What a page loads by itself, by tag: the attribute that has the address."""
LOADING_RELATIONS = {"icon", "modulepreload", "preconnect", "preload", "stylesheet"}


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, text: str):
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes the addresses and the anchors of a tag."""
        has = {name: value or "" for name, value in attrs}
        self.anchors |= {has[name] for name in ("id", "name") if name in has}
        if tag == "a" and "href" in has:
            self.links.add(has["href"])
        if tag == "link" and LOADING_RELATIONS & set(has.get("rel", "").split()):
            self.loads.add(has.get("href", ""))
        if LOADED.get(tag) in has:
            self.loads.add(has[LOADED[tag]])


def broken(site: Path) -> list[str]:
    """Links and loads that lead nowhere, and loads from other hosts."""
    pages = {file: Page(file.read_text()) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        place = file.relative_to(site)
        if file.name == "404.html":
            continue  # it may be shown anywhere, so its addresses begin with the site's own
        for address in sorted(page.links | page.loads):
            parts = urlsplit(address)
            if parts.scheme in ("http", "https") or parts.netloc:
                if address in page.loads:
                    found.append(f"{place} loads {address}")
                continue
            if parts.scheme:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{place}: no file for {address}")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{place}: no anchor for {address}")
    for sheet in sorted(site.rglob("*.css")):
        outside = re.findall(r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text())
        found += [f"{sheet.relative_to(site)} loads {address}" for address in outside]
    return found


def missing(site: Path) -> list[str]:
    """Public names that a search does not find, optimizers without a page or a picture."""
    sys.path.insert(0, str(Path(__file__).parent))
    from hooks.pictures import NOT_DRAWN
    from hooks.public import entries, optimizers

    index = json.loads((site / "search" / "search_index.json").read_text())
    titles = {doc["title"].split()[0] for doc in index["docs"] if doc["title"]}
    found = [f"the search index lacks {path}" for path in entries() if path not in titles]
    words = {word for title in titles for word in re.split(index["config"]["separator"], title)}
    found += [f"a search finds no {e.name}" for e in entries().values() if e.name not in words]
    for name in optimizers():
        if not (site / "optimizers" / f"{name}.html").is_file():
            found.append(f"no page for {name}")
        if name not in NOT_DRAWN and not (site / "optimizers" / f"{name}.png").is_file():
            found.append(f"no picture of {name}")
    return found


def main() -> int:
    """Checks the site that is named; returns the exit status."""
    site = Path(sys.argv[1]).resolve()
    found = broken(site) + missing(site)
    print("\n".join(found) or f"{site.name}: {len(list(site.rglob('*.html')))} pages, nothing is wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
