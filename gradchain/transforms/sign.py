"""Signs in place of gradients."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.lift import leafwise
from ..core.order import Trait
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import EmptyState


@transformation
def scale_by_sign() -> GradientTransformationExtraArgs:
    """Replaces every entry by its sign: u = g / |g|, and 0 where g = 0.

    A complex number keeps its direction and gets absolute value 1. A NaN stays NaN.

    State: `EmptyState`. Memory: none.
    Reference: Bernstein et al., 2018, signSGD: Compressed Optimisation for Non-Convex Problems,
        arXiv:1802.04434.
    """

    def update(g: Any, s: EmptyState, p: Any) -> tuple[jax.Array, tuple[()]]:
        del s, p
        return jnp.sign(g), ()

    return leafwise(EmptyState, lambda p: (), update).saying(Trait.RESCALES)
