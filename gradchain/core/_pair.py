"""The pair `(init, update)` that remembers the call that made it."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, Self

import jax

from ._apply import apply_updates
from ._call import Call, Remembers
from ._errors import MissingArgumentError, MissingParamsError
from ._order import Trait
from ._values import name_of
from .types import OptState, Params, PyTree, TransformInitFn, TransformStepFn, TransformUpdateFn, Updates


class GradientTransformation(NamedTuple):
    """A pair of pure functions.

    `init(params) -> state` makes the first state;
    `update(updates, state, params=None) -> (updates, state)` takes one step.
    """

    init: TransformInitFn
    update: TransformUpdateFn


Path = tuple[Any, ...]
"""Fields, keys and indices that lead to a part of a state."""


class Parts(NamedTuple):
    """What a pair is made of; see `GradientTransformationExtraArgs`."""

    init: TransformInitFn
    update: Callable[..., tuple[Updates, OptState]]
    step: TransformStepFn | None
    links: tuple[Any, ...]
    rule: Any
    traits: frozenset[Trait]
    delegates: bool
    chained: tuple[Any, ...] | None
    inside: tuple[tuple[Any, Path], ...]
    labels: Mapping[str, str]
    masks: Callable[[Params], Iterable[Any]] | None
    remarks: Callable[[Params], Iterable[str]] | None
    placement: Callable[[Params, PyTree], PyTree] | None


class Later:
    """The parts of a pair whose factory runs when they are first asked for."""

    def __init__(self, make: Callable[[Call], "GradientTransformationExtraArgs"], call: Call):
        self.make, self.call = make, call

    @functools.cached_property
    def parts(self) -> Parts:
        """The parts: those of the pair that the call makes."""
        return self.make(self.call).parts

    def init(self, params: Params) -> OptState:
        """The `init` of the pair."""
        return self.parts.init(params)

    def update(
        self, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        """The `update` of the pair."""
        return self.parts.update(updates, state, params, **extra_args)


class GradientTransformationExtraArgs(Remembers, GradientTransformation):
    """A pair whose `update` also takes extra keyword arguments, and that remembers its call.

    `repr(tx)` is the code that made it, `==` and `hash` go by value, `pickle` and `copy` work, and
    it crosses `jax.jit` as an ordinary argument: equal transformations share one trace.

    Args:
        init, update: the two functions.
        step: `step(grads, state, params, **extra_args) -> (params, state)`, if the pair knows a better
            one than `update`, then `apply_updates`.
        call: the call that made the pair, if one did.
        links: what it is a chain of.
        chained: the same with extra arguments' support, if the state is the tuple of their states.
        rule: what it lifts, if it is a rule for one array.
        inside: the transformations it is made of, each with the path of its state in the pair's own:
            `(inner, ("inner_state",))`.
        masks: from the parameters, for each of `inside` the mask of those it sees; None if each sees all.
        remarks: from the parameters, what `describe` should say of some of them.
        placement: from the parameters and their shardings, those of its state, if it decides on them.
        labels: what keys of dicts among its arguments are called in the names of parts, if otherwise.
        traits: what it says about itself, see `Trait`.
        delegates: whether another factory's pair does the work; errors get the name of this one then.

    Attributes: the same, and `factory` (the function that made it), `arguments` (by name),
    `replace(**changes)` (the same call with other arguments). A pair never changes.
    """

    def __new__(
        cls,
        init: TransformInitFn,
        update: Callable[..., tuple[Updates, OptState]],
        *,
        step: TransformStepFn | None = None,
        call: Call | None = None,
        links: tuple[Any, ...] = (),
        chained: tuple[Any, ...] | None = None,
        rule: Any = None,
        traits: Iterable[Trait] = (),
        delegates: bool = False,
        inside: Iterable[tuple[Any, Path]] = (),
        labels: Mapping[str, str] = MappingProxyType({}),
        masks: Callable[[Params], Iterable[Any]] | None = None,
        remarks: Callable[[Params], Iterable[str]] | None = None,
        placement: Callable[[Params, PyTree], PyTree] | None = None,
    ) -> Self:
        traits, inside = frozenset(traits), tuple(inside)
        about = (traits, delegates, chained, inside, labels, masks, remarks, placement)
        parts = Parts(init, update, step, tuple(links), rule, *about)
        self = super().__new__(cls, init, update)  # type: ignore[arg-type]
        self.__dict__.update(call=call, parts=parts)
        return self

    call: Call | None = None
    _later: Later

    @classmethod
    def later(cls, make: Callable[[Call], Self], call: Call) -> Self:
        """The pair that `make(call)` makes, when it is first used."""
        parts = Later(make, call)
        self = tuple.__new__(cls, (parts.init, parts.update))
        self.__dict__.update(call=call, _later=parts)
        return self

    @functools.cached_property
    def parts(self) -> Parts:
        """What the pair is made of."""
        return self._later.parts

    @property
    def rule(self) -> Any:
        """The rule for one array that the pair lifts, or None."""
        return self.parts.rule

    @property
    def chained(self) -> tuple[Any, ...] | None:
        """What the pair is a chain of, if it is nothing else, or None."""
        return self.parts.chained

    @property
    def inside(self) -> tuple[tuple[Any, Path], ...]:
        """The transformations it is made of, each with the path of its state."""
        return self.parts.inside

    @property
    def labels(self) -> Mapping[str, str]:
        """What keys among its arguments are called in the names of parts."""
        return self.parts.labels

    @property
    def delegates(self) -> bool:
        """Whether another factory's pair does the work."""
        return self.parts.delegates

    @property
    def traits(self) -> frozenset[Trait]:
        """What the pair says about itself."""
        return self.parts.traits

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change: make another one.")

    @property
    def links(self) -> tuple["GradientTransformationExtraArgs", ...]:
        """The links of the chain this is, or `(self,)` for a single link.

        `adam(1e-3).links` is `(scale_by_adam(), scale_by_learning_rate(learning_rate=0.001))`.
        """
        return self.parts.links or (self,)

    def update(  # type: ignore[override]
        self, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        """One step: the new updates and the new state.

        Raises: ValueError or TypeError, in the name the user wrote, for a missing argument.
        """
        with self._named_errors():
            return self.parts.update(updates, state, params, **extra_args)

    def step(
        self, grads: Updates, state: OptState, params: Params, **extra_args: Any
    ) -> tuple[Params, OptState]:
        """One whole step: the new parameters and the new state.

        The same as `update`, then `apply_updates`. Where nothing is to be done (a micro-step of an
        accumulation, a gradient that is not finite) parameters and state are not touched at all.

        A compiled function that donates both should take and return the parameters first and the state
        second: JAX gives donated memory to results in their order.

        Args: grads, like `params`; state, of `init` or of the last step; params; extra arguments as
            `update` takes them.
        Raises: what `update` and `apply_updates` raise; ValueError without parameters.
        """
        if params is None and grads is not None:
            raise MissingParamsError(name_of(self.factory) if self.factory else "a step", "step")
        with self._named_errors():
            if self.parts.step is not None:
                return self.parts.step(grads, state, params, **extra_args)
            updates, state = self.parts.update(grads, state, params, **extra_args)
            return apply_updates(params, updates), state

    def run(
        self,
        whole: bool,
        updates: Updates,
        state: OptState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[Any, OptState]:
        """`step` if `whole`, else `update`: what a wrapper asks of the pair inside."""
        return (self.step if whole else self.update)(updates, state, params, **extra_args)

    def _repr_html_(self) -> str:
        """What a notebook shows: see `describe`."""
        import gradchain  # here, for the core knows nothing of what reads transformations

        return gradchain.describe(self)._repr_html_()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Missing arguments are reported in the name the user wrote."""
        try:
            yield
        except MissingArgumentError as error:
            raise error.named(name_of(self.factory)) if self.parts.delegates else error from None

    def remembering(self, call: Call) -> Self:
        """The same pair, made by this call."""
        parts: dict[str, Any] = self.parts._asdict()
        parts["delegates"] = self.call is not None
        return type(self)(**parts, call=call)


for _pair in (GradientTransformation, GradientTransformationExtraArgs):
    jax.tree_util.register_static(_pair)
    _pair.__module__ = "gradchain"  # where users import it from
