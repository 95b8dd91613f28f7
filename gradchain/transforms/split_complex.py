"""Complex parameters as pairs of real ones."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    dtype_of,
    real_dtype,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.types import Array, OptState, Params, PyTree, Updates


class SplitRealAndImaginaryArrays(NamedTuple):
    """A complex array in two parts."""

    real: Array | jax.ShapeDtypeStruct
    imaginary: Array | jax.ShapeDtypeStruct


class SplitRealAndImaginaryState(NamedTuple):
    """State of `split_real_and_imaginary`."""

    inner_state: OptState  # the inner transformation's, over trees with two leaves for each complex one


def _split(x: Array | jax.ShapeDtypeStruct) -> Array | jax.ShapeDtypeStruct | SplitRealAndImaginaryArrays:
    if not jnp.issubdtype(dtype_of(x), jnp.complexfloating):
        return x
    if isinstance(x, jax.ShapeDtypeStruct):
        part = jax.ShapeDtypeStruct(x.shape, real_dtype(x.dtype))
        return SplitRealAndImaginaryArrays(part, part)
    return SplitRealAndImaginaryArrays(jnp.real(x), jnp.imag(x))


def _is_split(x: Any) -> bool:
    return isinstance(x, SplitRealAndImaginaryArrays)


@transformation
def split_real_and_imaginary(inner: GradientTransformation):
    """Treats each complex parameter as two real ones, so that `inner` sees real numbers only.

    JAX's gradient of a real function of z = x + iy is df/dx - i df/dy. Pass its conjugate to `update`,
    as with every other transformation here.

    Args: inner, any transformation.
    State: `SplitRealAndImaginaryState(inner_state)`. Memory: the inner transformation's.

    Example:
        >>> tx, g = gc.split_real_and_imaginary(gc.scale_by_sign()), jnp.array([3.0 - 4.0j])
        >>> u, _ = tx.update(g, tx.init(g))
        >>> u.tolist()  # alone, the rule would give (3 - 4j) / 5
        [(1-1j)]
    """
    tx = with_extra_args_support(inner)

    def split(tree: PyTree) -> PyTree:
        return jax.tree.map(_split, tree)

    def init(params: Params) -> SplitRealAndImaginaryState:
        return SplitRealAndImaginaryState(tx.init(split(params)))

    def run(
        whole: bool,
        updates: Updates,
        state: SplitRealAndImaginaryState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[Any, SplitRealAndImaginaryState]:
        result, inner_state = tx.run(whole, split(updates), state.inner_state, split(params), **extra_args)
        joined = jax.tree.map(
            lambda x: jax.lax.complex(x.real, x.imaginary) if _is_split(x) else x, result, is_leaf=_is_split
        )
        return joined, SplitRealAndImaginaryState(inner_state)

    return wrapper(init, run, inside=[(inner, ("inner_state",))])
