"""One voice for errors: who, where, what was expected, what was received, and the remedy."""

import difflib
import re
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import jax


class MissingArgumentError(Exception):
    """An `update` was called without an argument that it needs."""

    def named(self, name: str) -> "MissingArgumentError":
        """The same fault, told in the name of the factory that the user called."""
        return type(self)(name)


class MissingParamsError(MissingArgumentError, ValueError):
    """An update or a step that needs the parameters was called without them."""

    def __init__(self, name: str, method: str = "update"):
        super().__init__(f"{name} needs the parameters: call {method}(grads, state, params).")


class MissingExtraError(MissingArgumentError, TypeError):
    """An update that needs an extra argument was called without it."""

    def __init__(self, name: str, argument: str):
        given = f"{argument}=loss" if argument == "value" else f"{argument}=..."
        super().__init__(
            f"{name} needs the extra argument {argument}: call update(grads, state, params, {given})."
        )
        self.argument = argument

    def named(self, name: str) -> "MissingExtraError":
        return MissingExtraError(name, self.argument)


class LeafError(ValueError):
    """A fault found in one leaf; `{leaf}` in its text stands for the leaf's path."""

    def __init__(self, name: str, text: str):
        super().__init__(f"{name}: {text}")

    def at(self, path: str) -> ValueError:
        """The same fault, told with the leaf's path."""
        return ValueError(str(self).replace("{leaf}", path or "(the only leaf)"))


def _paths(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: x is None)[0]
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def path_of_leaf(tree: Any, index: int) -> str:
    """The key path of leaf number `index`, counting None as a leaf."""
    return list(_paths(tree))[index]


def _verb(what: str, one: str, many: str) -> str:
    """The form of a verb for one thing or for several, as "parameters" and "dimension numbers" are."""
    return many if what.endswith("s") else one


def tree_mismatch(name: str, what: str, tree: Any, other_what: str, other: Any) -> ValueError:
    """The error for two trees that should have the same structure: names the paths that differ."""
    here, there = _paths(tree), _paths(other)
    clauses = [
        f"the {which} {_verb(which, 'has', 'have')} {', '.join(extra[:3]) or '(a leaf)'}"
        + (f" and {len(extra) - 3} more" if len(extra) > 3 else "")
        + f" that the {lacks} {_verb(lacks, 'lacks', 'lack')}"
        for which, lacks, extra in (
            (what, other_what, [p for p in here if p not in there]),
            (other_what, what, [p for p in there if p not in here]),
        )
        if extra
    ]
    if not clauses:
        clauses = [f"the containers differ: {jax.tree.structure(tree)} and {jax.tree.structure(other)}"]
    return ValueError(
        f"{name}: the {what} {_verb(what, 'does', 'do')} not have the structure of the {other_what}; "
        f"{'; '.join(clauses)}. Both must be pytrees of the same structure."
    )


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the line of the user's code that led here: Python shows deprecations only of `__main__`.

    Counted frames (`stacklevel`) would change with every decorator in between.
    """
    between = re.compile(r"(gradchain|importlib)(\.|$)")
    frame = sys._getframe(1)
    while frame.f_back and between.match(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    where = frame.f_globals
    registry = where.setdefault("__warningregistry__", {})
    module, file = where.get("__name__", "<unknown>"), frame.f_code.co_filename
    warnings.warn_explicit(message, category, file, frame.f_lineno, module, registry)


def nearest(word: str, words: Iterable[str]) -> str:
    """A sentence that offers the nearest known word, or nothing."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def called_by_the_package(depth: int = 2) -> bool:
    """Whether the function that asks was called by the package's own code outside of `core`."""
    frame = sys._getframe(depth)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("gradchain.core"):
            return module.startswith("gradchain.")
        frame = frame.f_back
    return False
