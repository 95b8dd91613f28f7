"""Law: an optimizer goes downhill, on a quadratic and on Rosenbrock's valley."""

import jax
import jax.numpy as jnp
import pytest
from cases import OPTIMIZERS, Case, ids

import gradchain as gc


def quadratic(p):
    """A bowl with its bottom, of height 0, at (1, -2, 3)."""
    return jnp.sum((p["x"] - jnp.array([1.0, -2.0, 3.0])) ** 2)


def rosenbrock(p):
    """A curved valley with its bottom, of height 0, at (1, 1); scaled down to suit all rates."""
    x, y = p["x"][0], p["x"][1]
    return ((1 - x) ** 2 + 100 * (y - x**2) ** 2) / 100


@pytest.mark.parametrize("case", **ids(OPTIMIZERS))
@pytest.mark.parametrize(
    ("loss", "start", "steps", "factor"),
    [(quadratic, [0.0, 0.0, 0.0], 300, 0.5), (rosenbrock, [-1.2, 1.0], 500, 0.5)],
    ids=["quadratic", "rosenbrock"],
)
def test_it_goes_downhill(case: Case, loss, start, steps, factor) -> None:
    tx, p = case.make(), {"x": jnp.array(start)}

    def step(carry, _):
        p, state = carry
        value, g = jax.value_and_grad(loss)(p)
        extra = case.extra(p, 0) | {"value": value} if case.extra else {}
        updates, state = tx.update(g, state, p, **extra)
        return (gc.apply_updates(p, updates), state), value

    (p, _), values = jax.jit(lambda c: jax.lax.scan(step, c, length=steps))((p, tx.init(p)))
    assert jnp.all(jnp.isfinite(values))
    assert loss(p) < factor * values[0]
