"""The family of weight decays, in closed form, and where in a chain each belongs."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from trees import gradients, params

import gradchain as gc
from gradchain.core import OrderWarning


def rate(count: Any) -> Any:
    return 0.1 * 0.5 ** jnp.asarray(count, jnp.float32)


def walk(tx: Any, steps: int, p: Any = None) -> list[np.ndarray]:
    """The matrix after each step."""
    p = params() if p is None else p
    state, seen = tx.init(p), []
    for t in range(steps):
        p, state = tx.step(gradients(p, t), state, p)
        seen.append(np.asarray(p["w"], np.float64))
    return seen


def test_corrected_decay_goes_with_the_square_of_the_rate() -> None:
    """Defazio, 2025, algorithm 2: p = p - lr (u + wd lr / lr_max p)."""
    rule = gc.scale_by_adam
    tx = gc.chain(rule(), gc.add_corrected_decay(0.3, rate, 0.1), gc.scale_by_learning_rate(rate))
    p, alone, state = np.asarray(params()["w"], np.float64), rule(), rule().init(params())
    for t, found in enumerate(walk(tx, 5)):
        u, state = alone.update(gradients(params(), t), state, params())
        lr = 0.1 * 0.5**t
        p = p - lr * (np.asarray(u["w"]) + 0.3 * lr / 0.1 * p)
        np.testing.assert_allclose(found, p, rtol=1e-5)


def test_at_the_largest_rate_corrected_decay_is_adamws() -> None:
    tx = gc.chain(gc.scale_by_adam(), gc.add_corrected_decay(0.3, 0.1, 0.1), gc.scale_by_learning_rate(0.1))
    np.testing.assert_allclose(walk(tx, 4)[-1], walk(gc.adamw(0.1, weight_decay=0.3), 4)[-1], rtol=1e-6)


def test_independent_decay_does_not_know_the_size_of_the_rate() -> None:
    zero = {"w": jnp.ones((2, 2))}
    for size in (1.0, 0.01):

        def schedule(count: Any, size: float = size) -> Any:
            return size * rate(count)

        tx = gc.chain(gc.sgd(schedule), gc.add_independent_decay(0.2, schedule, size * 0.1))
        p, state, expected = zero, tx.init(zero), 1.0
        for t in range(4):
            p, state = tx.step({"w": jnp.zeros((2, 2))}, state, p)
            expected *= 1 - 0.2 * 0.5**t
            np.testing.assert_allclose(p["w"], expected, rtol=1e-6)
    tx = gc.chain(gc.sgd(schedule), gc.add_independent_decay(0.2))  # the shape neither
    p, state = zero, tx.init(zero)
    for t in range(4):
        p, state = tx.step({"w": jnp.zeros((2, 2))}, state, p)
        np.testing.assert_allclose(p["w"], 0.8 ** (t + 1), rtol=1e-6)


def test_independent_decay_of_rate_times_decay_is_decoupled_decay() -> None:
    """Of the parameters before the step, as AdamW's."""
    tx = gc.chain(gc.adam(0.05), gc.add_independent_decay(0.05 * 0.3))
    np.testing.assert_allclose(walk(tx, 5)[-1], walk(gc.adamw(0.05, weight_decay=0.3), 5)[-1], rtol=2e-6)


def test_cautious_decay_acts_where_the_step_makes_smaller() -> None:
    u = {"x": jnp.asarray([1.0, -1.0, 1.0, -1.0, 0.0, 0.0])}
    p = {"x": jnp.asarray([2.0, -2.0, -2.0, 2.0, 2.0, 0.0])}
    for strict, at_zero in ((False, 0.2), (True, 0.0)):
        tx = gc.add_cautious_decay(0.1, strict=strict)
        found, _ = tx.update(u, tx.init(p), p)
        np.testing.assert_allclose(found["x"], [1.2, -1.2, 1.0, -1.0, at_zero, 0.0], rtol=1e-6)
    z = {"z": jnp.asarray([1j, 1j])}
    w = {"z": jnp.asarray([1 + 1j, 1 - 1j])}
    found, _ = gc.add_cautious_decay(0.5).update(z, gc.add_cautious_decay(0.5).init(w), w)
    np.testing.assert_allclose(found["z"], [0.5 + 1.5j, 1j])


def test_where_all_signs_agree_cautious_decay_is_decay() -> None:
    """On x^2 from far away nothing turns around: the steps of AdamW; up the hill those of Adam."""
    p = {"w": jnp.asarray([[3.0, -2.0]])}

    def last(tx: Any, sign: float) -> Any:
        x, state = p, tx.init(p)
        for _ in range(5):
            x, state = tx.step({"w": sign * 2 * x["w"]}, state, x)
        return x["w"]

    careful = gc.chain(gc.scale_by_adam(), gc.add_cautious_decay(0.5), gc.scale_by_learning_rate(0.1))
    np.testing.assert_allclose(last(careful, 1.0), last(gc.adamw(0.1, weight_decay=0.5), 1.0), rtol=1e-6)
    np.testing.assert_allclose(last(careful, -1.0), last(gc.adam(0.1), -1.0), rtol=1e-6)
    assert np.all(np.abs(last(careful, 1.0)) < np.abs(last(gc.adam(0.1), 1.0)) - 0.1)


