"""Hyperparameters kept in the state, where they can be read, changed and scheduled."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from ..core import (
    Call,
    Form,
    GradientTransformation,
    GradientTransformationExtraArgs,
    accumulator_dtype,
    code_of,
    declared_numbers,
    dtype_of,
    is_inexact,
    key_of_value,
    name_of,
    signature,
    with_extra_args_support,
    without_after,
    wrapper,
)
from ..core.numerics import safe_increment
from ..core.types import Count, Params, Schedule, Updates
from ..tree.placeholder import is_placeholder


class InjectStatefulHyperparamsState(NamedTuple):
    """State of `inject_hyperparams`."""

    count: Count  # i32[]  steps taken
    hyperparams: dict[str, Any]  # by name: the values in use, at least float32; assign to change them
    hyperparams_states: dict[str, Any]  # by name: the state of each schedule
    inner_state: Any  # the inner transformation's


class WrappedScheduleState(NamedTuple):
    """State of a `WrappedSchedule`."""

    count: Count  # i32[]  steps taken


@runtime_checkable
class StatefulSchedule(Protocol):
    """A schedule with a state of its own, which may read the extra arguments of `update`."""

    def init(self) -> Any:
        """The first state."""
        ...

    def update(self, state: Any, **extra_args: Any) -> Any:
        """The next state."""
        ...

    def __call__(self, state: Any, **extra_args: Any) -> Any:
        """The value in this state."""
        ...


class WrappedSchedule:
    """A function of the step count as a `StatefulSchedule`.

    Args: schedule_fn, a function of the step count, from 0, to a number.
    """

    def __init__(self, schedule_fn: Schedule):
        self.schedule_fn = schedule_fn

    def init(self) -> WrappedScheduleState:
        """No steps taken."""
        return WrappedScheduleState(jnp.zeros([], jnp.int32))

    def update(self, state: WrappedScheduleState, **extra_args: Any) -> WrappedScheduleState:
        """One step more."""
        return WrappedScheduleState(safe_increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra_args: Any) -> Any:
        """The value at the state's count."""
        return self.schedule_fn(state.count)


class _Arguments(NamedTuple):
    """The arguments of a factory, sorted."""

    schedules: dict[str, StatefulSchedule]
    numbers: dict[str, Any]  # kept in the state
    others: dict[str, Any]  # passed on unchanged


def _sorted(factory: Callable[..., Any], arguments: dict[str, Any], static: frozenset[str]) -> _Arguments:
    """Sorts arguments by the factory's annotations, or by value if it has none of this library's."""
    declared = declared_numbers(factory)
    parameters = signature(factory).parameters
    found = _Arguments({}, {}, {})
    for name, value in arguments.items():
        kind = declared.get(name) if declared else None
        unused = kind is not None and kind.added and _same(value, parameters[name].default)
        is_tree = not jax.tree_util.all_leaves([value])
        if (
            name in static
            or (declared is not None and kind is None)
            or unused
            or is_tree
            or isinstance(value, (bool, np.bool_))
        ):
            found.others[name] = value
        elif isinstance(value, StatefulSchedule):
            found.schedules[name] = value
        elif callable(value):
            found.schedules[name] = WrappedSchedule(value)
        elif isinstance(value, (int, float, jax.Array, np.ndarray, np.generic)):
            found.numbers[name] = value
        else:
            found.others[name] = value
    return found


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, (int, float)) and value == default)


def inject_hyperparams(
    inner_factory: Callable[..., GradientTransformation],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: Any = None,
) -> Callable[..., GradientTransformationExtraArgs]:
    """Keeps the numeric arguments of a factory in the state: `inject_hyperparams(adam)(1e-3)`.

    `state.hyperparams["learning_rate"]` is the rate in use; assign to it to change it, without
    recompilation. Schedules are evaluated at each step; their values can be read there too.
    The steps are those of the plain optimizer, bit for bit.

    Args:
        inner_factory: makes the transformation from its arguments.
        static_args: names of arguments to leave out of the state.
        hyperparam_dtype: dtype of the numbers, by default the widest of the parameters, at least
            float32: in bfloat16, b2 = 0.999 would be 1.

    Returns: a factory with the signature of `inner_factory`. Booleans, strings, dtypes and trees
        (models too) are passed on unchanged, and so are arguments that are no numbers by their
        annotation. A number that Optax's factory lacks enters the state only if it is not the default.
    State: `InjectStatefulHyperparamsState(count, hyperparams, hyperparams_states, inner_state)`.
    Raises: ValueError if a name in `static_args` is not an argument of the factory.

    Example:
        >>> tx, g = gc.inject_hyperparams(gc.sgd)(0.5), jnp.array([1.0, 2.0])
        >>> state = tx.init(g)
        >>> tx.update(g, state)[0].tolist()
        [-0.5, -1.0]
        >>> state.hyperparams["learning_rate"] = jnp.float32(2.0)
        >>> tx.update(g, state)[0].tolist()
        [-2.0, -4.0]
    """
    static = frozenset([static_args] if isinstance(static_args, str) else static_args)
    known = signature(inner_factory).parameters
    if not static <= set(known):
        raise ValueError(
            f"inject_hyperparams: static_args {sorted(static - set(known))} are no arguments of "
            f"{name_of(inner_factory)}, which has {', '.join(known)}."
        )
    return Injected(inner_factory, static, hyperparam_dtype)


