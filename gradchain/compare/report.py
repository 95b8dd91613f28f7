"""The report: one HTML file with the pictures, the table, the settings and the versions."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from .notes import notes
from .results import Result
from .table import cells, headers, is_first
from .tasks import Task

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 1180px; margin: 2.5rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.lead { color: #555; margin: 0 0 1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: #555; border-bottom: 2px solid #bbb;
     padding: .35rem .6rem; white-space: nowrap; }
td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid #e8e8e8;
     white-space: nowrap; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
tr.best td { background: #eef7ee; font-weight: 600; } tr.lost td { color: #b3261e; }
table.facts { width: auto; } table.facts td { text-align: left; white-space: normal; min-width: 6.5rem; }
img { display: block; max-width: 100%; height: auto; } code { font-size: .92em; }
@media (max-width: 600px) { body { margin: 1rem auto; } h1 { font-size: 1.35rem; } }
.notes { color: #555; font-size: .92em; padding-left: 1.2rem; }
"""


NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""For the browser: the page is complete, so that whatever else would be loaded is a mistake."""


class Picture(NamedTuple):
    """A picture, as PNG."""

    title: str
    words: str  # what it shows, for those who do not see it
    wide: bytes
    narrow: bytes  # the same for a phone


def html(
    task: Task,
    results: Sequence[Result],
    pictures: Sequence[Picture],
    *,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    unfinished: Sequence[str],
) -> str:
    """The whole page, which needs no other file."""
    body = "".join(map(_row, results, cells(task, results)))
    head = "".join(f"<th>{escape(title)}</th>" for title in headers(task, results))
    stopped = (
        f"<p><strong>Interrupted.</strong> Not finished: {escape(', '.join(unfinished))}.</p>"
        if unfinished
        else ""
    )
    remarks = notes(task, results, settings["seeds"], settings["test_examples"])
    codes = {r.name: f"<code>{escape(r.code)}</code>" for r in results}
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{NOTHING_FROM_OUTSIDE}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>gradchain compare: {escape(task.name)}</title><style>{STYLE}</style></head><body>
<h1>gradchain compare: {escape(task.name)}</h1>
<p class="lead">{escape(task.what[:1].upper() + task.what[1:])}.</p>
{stopped}
<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
<ul class="notes">{"".join(f"<li>{escape(n)}</li>" for n in remarks)}</ul>
{"".join(map(_shown_picture, pictures))}
<h2>Optimizers</h2>{_facts(codes)}
<h2>Settings</h2>{_facts({k: escape(_shown(v)) for k, v in settings.items()})}
<h2>Versions</h2>{_facts({k: escape(v) for k, v in versions.items()})}
</body></html>
"""


def _shown_picture(picture: Picture) -> str:
    wide, narrow = (base64.b64encode(png).decode() for png in (picture.wide, picture.narrow))
    return f"""<h2>{escape(picture.title)}</h2>
<picture><source media="(max-width: 600px)" srcset="data:image/png;base64,{narrow}">
<img alt="{escape(picture.words)}" src="data:image/png;base64,{wide}"></picture>
"""


def _row(result: Result, row: Sequence[str]) -> str:
    kind = ' class="lost"' if result.divergences else ' class="best"' if is_first(result) else ""
    return f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"


def _facts(facts: Mapping[str, str]) -> str:
    """A table of names and values, the values already HTML."""
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{v}</td></tr>" for k, v in facts.items())
    return f'<div class="wide"><table class="facts">{rows}</table></div>'


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    return "none" if value is None else str(value)
