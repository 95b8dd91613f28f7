"""Values and gradients of every loss are Optax's, with every argument."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from losses_cases import LOSSES, ROWS, Arguments, Loss

import gradchain as gc


def weighted_sum(values: Any) -> jax.Array:
    """One number that depends on each value differently; log-weights of what cannot be are left out."""
    leaves = [jnp.where(x > -500, x, 0) for x in jax.tree.leaves(values)]
    return sum(
        jnp.sum(x * jnp.asarray(np.cos(np.arange(x.size)).reshape(x.shape), x.dtype)) for x in leaves
    )


def value_and_grads(function: Callable[..., Any], by: Arguments, arrays: Arguments, rest: Arguments) -> Any:
    """The loss, and the gradients of a weighted sum of it."""

    def run(by: Arguments) -> Any:
        values = function(**by, **arrays, **rest)
        return weighted_sum(values), values

    return jax.grad(run, has_aux=True)(by)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_values_and_gradients_are_optax_s(loss: Loss) -> None:
    """With the inputs of the row, and with each of its variants."""
    cases = [loss.split(arguments) for arguments in ({}, *loss.variants)]
    # Optax reads probabilities, which must not be traced then.
    traced = [case for case in cases if "apply_softmax" not in case[2]]
    read = [case for case in cases if "apply_softmax" in case[2]]

    def run(library: Any, given: Any) -> Any:
        function = loss.function(library.losses)
        return [value_and_grads(function, *x, case[2]) for x, case in zip(given, traced, strict=True)]

    def both(given: Any) -> Any:
        ours = run(gc, given)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return ours, run(optax, given)

    ours, theirs = jax.jit(both)([case[:2] for case in traced])
    for case in read:
        ours.append(value_and_grads(loss.function(gc.losses), *case))
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            theirs.append(value_and_grads(loss.function(optax.losses), *case))
    for case, our, their in zip(traced + read, ours, theirs, strict=True):
        for x, y in zip(jax.tree.leaves(our), jax.tree.leaves(their), strict=True):
            assert x.shape == y.shape
            assert x.dtype == y.dtype == jnp.float32
            # Optax's gradients are NaN in examples that are masked; ours are finite.
            sound = np.isfinite(y) if "where" in case[1] else np.full(y.shape, True)
            assert np.isfinite(x).all()
            x, y = np.asarray(x)[sound], np.asarray(y)[sound]
            np.testing.assert_allclose(
                x, y, rtol=1e-6, atol=1e-6 * np.abs(y).max(initial=0), err_msg=str(case)
            )


def test_every_name_has_a_row() -> None:
    names = {name for name in dir(optax.losses) if not name.startswith("_")} - {"convex_kl_divergence"}
    assert names == set(ROWS)
    for name in names:
        assert callable(getattr(gc.losses, name))


def test_the_deprecated_name_warns() -> None:
    with pytest.warns(DeprecationWarning, match="use gradchain.losses.generalized_kl_divergence"):
        assert gc.losses.convex_kl_divergence is gc.losses.generalized_kl_divergence
