"""The parts of a transformation: each call in it, its name, and where its state is.

Everything that reads or changes a finished transformation goes by these names.
"""

import collections
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ._chain import chain, named_chain, with_extra_args_support
from ._errors import nearest
from ._pair import GradientTransformation, Path
from ._values import name_of


class Part(NamedTuple):
    """A call in a transformation."""

    name: str  # unique, such as "adamw", "kernels.adamw", "scale[1]"
    pair: Any  # what the call made
    place: Path  # of its state in the state of the whole
    where: Path  # of the call in the arguments of the whole

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the call by name; none where a pair does not remember its call."""
        return self.pair.arguments or {}


def parts(tx: GradientTransformation) -> list[Part]:
    """The calls in a transformation, from the outermost, in order; chains themselves are left out.

    A part has the name of its factory. In a `named_chain`, a `partition` or `groups` it begins with the
    name or the label, in a wrapper of several transformations with the argument: "decay.adamw",
    "optimizer.sgd". Equal names are counted: "scale[0]", "scale[1]".
    """
    found = list(_walk(tx, (), (), ""))
    times = collections.Counter(part.name for part in found)
    seen: collections.Counter[str] = collections.Counter()
    unique = []
    for part in found:
        name = part.name
        if times[name] > 1:
            name = f"{name}[{seen[part.name]}]"
        seen[part.name] += 1
        unique.append(part._replace(name=name))
    return unique


def argument_of(who: str, tx: GradientTransformation, name: str) -> tuple[Part, str]:
    """The part and the argument that a name means.

    Args: who, for errors; name, dotted ("adamw.b1"), or plain ("b1") if only one part has the argument.
    Raises: KeyError, with the nearest names, if none has it, or with the dotted names if several have.
    """
    known = {
        f"{part.name}.{argument}": (part, argument) for part in parts(tx) for argument in part.arguments
    }
    if name in known:
        return known[name]
    meant = [dotted for dotted in known if dotted.rpartition(".")[2] == name]
    if len(meant) == 1:
        return known[meant[0]]
    if meant:
        raise Unknown(f"{who}: {name!r} could be {', '.join(meant)}: give one of these names.")
    if not known:
        raise Unknown(
            f"{who}: there is no {name!r}: nothing in the transformation remembers its arguments."
        )
    hint = nearest(name, [*known, *(dotted.rpartition(".")[2] for dotted in known)])
    raise Unknown(f"{who}: there is no {name!r}; there are {', '.join(known)}.{hint}")


def is_composite(value: Any) -> bool:
    """Whether there are transformations among the arguments of what remembers its call."""
    return any(True for _ in transformations_in(value.arguments))


class Unknown(KeyError):
    """A name that no part has; its message is shown as it is."""

    def __str__(self) -> str:
        return str(self.args[0])


def replaced(tx: Any, changes: Mapping[str, Any], who: str = "replace") -> Any:
    """A transformation with other values of arguments, named as `argument_of` takes them."""
    for name, value in changes.items():
        part, argument = argument_of(who, tx, name)
        tx = replaced_at(tx, (*part.where, argument), value)
    return tx


def replaced_at(value: Any, path: Path, new: Any) -> Any:
    """A value of an argument, or a transformation, with something else at a path."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, GradientTransformation):
        return value.replace(**{step: replaced_at(value.arguments[step], rest, new)})  # type: ignore[attr-defined]
    if isinstance(value, Mapping):
        return type(value)({**value, step: replaced_at(value[step], rest, new)})  # type: ignore[call-arg]
    items = list(value)
    items[step] = replaced_at(items[step], rest, new)
    return type(value)(items)


def state_at(state: Any, place: Path) -> Any:
    """The part of a state at a place."""
    for step in place:
        state = getattr(state, step) if _is_field(state, step) else state[step]
    return state


def with_state_at(state: Any, place: Path, new: Any) -> Any:
    """A state with another part at a place; nothing is changed in the old one."""
    if not place:
        return new
    step, *rest = place
    inner = with_state_at(state_at(state, (step,)), tuple(rest), new)
    if _is_field(state, step):
        return state._replace(**{step: inner})
    if isinstance(state, Mapping):
        return type(state)({**state, step: inner})  # type: ignore[call-arg]
    items = list(state)
    items[step] = inner
    return type(state)(items)


def _is_field(state: Any, step: Any) -> bool:
    return isinstance(step, str) and step in getattr(state, "_fields", ())


def _walk(tx: Any, place: Path, where: Path, prefix: str) -> Iterator[Part]:
    pair: Any = with_extra_args_support(tx)
    factory = pair.factory
    if factory not in (chain, named_chain):
        yield Part(prefix + _name_of(tx), pair, place, where)
    found = list(transformations_in(pair.arguments or {}))
    left = list(_located(pair))
    for path, label, inner in found:
        # Equal, not the same: equal calls share what they made.
        at = next((i for i, (tx, _) in enumerate(left) if tx == inner), None)
        if at is None:
            continue
        name = path[0] if label is None else pair.labels.get(label, label)
        inside = prefix if label is None and len(found) == 1 else f"{prefix}{name}."
        inside = prefix if factory is chain else inside
        made, at_place = left.pop(at)
        yield from _walk(made, place + at_place, where + path, inside)


def _located(pair: Any) -> Iterator[tuple[Any, Path]]:
    """The transformations that a pair is made of, at any depth, with the places of their states."""
    for tx, place in pair.inside:
        yield tx, place
        for inner, deeper in _located(with_extra_args_support(tx)):
            yield inner, place + deeper


def transformations_in(arguments: Mapping[str, Any]) -> Iterator[tuple[Path, str | None, Any]]:
    """The transformations among arguments: path, label, pair."""

    def below(value: Any, path: Path, label: str | None) -> Iterator[tuple[Path, str | None, Any]]:
        if isinstance(value, GradientTransformation) or _is_foreign(value):
            yield path, label, value
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from below(item, (*path, key), str(key))
        elif isinstance(value, (list, tuple)):
            named = len(value) == 2 and isinstance(value[0], str)
            for i, item in enumerate(value):
                yield from below(item, (*path, i), value[0] if named else label)

    for name, value in arguments.items():
        yield from below(value, (name,), None)


def _is_foreign(value: Any) -> bool:
    """Whether this is a pair of another library."""
    return isinstance(value, tuple) and getattr(value, "_fields", ())[:2] == ("init", "update")


def _name_of(tx: Any) -> str:
    """The name of the factory; of a foreign pair, of the function that its `update` was written in."""
    factory = getattr(tx, "factory", None)
    if factory is None:
        return getattr(tx[1], "__qualname__", "unknown").split(".")[0]
    return name_of(getattr(factory, "inner_factory", factory))  # of injected hyperparameters
