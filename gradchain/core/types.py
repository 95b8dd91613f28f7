"""The words of the protocol: what a transformation is given and what it returns."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, Union

import jax
import jax.typing

Array: TypeAlias = jax.Array
PyTree: TypeAlias = Any
ArrayTree: TypeAlias = Any
Params: TypeAlias = Any
"""The parameters: any pytree of arrays."""
Updates: TypeAlias = Any
"""Gradients on the way in, steps on the way out: a pytree like the parameters."""
OptState: TypeAlias = Any
"""The state of a transformation: a pytree of arrays."""
Count: TypeAlias = Union[jax.Array, int]
"""Steps taken, i32[]. A rule's `init` begins it, usually at 0; its `update` sees this step's, from 1."""
Schedule: TypeAlias = Callable[[Any], Any]
"""A function of the step count (from 0) to a number."""


class NamedType:
    """The runtime value of a type alias, so that `help` and editors show its name, not its members."""

    def __init__(self, name: str, members: tuple[Any, ...], **traits: bool):
        self.name, self.members, self.traits = name, members, traits

    def __or__(self, other: Any) -> Any:
        if other is not None:
            return Union[self, other]
        return type(self)(f"{self.name} | None", (*self.members, type(None)), **self.traits)

    def __repr__(self) -> str:
        return self.name

    @property
    def __args__(self) -> tuple[Any, ...]:
        return self.members


class NumberType(NamedType):
    """A type alias that declares a number.

    `scheduled`: it may be a schedule. `resolved`: the schedule is read before the rule runs, so the rule
    sees a number. `added`: Optax lacks the argument; injection leaves it out while it has its default.
    """

    @property
    def scheduled(self) -> bool:
        """Whether it may be a schedule."""
        return self.traits.get("scheduled", False)

    @property
    def resolved(self) -> bool:
        """Whether a schedule is read before the factory's own code runs."""
        return self.traits.get("resolved", False)

    @property
    def added(self) -> bool:
        """Whether Optax's factory lacks it."""
        return self.traits.get("added", False)


if TYPE_CHECKING:
    DTypeLike: TypeAlias = jax.typing.DTypeLike
    MaskOrFn: TypeAlias = Union[Any, Callable[[Params], Any], None]
    Numeric: TypeAlias = Union[float, int, jax.Array]
    ScalarOrSchedule: TypeAlias = Union[float, int, jax.Array, Schedule]
    AddedNumber: TypeAlias = ScalarOrSchedule
    Hyperparameter: TypeAlias = Any
else:
    DTypeLike = NamedType("DTypeLike", jax.typing.DTypeLike.__args__)
    """Whatever names a dtype: `"bfloat16"`, `jnp.float32`."""
    MaskOrFn = NamedType("MaskOrFn", (Any, Callable, type(None)))
    """A pytree of booleans, a function from the parameters to one, or None."""
    _SCALARS = (float, int, jax.Array)
    Numeric = NumberType("Numeric", _SCALARS)
    """One number: a Python scalar or a zero-dimensional array."""
    ScalarOrSchedule = NumberType("ScalarOrSchedule", (*_SCALARS, Schedule), scheduled=True)
    """A number, an array, or a schedule that gives one at each step. It is passed on as it is."""
    AddedNumber = NumberType("ScalarOrSchedule", (*_SCALARS, Schedule), scheduled=True, added=True)
    """A `ScalarOrSchedule` that Optax's factory does not have."""
    Hyperparameter = NumberType("ScalarOrSchedule", (*_SCALARS, Schedule), scheduled=True, resolved=True)
    """A number of a rule: the user may give a schedule, the rule itself sees only numbers."""


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


class TransformStepFn(Protocol):
    """Turns gradients, state and parameters into new parameters and new state."""

    def __call__(
        self, grads: Updates, state: OptState, params: Params, /, **extra_args: Any
    ) -> tuple[Params, OptState]: ...


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing."""


def counter_of(state: Any) -> str | None:
    """The field of a state, or of its class, that counts steps: `count`, or `t` (Adan's), or None."""
    return next((f for f in ("count", "t") if f in getattr(state, "_fields", ())), None)
