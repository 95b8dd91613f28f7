"""A transformation as a table that people read."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from ..core import (
    GradientTransformation,
    Part,
    chain,
    code_of,
    conflicts,
    is_packed,
    key_of_value,
    named_chain,
    parts,
    signature,
    transformations_in,
    with_extra_args_support,
)
from ..core.types import OptState, Params
from .grid import Cell, Grid
from .memory import Memory, human, memory, size_of
from .seen import left_alone, remarks, seen
from .slots import Slot, pattern_of, slots

WIDTH = 46
"""Characters of hyperparameters in a line."""
MOST_PATHS = 6
"""Parameters of a group that are named."""


class Description(NamedTuple):
    """What `describe` found. `print` shows it as text, a notebook as a table, rich in colour."""

    parts: list[Part]  # the calls, outermost first
    slots: list[Slot]  # what each keeps
    groups: dict[str, list[str]]  # by part: the parameters it sees, where it does not see all
    alone: dict[str, list[str]]  # by part: those of its parameters that no part in it sees
    memory: Memory | None  # with parameters only
    warnings: list[str]  # of the order of links
    like: Params = None  # the parameters
    remarks: Sequence[str] = ()  # of parameters that are treated in a way of their own

    def grid(self) -> Grid:
        """One row for each line of a part: its name, its hyperparameters, its state, the bytes."""
        rows: list[list[Any]] = []
        for part in self.parts:
            rows.extend(self._rows(part))
        header = ["transformation", "hyperparameters", "state", "size"]
        return Grid(header if self.memory else header[:3], rows, frozenset([3]))

    def _rows(self, part: Part) -> Iterator[list[Any]]:
        name = Cell("  " * self._depth(part) + ("└ " if self._depth(part) else "") + part.name, "bold")
        left = list(_hyperparameters(part))
        if part.name in self.groups:
            left.append([Cell(f"sees {_listed(self.groups[part.name])}")])
        if part.name in self.alone:
            left.append([Cell(f"leaves alone {_listed(self.alone[part.name])}")])
        right = [self._slot(slot) for slot in self.slots if slot.part.name == part.name]
        for i in range(max(len(left), len(right), 1)):
            yield [
                name if i == 0 else Cell(""),
                left[i] if i < len(left) else Cell(""),
                *(right[i] if i < len(right) else [Cell("no state" if i == 0 else "", "dim"), Cell("")]),
            ][: 4 if self.memory else 3]

    def _depth(self, part: Part) -> int:
        """In how many wrappers the part stands."""
        return sum(
            part.where[: len(p.where)] == p.where and len(p.where) < len(part.where) for p in self.parts
        )

    def _slot(self, slot: Slot) -> list[Cell]:
        text = f"{slot.name}: {_shapes(slot, self.like)}"
        return [Cell(text), Cell(human(size_of(slot.value)) if self.memory else "")]

    def notes(self) -> list[Cell]:
        """The lines below the table: the memory in all, remarks on parameters, and the warnings."""
        found = [Cell(str(self.memory).splitlines()[-1], "bold")] if self.memory else []
        found += [Cell(text, "dim") for text in self.remarks]
        return found + [Cell(f"warning: {text}", "warning") for text in self.warnings]

    def show(self) -> None:
        """Prints it, in colour where rich is installed and the terminal has colours."""
        try:
            from rich import print as rich_print
        except ImportError:
            print(self)
        else:
            rich_print(self)

    def __str__(self) -> str:
        return "\n".join([self.grid().text(), *(note.text for note in self.notes())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.grid().html() + Grid([], [[note] for note in self.notes()]).html()

    def __rich__(self) -> Any:
        from rich.console import Group

        return Group(self.grid().rich(), Grid([""], [[note] for note in self.notes()]).rich())


def describe(tx: GradientTransformation, params: Params | None = None) -> Description:
    """Shows a transformation: each call in it, its hyperparameters, and what it keeps.

        print(describe(chain(clip_by_global_norm(1.0), adamw(1e-3)), params))

    Names are those of `core.parts`; `hyperparams`, `replace` and `reset` go by them. Hyperparameters at
    their defaults stand in brackets, dimmed where there are colours. With parameters each slot of the state
    has its dtype and its bytes, and each part that does not see all parameters lists those it sees.

    Args: tx, of any library: a foreign pair shows its name and its state; params, arrays or
        `jax.ShapeDtypeStruct`s. Nothing is allocated.
    Returns: a `Description`: `print(...)`, `.show()` in colour, a table in a notebook.
    """
    pair = with_extra_args_support(tx)
    state: OptState = jax.eval_shape(pair.init, params) if params is not None else pattern_of(pair)
    found = [] if state is None else slots(pair, state)
    sizes = None if params is None else memory(pair, params)
    groups, alone = ({}, {}) if params is None else (seen(pair, params), left_alone(pair, params))
    said = [] if params is None else remarks(pair, params)
    return Description(parts(pair), found, groups, alone, sizes, _warnings(pair), params, said)


def _warnings(tx: Any) -> list[str]:
    """What the orders of all chains in a transformation are warned of, once each."""
    return list(dict.fromkeys(text for links in _chains(tx) for text in conflicts(links)))


def _chains(tx: Any) -> Iterator[Sequence[Any]]:
    """The links of each chain that was put together by hand."""
    pair: Any = with_extra_args_support(tx)
    if pair.factory in (chain, named_chain):
        yield pair.links
    for _, _, inner in transformations_in(pair.arguments):
        yield from _chains(inner)


def _hyperparameters(part: Part) -> Iterator[list[Cell]]:
    """Lines of hyperparameters: first those given, then the defaults in brackets."""
    given, default = _sorted(part)
    for line in textwrap.wrap(", ".join(given), WIDTH, break_long_words=False):
        yield [Cell(line)]
    if default:
        for line in textwrap.wrap(f"({', '.join(default)})", WIDTH, break_long_words=False):
            yield [Cell(line, "dim")]


def _sorted(part: Part) -> tuple[list[str], list[str]]:
    """The arguments as code: those that were given, and those at their defaults that are numbers."""
    given, default = [], []
    parameters = signature(part.pair.factory).parameters if part.arguments else {}
    for name, parameter in parameters.items():
        value = part.arguments[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            given.extend(f"{key}={code_of(x)}" for key, x in value.items())
        has_rows = any(transformations_in({name: value}))
        if has_rows or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        same = key_of_value(value) == key_of_value(parameter.default)
        if not same:
            given.append(f"{name}={code_of(value)}")
        elif value is not None and value is not False:
            default.append(f"{name}={code_of(value)}")
    return given, default


def _shapes(slot: Slot, params: Params | None) -> str:
    """What stands in a slot, in words."""
    leaves = jax.tree.leaves(slot.value, is_leaf=is_packed)
    if not leaves:
        return "like the parameters"
    dtypes = ", ".join(sorted({x.codec.name if is_packed(x) else x.dtype.name for x in leaves}))
    if slot.like_params and params is not None:
        alike = {x.shape for x in leaves} <= {jax.numpy.shape(p) for p in jax.tree.leaves(params)}
        return f"{dtypes}, like the parameters" if alike else f"{dtypes}, {len(leaves)} arrays"
    if len(leaves) == 1:
        return f"{dtypes}[{','.join(map(str, leaves[0].shape))}]"
    return f"{dtypes}, {len(leaves)} arrays"


def _listed(paths: list[str]) -> str:
    """The parameters of a group, the first of many."""
    more = f" and {len(paths) - MOST_PATHS} more" if len(paths) > MOST_PATHS else ""
    return ", ".join(paths[:MOST_PATHS]) + more if paths else "no parameters"
