"""The words of the protocol: what a transformation is given and what it returns."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Protocol, TypeAlias, Union

import jax

PyTree: TypeAlias = Any
ArrayTree: TypeAlias = Any
Params: TypeAlias = Any
"""The parameters: any pytree of arrays."""
Updates: TypeAlias = Any
"""Gradients on the way in, steps on the way out: a pytree like the parameters."""
OptState: TypeAlias = Any
"""The state of a transformation: a pytree of arrays."""

Numeric: TypeAlias = Union[float, int, jax.Array]
"""One number: a Python scalar or a zero-dimensional array."""
Schedule: TypeAlias = Callable[[Any], Any]
"""A function of the step count (from 0) to a number."""
ScalarOrSchedule: TypeAlias = Union[float, int, jax.Array, Schedule]
"""A number, an array, or a schedule that gives one at each step."""
Hyperparameter: TypeAlias = Annotated[Any, "a number, an array, or a schedule read at the state's count"]
"""A numeric argument of a rule. A schedule given for it is evaluated at the state's step count
before each update, so the rule itself only ever meets numbers."""
MaskOrFn: TypeAlias = Union[Any, Callable[[Params], Any], None]
"""A pytree of booleans, a function from the parameters to one, or None."""


class TransformInitFn(Protocol):
    """Makes the first state from the parameters."""

    def __call__(self, params: Params, /) -> OptState: ...


class TransformUpdateFn(Protocol):
    """Turns updates and state into new updates and new state."""

    def __call__(
        self, updates: Updates, state: OptState, params: Params | None = None
    ) -> tuple[Updates, OptState]: ...


class TransformUpdateExtraArgsFn(Protocol):
    """A `TransformUpdateFn` that also takes, and may ignore, further keyword arguments."""

    def __call__(
        self, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]: ...


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing."""


def counter_of(state_type: Any) -> str | None:
    """The field of a state that counts steps, if it has one: `count`, or `t` (Adan's)."""
    return next((f for f in ("count", "t") if f in getattr(state_type, "_fields", ())), None)
