"""Averages of parameters, and steps that agree with the gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from trees import gradients, params

import gradchain as gc


def trained(tx: Any, steps: int, whole: bool = True) -> tuple[list[Any], Any]:
    """The parameters after each step, and the last state."""
    p, visited = params(), []
    state = tx.init(p)
    for t in range(steps):
        if whole:
            p, state = tx.step(gradients(p, t), state, p)
        else:
            updates, state = tx.update(gradients(p, t), state, p)
            p = gc.apply_updates(p, updates)
        visited.append(p)
    return visited, state


def weighted(visited: list[Any], weights: Any) -> np.ndarray:
    return np.average(np.stack([np.asarray(p["w"]) for p in visited]), axis=0, weights=weights)


@pytest.mark.parametrize("whole", [True, False])
def test_the_moving_average_is_without_bias(whole: bool) -> None:
    visited, state = trained(gc.chain(gc.sgd(0.1), gc.ema_params(0.8)), 6, whole)
    found = gc.eval_params(state, visited[-1])["w"]
    np.testing.assert_allclose(found, weighted(visited, 0.8 ** np.arange(6)[::-1]), rtol=1e-5)


def test_an_average_of_the_tail() -> None:
    tx = gc.chain(gc.sgd(0.1), gc.ema_params(0.8, start_step=4))
    visited, state = trained(tx, 4)
    np.testing.assert_array_equal(gc.eval_params(state, visited[-1])["w"], visited[-1]["w"])
    visited, state = trained(tx, 6)
    np.testing.assert_allclose(
        gc.eval_params(state, visited[-1])["w"], weighted(visited[4:], [0.8, 1.0]), rtol=1e-5
    )


def test_the_mean_of_some_models() -> None:
    visited, state = trained(gc.chain(gc.sgd(0.1), gc.swa_params(2, every=3)), 9)
    mean = weighted([visited[2], visited[5], visited[8]], None)
    np.testing.assert_allclose(gc.eval_params(state, visited[-1])["w"], mean, rtol=1e-5)
    with pytest.raises(ValueError, match="every must be at least 1, received 0"):
        gc.swa_params(every=0)


def test_an_average_in_low_precision_still_moves() -> None:
    p = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params())
    tx = gc.ema_params(0.999)
    state = tx.init(p)
    for _ in range(50):
        _, state = tx.step(jax.tree.map(jnp.zeros_like, p), state, p)
    assert state.average["w"].dtype == jnp.float32
    found = gc.eval_params(state, p)["w"]
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, p["w"])


def test_averages_need_the_parameters() -> None:
    tx = gc.ema_params(0.9)
    with pytest.raises(ValueError, match="ema_params needs the parameters"):
        tx.update(params(), tx.init(params()))


def test_only_entries_that_go_downhill_are_taken() -> None:
    g = {"w": jnp.asarray([1.0, -1.0, 1.0, 1.0])}
    inner = gc.stateless(lambda updates, params: {"w": jnp.asarray([-2.0, -2.0, 2.0, -4.0])})
    updates, _ = gc.cautious(inner).update(g, gc.cautious(inner).init(g), g)
    np.testing.assert_allclose(updates["w"], [-4.0, 0.0, 0.0, -8.0])  # half of them, twice as long
    updates, _ = gc.cautious(inner, min_share=1.0).update(g, gc.cautious(inner).init(g), g)
    np.testing.assert_allclose(updates["w"], [-2.0, 0.0, 0.0, -4.0])


def test_cautious_adamw_takes_the_steps_of_adamw_while_they_agree() -> None:
    """On x^2 from far away nothing turns around."""
    p = {"x": jnp.asarray([3.0, -2.0])}
    plain, careful = gc.adamw(0.1), gc.cautious(gc.adamw(0.1))
    q, state, other = p, plain.init(p), careful.init(p)
    for _ in range(5):
        p, state = plain.step(jax.tree.map(lambda x: 2 * x, p), state, p)
        q, other = careful.step(jax.tree.map(lambda x: 2 * x, q), other, q)
    np.testing.assert_allclose(q["x"], p["x"], rtol=1e-6)
