"""The pair that takes the gradients of single elements and gives one update."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol

import jax

from ..core.call import Call
from ..core.hyperparameters import UNIT, check_hyperparameters
from ..core.pair import GradientTransformationExtraArgs
from ..core.types import ArrayTree, OptState, Params

P = ParamSpec("P")


class AggregatorUpdateFn(Protocol):
    """Turns updates of single elements and a state into one update and a new state."""

    def __call__(
        self,
        per_elt_updates: ArrayTree,
        state: OptState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[ArrayTree, OptState]: ...


class Aggregator(GradientTransformationExtraArgs):
    """A pair `(init, update)` whose `update` takes updates of single elements.

    They come with one or more axes for the elements, as `jax.vmap(jax.grad(loss))` gives them; the
    result has the shapes of the parameters. Otherwise it is as any other pair.
    """

    update: AggregatorUpdateFn  # type: ignore[assignment]


jax.tree_util.register_static(Aggregator)


def remembered(factory: Callable[P, Any]) -> Callable[P, GradientTransformationExtraArgs]:
    """Makes a factory's pairs remember the call, as `transformation` does, and stay `Aggregator`s."""

    @functools.wraps(factory)
    def remembering(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        call = Call.bind(remembering, args, kwargs)
        check_hyperparameters(factory.__name__, call.arguments, {"ema_decay": UNIT})
        inner: Any = factory(*args, **kwargs)
        kind: Any = Aggregator if isinstance(inner, Aggregator) else GradientTransformationExtraArgs
        pair = kind(inner.init, inner.update)
        pair.call = call
        return pair

    return remembering
