"""The examples of the docstrings: which factories have one, and where it stands."""

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import gradchain as gc

MADE = ("GradientTransformation", "TreeFunction", "Schedule", "MeanBlocks")
"""What factories say that they return: one of these names is in the annotation."""
MAKERS = ("transformation", "schedule")
"""These two make factories, from functions: what they return is no transformation."""


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name and function of all that the namespaces show, each function under its first name."""
    seen = set()
    for module in (gc, gc.contrib, gc.experimental.aggregating):
        for name in sorted(n for n in dir(module) if not n.startswith("_")):
            value = getattr(module, name)
            if inspect.isfunction(inspect.unwrap(value)) and id(value) not in seen:
                seen.add(id(value))
                yield name, value


def is_factory(name: str, function: Callable[..., Any]) -> bool:
    """Whether a function makes a transformation, a schedule, a mask or the rules of groups."""
    if name in MAKERS or typing.get_origin(function) is not None:
        return False
    written = inspect.unwrap(function)
    is_marked = hasattr(function, "numbers") or getattr(function, "__wrapped__", None) is not None
    made = str(written.__annotations__.get("return", ""))
    return is_marked or any(word in made for word in MADE)


def example_of(doc: str) -> str:
    """The lines of a docstring below `Example:`."""
    return doc.partition("\n\nExample:\n")[2].rstrip()


def without_example(doc: str) -> str:
    """A docstring without its example."""
    return doc.partition("\n\nExample:\n")[0].rstrip()


FUNCTIONS = dict(public_functions())
FACTORIES = {name: f for name, f in FUNCTIONS.items() if is_factory(name, f)}
