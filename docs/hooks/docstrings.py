"""Docstrings as Markdown: sections get bold labels, formulas keep their lines, examples are code."""

import re
import textwrap

LABELS = "Args|Attributes|Fields|State|Memory|Raises|Returns|Yields|Warns|References?|Note|Examples?"
_SECTION = re.compile(rf"^({LABELS}):(?: |$)")
_INNER = re.compile(r"(?<=[.)`:]) (?=(?:Memory|Raises|Returns|Reference): )")
_ENTRY = re.compile(r"([\w*]+(?:, [\w*]+)*): ")
_FORMULA = re.compile(r"^[A-Za-z_](?:\w|['{}^|()\[\]<>,-])* = ")
_ARXIV = re.compile(r"arXiv:([\w.-]+/\d+|\d{4}\.\d{4,5})")
_SHOWN = {"Args": "Arguments", "Reference": "References"}


def markdown(doc: str) -> str:
    """The Markdown of a docstring as `inspect.getdoc` gives it."""
    blocks = [_section(label, text) if label else _prose(text) for label, text in sections(doc)]
    return "\n\n".join(block for block in blocks if block)


def sections(doc: str) -> list[tuple[str, str]]:
    """The parts of a docstring: label and text. What belongs to no section has the label ""."""
    found: list[tuple[str, list[str]]] = [("", [])]
    lines = [part for line in doc.expandtabs().split("\n") for part in _cut(line)]
    for line in lines:
        start = _SECTION.match(line)
        if start:
            found.append((start.group(1), [line[start.end() :]]))
        elif found[-1][0] and line and not line.startswith(" ") and not found[-1][1][-1]:
            found.append(("", [line]))  # a paragraph after a section
        else:
            found[-1][1].append(line)
    return [(label, "\n".join(text).strip("\n")) for label, text in found if "".join(text).strip()]


def _cut(line: str) -> list[str]:
    """A line, divided where a section begins within one: "State: none. Memory: none."."""
    return _INNER.split(line) if _SECTION.match(line) else [line]


def _section(label: str, text: str) -> str:
    shown = _SHOWN.get(label, label)
    if label.startswith("Example"):
        return f"**{shown}:**\n\n{_code(textwrap.dedent(text))}"
    if label in ("Args", "Attributes", "Fields") and text.startswith("    "):
        return f"**{shown}:**\n\n{_entries(text)}"
    words = " ".join(text.split())
    return f"**{shown}:** {inline(words)}"


def _entries(text: str) -> str:
    items: list[str] = []
    for line in textwrap.dedent(text).split("\n"):
        if line.startswith(" ") and items:
            items[-1] += " " + line.strip()
        elif line:
            items.append(line)
    return "\n".join(f"- {_entry(item)}" for item in items)


def _entry(item: str) -> str:
    found = _ENTRY.match(item)
    if not found:
        return inline(item)
    names = ", ".join(f"`{name}`{{.argument}}" for name in found.group(1).split(", "))
    return f"{names}: {inline(item[found.end() :])}"


def _prose(text: str) -> str:
    """Paragraphs; indented ones and those with prompts are code."""
    made = []
    for paragraph in re.split(r"\n\n+", text):
        lines = paragraph.split("\n")
        if not paragraph.strip():
            continue
        if all(line.startswith("    ") for line in lines if line) or lines[0].lstrip().startswith(">>>"):
            made.append(_code(textwrap.dedent(paragraph)))
        elif _FORMULA.match(lines[0]):
            made.append("\n".join(f"{inline(line)}  " for line in lines) + "\n{: .formula }")
        elif lines[0].lstrip().startswith("- "):
            made.append("\n".join(f"- {inline(item)}" for item in _items(lines)))
        else:
            made.append(inline(" ".join(lines)))
    return "\n\n".join(made)


def _items(lines: list[str]) -> list[str]:
    """The items of a list, each with the lines that go on with it."""
    joined = "\n".join(lines)
    return [" ".join(item.split()) for item in re.split(r"(?:^|\n)\s*- ", joined) if item.strip()]


def _code(text: str) -> str:
    language = "pycon" if ">>>" in text else "python"
    return f"```{language}\n{text.rstrip()}\n```"


def inline(text: str) -> str:
    """Text in which only backticks mean something: all else that Markdown would read is escaped."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else _plain(part) for i, part in enumerate(parts))


def _plain(text: str) -> str:
    escaped = "".join(_ESCAPED.get(c, c) for c in text)
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", escaped)


_ESCAPED = {c: f"&#{ord(c)};" for c in "&<>*_[]{}\\#!|~"}
"""What Markdown, or one of its extensions, would read as more than a character."""
