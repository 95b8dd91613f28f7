"""The links of a chain, and of the chains in it, in the runs in which they take a step."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from ._errors import MissingArgumentError
from ._leafwise import Fused
from ._pair import GradientTransformationExtraArgs
from ._values import name_of
from .types import OptState, Params, Updates


class _Link(NamedTuple):
    """A link that is no chain itself."""

    pair: GradientTransformationExtraArgs
    owner: str | None  # the alias it is part of: the name errors give


def _parts(pair: GradientTransformationExtraArgs, owner: str | None = None) -> Any:
    """The links of a chain, nested as their states are; a single link of any other pair."""
    if pair.delegates and owner is None:
        owner = name_of(pair.factory)
    if pair.chained is None:
        return _Link(pair, owner)
    return tuple(_parts(link, owner) for link in pair.chained)


class _Run(NamedTuple):
    """Neighbouring links: rules for one array, which run as one, or a single other link."""

    place: slice  # in the list of states
    links: list[_Link]
    rules: Fused | None  # None for another link

    def __call__(
        self, whole: bool, updates: Updates, states: list[OptState], params: Any, extra_args: dict[str, Any]
    ) -> Any:
        """The new updates, or with `whole` the new parameters; replaces these links' states."""
        olds = states[self.place]
        if self.rules is not None:
            result, states[self.place] = self.rules(whole, updates, olds, params, extra_args)
            return result
        pair, owner = self.links[0]
        try:
            result, new = pair.run(whole, updates, olds[0], params, **extra_args)
        except MissingArgumentError as error:
            raise error.named(owner) if owner else error from None
        states[self.place] = [new]
        return result


class Runs:
    """All links of a chain, ready to take steps.

    Args: links, the chain's own; those that are chains are opened.
    """

    def __init__(self, links: Sequence[GradientTransformationExtraArgs]):
        self.parts = tuple(map(_parts, links))
        self.links, self.treedef = jax.tree.flatten(self.parts, is_leaf=lambda x: isinstance(x, _Link))
        self.runs = list(self._grouped())

    def _grouped(self) -> Iterator[_Run]:
        groups: list[list[_Link]] = []
        for link in self.links:
            rule = link.pair.rule
            if groups and rule and not rule.measure and groups[-1][0].pair.rule:
                groups[-1].append(link)
            else:
                groups.append([link])
        first = 0
        for links in groups:
            rules = [link.pair.rule for link in links]
            together = Fused(rules, [link.owner for link in links]) if rules[0] else None
            yield _Run(slice(first, first + len(links)), links, together)
            first += len(links)

    def states(self, state: Any) -> list[OptState]:
        """The states of all links.

        Raises: ValueError unless `state` is a tuple of them, nested as the chains are.
        """
        try:
            return self.treedef.flatten_up_to(tuple(state) if isinstance(state, list) else state)
        except ValueError:
            raise _misfit("", state, self.parts) from None

    def update(
        self, updates: Updates, state: Any, params: Params | None, extra_args: dict[str, Any]
    ) -> tuple[Updates, Any]:
        """The updates after all links, and the new state."""
        states = self.states(state)
        for run in self.runs:
            updates = run(False, updates, states, params, extra_args)
        return updates, self.treedef.unflatten(states)

    def step(
        self, grads: Updates, state: Any, params: Params, extra_args: dict[str, Any]
    ) -> tuple[Params, Any]:
        """The new parameters, by the step of the last run, and the new state."""
        states = self.states(state)
        for run in self.runs[:-1]:
            grads = run(False, grads, states, params, extra_args)
        return self.runs[-1](True, grads, states, params, extra_args), self.treedef.unflatten(states)


def _misfit(where: str, state: Any, parts: tuple[Any, ...]) -> ValueError:
    """The error for a state that is not nested as the links are: it tells the first place."""
    if isinstance(state, (tuple, list)) and len(state) == len(parts):
        for i, (inner, part) in enumerate(zip(state, parts, strict=True)):
            if not isinstance(part, _Link) and not (isinstance(inner, tuple) and len(inner) == len(part)):
                return _misfit(f"{where}[{i}]", inner, part)
    size = f"{len(state)} parts" if isinstance(state, (tuple, list)) else repr(type(state))
    return ValueError(
        f"chain: the state{where and f' at {where}'} must be a tuple of {len(parts)} states, one for each "
        f"link, received {size}. Call init of this very chain first."
    )
