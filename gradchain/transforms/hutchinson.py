"""An estimate of the Hessian's diagonal, for rules that see curvature."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ..core import (
    GradientTransformationExtraArgs,
    MissingExtraError,
    MissingParamsError,
    cast,
    check_updates,
    dtype_of,
    is_absent,
    is_none,
    transformation,
)
from ..core.numerics import key_of
from ..core.types import Array, Numeric, Params, Updates
from ..tree.random import random_like


class HutchinsonState(NamedTuple):
    """State of `hutchinson_estimator_diag_hessian`."""

    key: Array  # the key of the next signs


@transformation
def hutchinson_estimator_diag_hessian(random_seed: Numeric | None = None):
    """An estimate of the Hessian's diagonal; `update` needs `obj_fn`, a function of the parameters.

    u = z (H z), for random signs z; its mean over z is the diagonal. The gradient is not read.

    Args: random_seed, a random key, or an integer seed; None for seed 0.
    State: `HutchinsonState(key)`. Memory: none.
    Raises: ValueError if `update` gets no parameters, TypeError if it gets no `obj_fn`.
    Reference: Bekas, Kokiopoulou and Saad, 2007, An estimator for the diagonal of a matrix.

    Example:
        >>> tx, p = gc.hutchinson_estimator_diag_hessian(), jnp.array([1.0, 2.0])
        >>> u, _ = tx.update(p, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**4))
        >>> u.tolist()  # 12 p^2: exact, as this Hessian is diagonal
        [12.0, 48.0]
    """
    name = "hutchinson_estimator_diag_hessian"

    def init(params: Params) -> HutchinsonState:
        if random_seed is None or isinstance(random_seed, int):
            return HutchinsonState(jax.random.PRNGKey(random_seed or 0))
        return HutchinsonState(key_of(random_seed))

    def update(
        updates: Updates,
        state: HutchinsonState,
        params: Params | None = None,
        *,
        obj_fn: Callable[[Params], Array] | None = None,
        **extra_args: Any,
    ) -> tuple[Updates, HutchinsonState]:
        if params is None:
            raise MissingParamsError(name)
        if obj_fn is None:
            raise MissingExtraError(name, "obj_fn")
        check_updates(name, updates, params)
        key, sign_key = jax.random.split(state.key)
        signs = jax.tree.map(
            lambda p, z: cast(z, dtype_of(p)),
            params,
            random_like(sign_key, params, jax.random.rademacher, "float32"),
        )
        hessian_times_signs = jax.jvp(jax.grad(obj_fn), (params,), (signs,))[1]
        diagonal = jax.tree.map(
            lambda g, h, z: g if is_absent(g) else cast(h * z, dtype_of(g)),
            updates,
            hessian_times_signs,
            signs,
            is_leaf=is_none,
        )
        return diagonal, HutchinsonState(key)

    return GradientTransformationExtraArgs(init, update)


HUTCHINSON = hutchinson_estimator_diag_hessian()