def test_decay_to_the_start_is_the_gradient_of_its_penalty() -> None:
    """Li et al., 2018, equation 2, with plain gradient descent."""
    tx = gc.chain(gc.add_decay_to_start(0.4), gc.sgd(0.1))
    p = start = np.asarray(params()["w"], np.float64)
    for t, found in enumerate(walk(tx, 5)):
        p = p - 0.1 * (np.asarray(gradients(params(), t)["w"]) + 0.4 * (p - start))
        np.testing.assert_allclose(found, p, rtol=1e-5)


def test_without_gradients_decay_goes_back_to_the_start() -> None:
    p = params()
    tx = gc.chain(gc.identity(), gc.add_decay_to_start(gc.constant_schedule(0.5)), gc.scale(-1.0))
    state = tx.init(p)
    moved = {**p, "w": p["w"] + 8.0}
    zeros = gc.tree.zeros_like(p)
    for t in range(3):
        moved, state = tx.step(zeros, state, moved)
        np.testing.assert_allclose(moved["w"], p["w"] + 8.0 * 0.5 ** (t + 1), rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda mask: gc.add_cautious_decay(0.5, mask),
        lambda mask: gc.add_corrected_decay(0.5, 0.1, 0.1, mask),
        lambda mask: gc.add_independent_decay(0.5, mask=mask),
        lambda mask: gc.add_decay_to_start(0.5, mask),
    ],
    ids=["cautious", "corrected", "independent", "start"],
)
def test_a_mask_says_where_to_decay(make: Any) -> None:
    p = params()
    tx = make({"w": True, "deep": False})
    moved = {"w": p["w"] * 3, "deep": p["deep"]}
    g = {"w": p["w"], "deep": p["deep"]}
    found, _ = tx.update(g, tx.init(p), moved)
    np.testing.assert_array_equal(found["deep"][0]["b"], g["deep"][0]["b"])
    assert np.all(found["w"] != g["w"])
    with pytest.raises(ValueError, match=r"add_\w+ needs the parameters"):
        tx.update(g, tx.init(p))


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="add_independent_decay: give learning_rate and max_learning_rate"):
        gc.add_independent_decay(0.1, learning_rate=rate)
    for make in (gc.add_corrected_decay, gc.add_independent_decay):
        with pytest.raises(
            ValueError, match="max_learning_rate must be finite and more than 0, received 0"
        ):
            make(0.1, rate, 0.0)
    with pytest.raises(ValueError, match="add_cautious_decay: weight_decay must be finite, received inf"):
        gc.add_cautious_decay(float("inf"))
    with pytest.raises(
        ValueError, match=r"centered_by must be 'old' or 'new', received 'now'\. Did you mean"
    ):
        gc.scale_by_acprop(centered_by="now")


def test_acprop_centers_by_either_average() -> None:
    """Constant gradients: |g - m| is b1^t g for the new average, b1^(t - 1) g for the old."""
    p = {"w": jnp.ones(2)}
    for centered_by, shift in (("old", 0), ("new", 1)):
        tx = gc.scale_by_acprop(0.8, 0.9, eps=0.0, eps_root=0.0, centered_by=centered_by)
        state, s = tx.init(p), 0.0
        for t in range(1, 5):
            _, state = tx.update(p, state, p)
            s = 0.9 * s + 0.1 * 0.8 ** (2 * (t - 1 + shift))
            np.testing.assert_allclose(state.nu["w"], s, rtol=1e-5)


LATE = [
    lambda: (gc.add_independent_decay(0.11), gc.scale_by_learning_rate(0.1)),
    lambda: (gc.add_independent_decay(0.12), gc.scale_by_adam()),
    lambda: (gc.add_cautious_decay(0.13), gc.scale_by_adam()),
    lambda: (gc.add_corrected_decay(0.14, rate, 0.1), gc.scale_by_adam()),
]


@pytest.mark.parametrize(
    ("links", "words"), list(zip(LATE, ["growth", "Put the decay last", "L2", "L2"], strict=True))
)
def test_a_decay_in_the_wrong_place_is_told(links: Any, words: str) -> None:
    with pytest.warns(OrderWarning, match=words):
        gc.chain(*links())


def test_a_decay_in_its_place_is_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.chain(gc.adam(0.101), gc.add_independent_decay(0.1))
        gc.chain(gc.adam(0.102), gc.add_independent_decay(0.1), gc.ema_nesterov(), gc.ema_params(0.9))
        gc.chain(gc.scale_by_adam(), gc.add_cautious_decay(0.1), gc.scale_by_learning_rate(0.1))
        gc.chain(
            gc.scale_by_adam(), gc.add_corrected_decay(0.1, rate, 0.1), gc.scale_by_learning_rate(rate)
        )
        gc.chain(gc.add_decay_to_start(0.1), gc.sgd(0.103, 0.9))