class Injected:
    """A factory whose transformations keep their numbers in the state."""

    def __init__(self, factory: Callable[..., GradientTransformation], static: frozenset[str], dtype: Any):
        functools.update_wrapper(self, factory, updated=())
        self.__signature__ = signature(factory)
        self.inner_factory, self.static, self.dtype = factory, static, dtype
        shown = [code_of(factory)]
        shown += [f"static_args={sorted(static)}"] if static else []
        shown += [f"hyperparam_dtype={np.dtype(dtype).name!r}"] if dtype is not None else []
        self.__name__ = f"inject_hyperparams({', '.join(shown)})"

    def __call__(self, *args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        return _make(self.form.call(self.form.given(args, kwargs)))

    @functools.cached_property
    def form(self) -> Form:
        """What its calls have in common."""
        return Form(self)

    def first(self, arguments: dict[str, Any]) -> GradientTransformation:
        """The inner transformation of a call with these arguments, as it is at the first step."""
        schedules = _sorted(self.inner_factory, arguments, self.static).schedules
        values = {name: schedule(schedule.init()) for name, schedule in schedules.items()}
        return Call(self.inner_factory, arguments | values).run()

    def __repr__(self) -> str:
        return self.__name__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Injected) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return key_of_value(self.inner_factory), self.static, self.dtype and np.dtype(self.dtype)

    def __reduce__(self) -> Any:
        return Injected, (self.inner_factory, self.static, self.dtype)


def _make(call: Call) -> GradientTransformationExtraArgs:
    factory: Any = call.factory
    schedules, numbers, others = _sorted(factory.inner_factory, call.arguments, factory.static)

    def make(values: dict[str, Any]) -> GradientTransformationExtraArgs:
        arguments = {name: values.get(name, others.get(name)) for name in call.arguments}
        return with_extra_args_support(Call(factory.inner_factory, arguments).run())

    def init(params: Params) -> InjectStatefulHyperparamsState:
        dtype = number_dtype(factory.dtype, params)
        values = {name: as_number(x, dtype) for name, x in numbers.items()}
        states = {name: schedule.init() for name, schedule in schedules.items()}
        values |= {name: as_number(f(states[name]), dtype) for name, f in schedules.items()}
        inner = make(values).init(params)
        return InjectStatefulHyperparamsState(jnp.zeros([], jnp.int32), values, states, inner)

    def run(
        whole: bool, updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, InjectStatefulHyperparamsState]:
        states, told = state.hyperparams_states, without_after(extra_args)
        values = dict(state.hyperparams)
        for name, schedule in schedules.items():
            value = schedule(states[name], **told)
            values[name] = as_number(value, dtype_of(values[name]))
        states = {name: f.update(states[name], **told) for name, f in schedules.items()}
        tx = make(values)
        result, inner = tx.run(whole, updates, state.inner_state, params, **extra_args)
        count = safe_increment(state.count)
        return result, InjectStatefulHyperparamsState(count, values, states, inner)

    return wrapper(init, run, one_program=True).remembering(call)


def number_dtype(asked: Any, params: Params) -> Any:
    """The dtype of numbers in a state: as asked, or the widest of the parameters, at least float32."""
    if asked is not None:
        return asked
    if is_placeholder(params):
        return jnp.float32
    dtypes = [accumulator_dtype(dtype_of(p)) for p in jax.tree.leaves(params) if is_inexact(p)]
    return max(dtypes, key=lambda d: d.itemsize, default=jnp.dtype(jnp.float32))


def as_number(x: Any, dtype: Any) -> jax.Array:
    """A number as an array: real ones in `dtype`, integers as they are."""
    is_float = jnp.issubdtype(dtype_of(x), jnp.floating)
    return jnp.asarray(x, dtype if is_float else None)
