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


def bowl(p: Any) -> Any:
    return jax.tree.map(lambda x: 2 * x, p)


def test_cautious_adamw_descends_as_in_the_pull_request() -> None:
    """The numbers of Optax's pull request 1690, of |x|^2 from (1, 2, 3)."""
    x, tx = jnp.asarray([1.0, 2.0, 3.0]), gc.cautious(gc.adamw(0.1))
    state, seen = tx.init(x), []
    for _ in range(5):
        x, state = tx.step(2 * x, state, x)
        seen.append(float(jnp.sum(x**2)))
    np.testing.assert_allclose(seen, [12.8, 11.7, 10.7, 9.69, 8.77], rtol=5e-3)


def test_the_authors_cautious_adamw_decays_all_entries_first() -> None:
    """Liang et al.'s code: p (1 - lr wd), then the masked step; the mask is of entries m g > 0."""
    rate, decay, rng = 0.05, 0.3, np.random.default_rng(0)
    p = rng.normal(size=8)
    m, v = np.zeros(8), np.zeros(8)
    ours = jnp.asarray(p, jnp.float32)
    tx = gc.chain(gc.cautious(gc.adam(rate, eps=1e-12)), gc.add_independent_decay(rate * decay))
    state, masked = tx.init(ours), 0
    for t in range(1, 9):
        g = rng.normal(size=8)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        mask = (m * g > 0).astype(float)
        masked += int(8 - mask.sum())
        mask = mask / max(mask.mean(), 1e-3)
        p = p * (1 - rate * decay)
        p = p - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m * mask / (np.sqrt(v) + 1e-12)
        ours, state = tx.step(jnp.asarray(g, jnp.float32), state, ours)
    assert masked > 5
    np.testing.assert_allclose(ours, p, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_a_tail_average_is_mixed_with_the_parameters(whole: bool) -> None:
    tx = gc.chain(gc.sgd(0.1), gc.tail_ema_params(3, 2.0, 0.6))
    visited, state = trained(tx, 3, whole)
    np.testing.assert_array_equal(gc.eval_params(state, visited[-1])["w"], visited[-1]["w"])
    visited, state = trained(tx, 8, whole)
    mean = weighted(visited[3:], np.exp(-np.arange(5) / 2.0)[::-1])
    expected = 0.4 * np.asarray(visited[-1]["w"]) + 0.6 * mean
    np.testing.assert_allclose(gc.eval_params(state, visited[-1])["w"], expected, rtol=1e-5)
    assert np.max(np.abs(expected - mean)) > 1e-2
    for wrong, words in (
        ((-1,), "start_step must be"),
        ((0, 0.0), "time_constant must be finite and more"),
    ):
        with pytest.raises(ValueError, match=f"tail_ema_params: {words}"):
            gc.tail_ema_params(*wrong)
    with pytest.raises(ValueError, match=r"mixture must be in \[0, 1\], received 1.5"):
        gc.tail_ema_params(0, mixture=1.5)


@pytest.mark.parametrize("whole", [True, False])
def test_the_latest_checkpoints_have_one_mean(whole: bool) -> None:
    tx = gc.chain(gc.sgd(0.1), gc.lawa_params(3, every=2))
    visited, state = trained(tx, 1, whole)
    np.testing.assert_array_equal(gc.eval_params(state, visited[-1])["w"], visited[-1]["w"])
    for steps, taken in ((2, [1]), (5, [1, 3]), (7, [1, 3, 5]), (11, [5, 7, 9])):
        visited, state = trained(tx, steps, whole)
        mean = weighted([visited[i] for i in taken], None)
        np.testing.assert_allclose(gc.eval_params(state, visited[-1])["w"], mean, rtol=1e-5)
    assert state[-1].checkpoints["w"].shape == (3, 3, 2)
    for arguments in ({"window": 0}, {"every": 0}):
        with pytest.raises(ValueError, match=f"lawa_params: {next(iter(arguments))} must be at least 1"):
            gc.lawa_params(**arguments)


def power(sigma: float) -> float:
    """The power of a width, by bisection of Karras et al.'s equation."""
    low, high = 0.0, 1e6
    for _ in range(200):
        g = (low + high) / 2
        low, high = (g, high) if ((g + 1) / (g + 3)) ** 0.5 / (g + 2) > sigma else (low, g)
    return low


def power_weights(sigma: float, steps: int) -> np.ndarray:
    return np.diff((np.arange(steps + 1) / steps) ** (power(sigma) + 1))


def test_powers_are_those_of_the_paper() -> None:
    assert power(0.05) == pytest.approx(16.97, abs=5e-3)
    assert power(0.1) == pytest.approx(6.94, abs=5e-3)
    steps = np.arange(1, 10_001) / 10_000
    weights = power_weights(0.1, 10_000)
    mean = np.sum(weights * steps)
    assert np.sqrt(np.sum(weights * (steps - mean) ** 2)) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("whole", [True, False])
def test_power_averages_have_the_weights_of_their_profiles(whole: bool) -> None:
    tx = gc.chain(gc.sgd(0.1), gc.power_ema_params((0.05, 0.2)))
    visited, state = trained(tx, 12, whole)
    found = gc.eval_params(state, visited[-1])["w"]
    np.testing.assert_allclose(found, weighted(visited, power_weights(0.05, 12)), rtol=1e-5)
    wide = state[-1].at(1, visited[-1])["w"]
    np.testing.assert_allclose(wide, weighted(visited, power_weights(0.2, 12)), rtol=1e-5)
    assert np.max(np.abs(wide - found)) > 1e-2
    mean = gc.power_ema_params((12**-0.5,))  # the widest is the plain mean
    visited, state = trained(mean, 5, whole)
    np.testing.assert_allclose(gc.eval_params(state, visited[-1])["w"], weighted(visited, None), rtol=1e-5)


def snapshots_of(tx: Any, steps: int, every: int) -> tuple[list[Any], list[gc.EmaSnapshot]]:
    p, visited, stored = params(), [], []
    state, step = tx.init(p), jax.jit(tx.step)
    for t in range(steps):
        p, state = step(gradients(p, t), state, p)
        visited.append(p)
        if (t + 1) % every == 0:
            stored += gc.ema_snapshots(state, p)
    return visited, stored


def test_an_average_that_was_kept_is_found_again_after_the_run() -> None:
    tx = gc.chain(gc.sgd(0.05), gc.power_ema_params((0.05, 0.1)))
    visited, stored = snapshots_of(tx, 96, 4)
    assert [(s.step, s.sigma_rel) for s in stored[:2]] == [(4, 0.05), (4, 0.1)]
    for sigma in (0.05, 0.1):
        kept = stored[-1 if sigma == 0.1 else -2].params
        np.testing.assert_allclose(gc.posthoc_ema(stored, sigma)["w"], kept["w"], rtol=1e-5)
    np.testing.assert_allclose(  # of an earlier step
        gc.posthoc_ema(stored, 0.1, step=48)["deep"][0]["b"], stored[23].params["deep"][0]["b"], rtol=1e-5
    )
    for sigma in (0.07, 0.15, 0.2):  # never kept
        found = gc.posthoc_ema(stored[::-1], sigma)["w"]
        direct = weighted(visited, power_weights(sigma, 96))
        away = np.max(np.abs(np.asarray(stored[-1].params["w"]) - direct))
        assert np.max(np.abs(found - direct)) < 0.01 * away, sigma


def test_what_posthoc_averages_need_is_told() -> None:
    p = params()
    tx = gc.power_ema_params((0.1,))
    with pytest.raises(ValueError, match="ema_snapshots: there is no average before the first step"):
        gc.ema_snapshots(tx.init(p), p)
    with pytest.raises(ValueError, match="Put power_ema_params last in the chain"):
        gc.ema_snapshots(gc.adam(1e-3).init(p), p)
    with pytest.raises(ValueError, match=r"at least one snapshot of a step in \[1, 4\] is needed.*\[5\]"):
        gc.posthoc_ema([gc.EmaSnapshot(5, 0.1, p)], 0.1, step=4)
    with pytest.raises(ValueError, match=r"posthoc_ema: sigma_rel must be in \(0, 1 / sqrt\(12\)\].*0.3"):
        gc.posthoc_ema([gc.EmaSnapshot(5, 0.1, p)], 0.3)
    with pytest.raises(ValueError, match=r"power_ema_params: sigma_rel must be in .* received 0\.0"):
        gc.power_ema_params((0.0,))
    with pytest.raises(ValueError, match="sigma_rel must have at least one width"):
        gc.power_ema_params(())


def test_a_masked_parameter_is_itself_in_every_average() -> None:
    mask = {"w": True, "deep": False}
    for link in (gc.lawa_params(2), gc.power_ema_params(), gc.tail_ema_params(0), gc.ema_nesterov()):
        tx = gc.chain(gc.sgd(0.1), gc.masked(link, mask))
        visited, state = trained(tx, 3)
        found = gc.eval_params(state, visited[-1])
        np.testing.assert_array_equal(found["deep"][0]["b"], visited[-1]["deep"][0]["b"])
        assert np.any(found["w"] != visited[-1]["w"])
    snapshot = gc.ema_snapshots(trained(gc.masked(gc.power_ema_params(), mask), 3)[1], visited[-1])[0]
    np.testing.assert_array_equal(snapshot.params["deep"][0]["b"], visited[-1]["deep"][0]["b"])


def falling(count: Any) -> Any:
    return 0.1 * 0.8 ** jnp.asarray(count, jnp.float32)


@pytest.mark.parametrize("whole", [True, False])
def test_gradients_are_taken_ahead_along_the_average_step(whole: bool) -> None:
    """The buffer is added before the gradient and taken off after it, as it is written in words."""
    tx = gc.chain(gc.sgd(falling), gc.ema_nesterov(0.4, 0.7, falling, 0.1))
    y = {"x": jnp.asarray([3.0, -2.0])}
    state = tx.init(y)
    x, v = np.array([3.0, -2.0]), np.zeros(2)
    for t in range(8):
        ahead = x + 0.4 * 0.8**t * v
        np.testing.assert_allclose(y["x"], ahead, rtol=2e-6)
        step = -0.1 * 0.8**t * 2 * ahead
        x, v = x + step, 0.7 * v + 0.3 * step
        if whole:
            y, state = tx.step(bowl(y), state, y)
        else:
            updates, state = tx.update(bowl(y), state, y)
            y = gc.apply_updates(y, updates)
        np.testing.assert_allclose(gc.eval_params(state, y)["x"], x, rtol=2e-6)
    assert np.max(np.abs(np.asarray(y["x"]) - x)) > 1e-3


def test_looking_nowhere_ahead_is_the_optimizer_itself() -> None:
    plain, _ = trained(gc.adam(0.1), 4)
    found, state = trained(gc.chain(gc.adam(0.1), gc.ema_nesterov(0.0)), 4)
    np.testing.assert_array_equal(found[-1]["w"], plain[-1]["w"])
    np.testing.assert_array_equal(gc.eval_params(state, found[-1])["w"], plain[-1]["w"])
    with pytest.raises(ValueError, match="ema_nesterov: give learning_rate and max_learning_rate together"):
        gc.ema_nesterov(0.5, learning_rate=falling)
    with pytest.raises(TypeError, match=r"learning_rate must be a schedule, received 0\.1"):
        gc.ema_nesterov(0.5, learning_rate=0.1, max_learning_rate=0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_learning_rate must be finite and more than 0, received 0"):
        gc.ema_nesterov(0.5, learning_rate=falling, max_learning_rate=0.0)


def test_an_average_after_looking_ahead_is_of_the_parameters_in_training() -> None:
    visited, state = trained(gc.chain(gc.sgd(0.1), gc.ema_nesterov(0.5, 0.5), gc.ema_params(0.8)), 6)
    found = gc.eval_params(state, visited[-1])["w"]
    np.testing.assert_allclose(found, weighted(visited, 0.8 ** np.arange(6)[::-1]), rtol=1e-5)
