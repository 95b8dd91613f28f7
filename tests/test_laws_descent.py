"""Law: an optimizer goes downhill, on a quadratic and on Rosenbrock's valley."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cases import OPTIMIZERS, Case, ids

import gradchain as gc


def quadratic(x: Any) -> Any:
    """A bowl with its bottom, of height 0, at (1, -2, 3)."""
    return jnp.sum((x - jnp.array([1.0, -2.0, 3.0])) ** 2)


def rosenbrock(x: Any) -> Any:
    """A curved valley with its bottom, of height 0, at (1, 1); scaled down to suit all rates."""
    return ((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2) / 100


@functools.lru_cache(maxsize=1)
def descent(case: Case) -> Callable[[Any, Any], Any]:
    """500 steps on either loss, one program for both: the losses on the way."""
    tx = case.make()

    def loss(p: Any, on_quadratic: Any) -> Any:
        return jnp.where(on_quadratic, quadratic(p["x"]), rosenbrock(p["x"]))

    @jax.jit
    def walk(p: Any, on_quadratic: Any) -> Any:
        def step(carry, _):
            p, state = carry
            value, g = jax.value_and_grad(loss)(p, on_quadratic)
            extra = case.more(p, 0) | {"value": value} if case.extra else {}
            updates, state = tx.update(g, state, p, **extra)
            return (gc.apply_updates(p, updates), state), value

        return jax.lax.scan(step, (p, tx.init(p)), length=501)[1]

    return walk


@pytest.mark.parametrize("case", **ids(OPTIMIZERS))
@pytest.mark.parametrize(
    ("loss", "start", "steps", "factor"),
    [(quadratic, [0.0, 0.0, 0.0], 300, 0.5), (rosenbrock, [-1.2, 1.0, 0.0], 500, 0.5)],
    ids=["quadratic", "rosenbrock"],
)
def test_it_goes_downhill(case: Case, loss, start, steps, factor) -> None:
    values = descent(case)({"x": jnp.array(start)}, loss is quadratic)[: steps + 1]
    assert jnp.all(jnp.isfinite(values))
    assert values[steps] < factor * values[0]
