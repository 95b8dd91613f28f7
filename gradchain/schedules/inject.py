"""Hyperparameters kept in the state, where they can be read, changed and scheduled."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from ..core.branch import compiled
from ..core.call import Call, signature
from ..core.chain import with_extra_args_support
from ..core.dtypes import accumulator_dtype, dtype_of, is_inexact
from ..core.numerics import safe_increment
from ..core.pair import GradientTransformation, GradientTransformationExtraArgs
from ..core.types import Hyperparameter, Numeric, Params, ScalarOrSchedule, Schedule, Updates
from ..tree.placeholder import is_placeholder


class InjectStatefulHyperparamsState(NamedTuple):
    """State of `inject_hyperparams`."""

    count: jax.Array  # i32[]  steps taken
    hyperparams: dict[str, Any]  # by name: the values in use, at least float32; assign to change them
    hyperparams_states: dict[str, Any]  # by name: the state of each schedule
    inner_state: Any  # the inner transformation's


class WrappedScheduleState(NamedTuple):
    """State of a `WrappedSchedule`."""

    count: jax.Array  # i32[]  steps taken


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
        del extra_args
        return WrappedScheduleState(safe_increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra_args: Any) -> Any:
        """The value at the state's count."""
        del extra_args
        return self.schedule_fn(state.count)


def _is_numeric(annotation: Any) -> bool:
    """Whether an annotation is one of the house's words for a number, or that word or None."""
    if annotation is Hyperparameter:
        return True
    members = set(getattr(annotation, "__args__", ())) - {type(None)}
    return members in (set(Numeric.__args__), set(ScalarOrSchedule.__args__))  # type: ignore[attr-defined]


def _sort(factory: Callable[..., Any], arguments: dict[str, Any], static: frozenset[str]) -> Any:
    """The arguments as (schedules, numbers, all others).

    Where the factory is annotated in the house's words, these say which arguments are numbers; of a
    foreign factory, numbers, arrays and functions are taken to be.
    """
    parameters = signature(factory).parameters
    ours = factory.__module__.startswith("gradchain.") or any(
        _is_numeric(p.annotation) for p in parameters.values()
    )
    schedules: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in arguments.items():
        numeric = _is_numeric(parameters[name].annotation) if ours else True
        is_tree = not jax.tree_util.all_leaves([value])
        no_decay = name == "weight_decay" and isinstance(value, (int, float)) and value == 0
        if name in static or not numeric or is_tree or no_decay or isinstance(value, (bool, np.bool_)):
            others[name] = value
        elif isinstance(value, StatefulSchedule):
            schedules[name] = value
        elif callable(value):
            schedules[name] = WrappedSchedule(value)
        elif isinstance(value, (int, float, jax.Array, np.ndarray, np.generic)):
            numbers[name] = value
        else:
            others[name] = value
    return schedules, numbers, others


def inject_hyperparams(
    inner_factory: Callable[..., GradientTransformation],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: Any = None,
) -> Callable[..., GradientTransformationExtraArgs]:
    """Keeps the numeric arguments of a factory in the state: `inject_hyperparams(adam)(1e-3)`.

    `state.hyperparams["learning_rate"]` is the rate in use; assign to it to change it, without
    compiling anew. Schedules are evaluated at each step and their values can be read there too.
    The steps are those of the plain optimizer, bit for bit.

    Args:
        inner_factory: makes the transformation from its arguments.
        static_args: names of arguments to leave out of the state.
        hyperparam_dtype: dtype of the numbers, by default the parameters' widest, at least float32:
            in bfloat16, b2 = 0.999 would be 1.

    Returns: a factory with the signature of `inner_factory`. Booleans, strings, dtypes, trees
        (models too, callable or not), a weight decay of 0, and whatever its annotation says is no
        number, stay as given.
    State: `InjectStatefulHyperparamsState(count, hyperparams, hyperparams_states, inner_state)`.
    Raises: ValueError if `static_args` names no argument of the factory.
    """
    static = frozenset([static_args] if isinstance(static_args, str) else static_args)
    known = signature(inner_factory).parameters
    if not static <= set(known):
        raise ValueError(
            f"inject_hyperparams: static_args {sorted(static - set(known))} are no arguments of "
            f"{getattr(inner_factory, '__name__', inner_factory)}, which has {', '.join(known)}."
        )
    return Injected(inner_factory, static, hyperparam_dtype)


class Injected:
    """A factory whose transformations keep their numbers in the state."""

    def __init__(self, factory: Callable[..., GradientTransformation], static: frozenset[str], dtype: Any):
        functools.update_wrapper(self, factory)
        self.inner_factory, self.static, self.dtype = factory, static, dtype
        shown = [factory.__name__]
        shown += [f"static_args={sorted(static)}"] if static else []
        shown += [f"hyperparam_dtype={np.dtype(dtype).name!r}"] if dtype is not None else []
        self.__name__ = f"inject_hyperparams({', '.join(shown)})"

    def __call__(self, *args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        call = Call.bind(self, args, kwargs)
        return _make(call) if call.by_value else _make.__wrapped__(call)

    def __repr__(self) -> str:
        return self.__name__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Injected) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.inner_factory, self.static, self.__name__

    def __reduce__(self) -> Any:
        return Injected, (self.inner_factory, self.static, self.dtype)


@functools.lru_cache(maxsize=256)
def _make(call: Call) -> GradientTransformationExtraArgs:
    factory: Any = call.factory
    schedules, numbers, others = _sort(factory.inner_factory, call.arguments, factory.static)

    def make(values: dict[str, Any]) -> GradientTransformationExtraArgs:
        ordered = {name: values.get(name, others.get(name)) for name in call.arguments}
        return with_extra_args_support(Call(factory.inner_factory, ordered).run())

    def init(params: Params) -> InjectStatefulHyperparamsState:
        dtype = _dtype(factory.dtype, params)
        values = {name: _as_number(x, dtype) for name, x in numbers.items()}
        states = {name: schedule.init() for name, schedule in schedules.items()}
        values |= {name: _as_number(f(states[name]), dtype) for name, f in schedules.items()}
        inner = make(values).init(params)
        return InjectStatefulHyperparamsState(jnp.zeros([], jnp.int32), values, states, inner)

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, InjectStatefulHyperparamsState]:
        states = state.hyperparams_states
        values = dict(state.hyperparams)
        for name, schedule in schedules.items():
            value = schedule(states[name], **extra_args)
            values[name] = _as_number(value, dtype_of(values[name]))
        states = {name: f.update(states[name], **extra_args) for name, f in schedules.items()}
        updates, inner = make(values).update(updates, state.inner_state, params, **extra_args)
        count = safe_increment(state.count)
        return updates, InjectStatefulHyperparamsState(count, values, states, inner)

    pair = GradientTransformationExtraArgs(init, compiled(update))
    pair.call = call
    return pair


def _dtype(asked: Any, params: Params) -> Any:
    if asked is not None:
        return asked
    if is_placeholder(params):
        return jnp.float32
    dtypes = [accumulator_dtype(dtype_of(p)) for p in jax.tree.leaves(params) if is_inexact(p)]
    return max(dtypes, key=lambda d: d.itemsize, default=jnp.dtype(jnp.float32))


def _as_number(x: Any, dtype: Any) -> jax.Array:
    """A number as an array: real ones in `dtype`, integers as they are."""
    is_float = jnp.issubdtype(dtype_of(x), jnp.floating)
    return jnp.asarray(x, dtype if is_float else None)
