"""The pair `(init, update)`, and the decorator that makes it remember the call that made it."""

import contextlib
import contextvars
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, ParamSpec, overload

import jax
import jax.numpy as jnp

from .branch import compiled
from .call import Call, Remembers, signature
from .errors import MissingExtraError, MissingParamsError
from .hyperparameters import Range, check_hyperparameters
from .order import Trait
from .types import (
    Hyperparameter,
    Numeric,
    OptState,
    Params,
    TransformInitFn,
    TransformUpdateExtraArgsFn,
    TransformUpdateFn,
    Updates,
    counter_of,
)

P = ParamSpec("P")


class GradientTransformation(NamedTuple):
    """A pair of pure functions.

    `init(params) -> state` makes the first state;
    `update(updates, state, params=None) -> (updates, state)` takes one step.
    """

    init: TransformInitFn
    update: TransformUpdateFn


class GradientTransformationExtraArgs(Remembers, GradientTransformation):
    """A pair whose `update` also takes extra keyword arguments, and that remembers its call.

    `repr(tx)` is the code that made it, `==` and `hash` go by value, `pickle` and `copy` work, and
    it crosses `jax.jit` as an ordinary argument: equal transformations share one trace.

    Attributes: `init`, `update`, `factory` (the function that made it), `arguments` (by name),
    `links` (what it is a chain of), `replace(**changes)` (the same call with other arguments),
    `traits` (what it says about itself, see `order.Trait`).
    """

    update: TransformUpdateExtraArgsFn  # type: ignore[assignment]
    parts: tuple[Any, ...] = ()
    rule: Any = None  # the LeafRule it lifts, if it is a rule for one array
    traits: frozenset[Trait] = frozenset()

    def saying(self, *traits: Trait) -> "GradientTransformationExtraArgs":
        """This pair, saying these things of itself (before it remembers a call)."""
        self.traits = frozenset(traits)
        return self

    @property
    def links(self) -> tuple[Any, ...]:
        """The links of the chain this is, or `(self,)` for a single link.

        `adam(1e-3).links` is `(scale_by_adam(), scale_by_learning_rate(learning_rate=0.001))`.
        """
        return self.parts or (self,)


for _pair in (GradientTransformation, GradientTransformationExtraArgs):
    jax.tree_util.register_static(_pair)


Factory = Callable[P, GradientTransformationExtraArgs]


@overload
def transformation(factory: Callable[P, Any], /) -> Factory[P]: ...


@overload
def transformation(**ranges: Range) -> Callable[[Callable[P, Any]], Factory[P]]: ...


def transformation(factory: Callable[..., Any] | None = None, /, **ranges: Range) -> Any:
    """Makes a factory's pairs remember the call: repr, equality, hash, pickle, links.

    Arguments are checked against the ranges of `hyperparameters.RANGES`, or against those given to
    the decorator: `@transformation(b2=CLOSED_UNIT)`. Calls that are equal in value return the same
    object, so equal transformations also share their compiled rules.
    """
    if factory is None:
        return functools.partial(transformation, **ranges)

    @functools.lru_cache(maxsize=256)
    def make(call: Call) -> GradientTransformationExtraArgs:
        check_hyperparameters(call.factory.__name__, call.arguments, ranges)
        schedules = {}
        for name, parameter in signature(factory).parameters.items():
            value, words = call.arguments[name], parameter.annotation
            if words is Hyperparameter and callable(value):
                schedules[name] = value
            elif words in (Numeric, Numeric | None) and callable(value):
                raise TypeError(
                    f"{call.factory.__name__}: {name} takes a number or an array, since no steps are "
                    f"counted here. Schedule it with inject_hyperparams({call.factory.__name__})."
                )
        with _in_a_factory():
            inner = _at_count(factory, call, schedules) if schedules else _body(factory, call)
        update: Any = inner.update
        if isinstance(inner, Remembers) and inner.call is not None:
            update = _named(call.factory.__name__, update)
        ours = isinstance(inner, GradientTransformationExtraArgs)
        pair = (type(inner) if ours else GradientTransformationExtraArgs)(inner.init, update)
        pair.call = call
        if ours:
            pair.parts, pair.rule, pair.traits = inner.parts, inner.rule, inner.traits
        return pair

    @functools.wraps(factory)
    def remembering(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        call = Call.bind(remembering, args, kwargs)
        return make(call) if call.by_value else make.__wrapped__(call)

    return remembering


_depth = contextvars.ContextVar("factories being run", default=0)


@contextlib.contextmanager
def _in_a_factory() -> Iterator[None]:
    token = _depth.set(_depth.get() + 1)
    try:
        yield
    finally:
        _depth.reset(token)


def called_by_the_user() -> bool:
    """Whether the factory being run was called by the user, not by another factory."""
    return _depth.get() <= 1


def _body(factory: Callable[..., Any], call: Call, **changes: Any) -> GradientTransformation:
    """Runs a factory's own code."""
    bound = inspect.BoundArguments(signature(factory), call.arguments | changes)  # type: ignore[arg-type]
    return factory(*bound.args, **bound.kwargs)


def _named(name: str, update: TransformUpdateExtraArgsFn) -> TransformUpdateExtraArgsFn:
    """An `update` whose complaint about what it was not given says the name the user wrote."""

    def named_update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        try:
            return update(updates, state, params, **extra_args)
        except MissingParamsError:
            raise MissingParamsError(name) from None
        except MissingExtraError as error:
            raise MissingExtraError(name, error.argument) from None

    return named_update


def _at_count(
    factory: Callable[..., Any], call: Call, schedules: dict[str, Callable[[Any], Any]]
) -> GradientTransformation:
    """The pair whose scheduled hyperparameters are read at the state's count at each update."""

    def at(count: Any) -> GradientTransformation:
        return _body(factory, call, **{name: f(count) for name, f in schedules.items()})

    def init(params: Params) -> OptState:
        state = at(jnp.zeros([], jnp.int32)).init(params)
        if counter_of(state) is None:
            raise TypeError(
                f"{call.factory.__name__}: {', '.join(schedules)} cannot be a schedule, since its "
                "state counts no steps. Wrap the factory in inject_hyperparams instead."
            )
        return state

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        count = getattr(state, counter_of(state) or "count")
        return at(count).update(updates, state, params, **extra_args)

    return GradientTransformation(init, compiled(update))
