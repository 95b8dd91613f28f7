"""Values and gradients of every loss are Optax's, with every argument."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from losses_cases import LOSSES, ROWS, Loss

import gradchain as gc

CASES = [
    pytest.param(loss, arguments, id=f"{loss.name}-{i}")
    for loss in LOSSES
    for i, arguments in enumerate(({}, *loss.variants))
]


def weighted_sum(values: Any) -> jax.Array:
    """One number that depends on each value differently; log-weights of what cannot be are left out."""
    leaves = [jnp.where(x > -500, x, 0) for x in jax.tree.leaves(values)]
    return sum(
        jnp.sum(x * jnp.asarray(np.cos(np.arange(x.size)).reshape(x.shape), x.dtype)) for x in leaves
    )


def value_and_grads(loss: Loss, module: Any, arguments: dict[str, Any]) -> Any:
    """The loss, and the gradients of a weighted sum of it."""
    by, arrays, rest = loss.split(arguments)

    def run(by: Any, arrays: Any) -> Any:
        values = loss.function(module.losses)(**by, **arrays, **rest)
        return weighted_sum(values), values

    grads = jax.grad(run, has_aux=True)
    reads_values = "apply_softmax" in rest  # Optax reads probabilities, so it cannot be traced
    return (grads if reads_values else jax.jit(grads))(by, arrays)


@pytest.mark.parametrize(("loss", "arguments"), CASES)
def test_values_and_gradients_are_optax_s(loss: Loss, arguments: dict[str, Any]) -> None:
    ours, value = value_and_grads(loss, gc, arguments)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        theirs, expected = value_and_grads(loss, optax, arguments)
    for x, y in zip(jax.tree.leaves((value, ours)), jax.tree.leaves((expected, theirs)), strict=True):
        assert x.shape == y.shape
        assert x.dtype == y.dtype == jnp.float32
        # Optax's gradients are NaN in examples that are masked; ours are finite.
        sound = np.isfinite(y) if "where" in arguments else np.full(y.shape, True)
        assert np.isfinite(x).all()
        x, y = np.asarray(x)[sound], np.asarray(y)[sound]
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6 * np.abs(y).max(initial=0))


def test_every_name_has_a_row() -> None:
    names = {name for name in dir(optax.losses) if not name.startswith("_")} - {"convex_kl_divergence"}
    assert names == set(ROWS)
    for name in names:
        assert callable(getattr(gc.losses, name))


def test_the_deprecated_name_warns() -> None:
    with pytest.warns(DeprecationWarning, match="use gradchain.losses.generalized_kl_divergence"):
        assert gc.losses.convex_kl_divergence is gc.losses.generalized_kl_divergence
