"""Bounding each array's update by its root mean square."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core.hyperparameters import NON_NEGATIVE_OR_INF
from ..core.lift import leafwise
from ..core.numerics import rms
from ..core.order import Trait
from ..core.pair import GradientTransformationExtraArgs, transformation
from ..core.types import EmptyState, Numeric


@transformation(threshold=NON_NEGATIVE_OR_INF)
def clip_by_block_rms(threshold: Numeric) -> GradientTransformationExtraArgs:
    """Shrinks each array's update so that its root mean square is at most `threshold`.

    u = g min(1, threshold / rms(g)), with rms(g) = sqrt(mean |g|^2) over the entries of one array.

    Args: threshold, at least 0; 0 gives zeros.
    State: `EmptyState`. Memory: none.
    Reference: Shazeer and Stern, 2018, Adafactor, section 6, arXiv:1804.04235.
    """

    def update(g: Any, s: EmptyState, p: Any) -> tuple[jax.Array, tuple[()]]:
        del s, p
        size = rms(g)
        within = size <= threshold
        return g * jnp.where(within, 1, threshold / jnp.where(within, 1, size)), ()

    return leafwise(EmptyState, lambda p: (), update).saying(Trait.CLIPS)
