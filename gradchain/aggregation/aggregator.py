"""The pair that takes the gradients of single elements and gives one update."""

from typing import Any, Protocol

import jax

from ..core import GradientTransformationExtraArgs
from ..core.types import ArrayTree, OptState, Params


class AggregatorUpdateFn(Protocol):
    """Turns updates of single elements and a state into one update and a new state."""

    def __call__(
        self, per_elt_updates: ArrayTree, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[ArrayTree, OptState]: ...


class Aggregator(GradientTransformationExtraArgs):
    """A pair `(init, update)` whose `update` takes updates of single elements.

    They come with one or more axes for the elements, as `jax.vmap(jax.grad(loss))` gives them; the
    result has the shapes of the parameters. Otherwise it is as any other pair.
    """

    update: AggregatorUpdateFn  # type: ignore[assignment]


jax.tree_util.register_static(Aggregator)
