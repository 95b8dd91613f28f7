"""Adam's and momentum's relatives: what is known in closed form."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from trees import check_close, gradients, params

import gradchain as gc


def run(tx: Any, steps: int = 6, scale: float = 1.0) -> Any:
    p = params()
    state, step = tx.init(p), jax.jit(tx.step)
    for t in range(steps):
        p, state = step(gradients(p, t, scale), state, p)
    return p, state


@pytest.mark.parametrize(
    ("tx", "equal"),
    [
        (gc.qhadam(0.1, 0.9, 0.999, 1.0, 1.0), gc.adam(0.1)),
        (gc.qhm(0.1, 0.9, 1.0), gc.chain(gc.ema(0.9, debias=False), gc.scale(-0.1))),
        (gc.aggmo(0.1, (0.9,)), gc.sgd(0.1, momentum=0.9)),
        (gc.adamp(0.1, delta=0.0), gc.adam(0.1)),
        (gc.sgdp(0.1, 0.9, delta=0.0, nesterov=False), gc.sgd(0.1, momentum=0.9)),
        (
            gc.laprop(0.1, b1=0.0, eps=1e-8),
            gc.rmsprop(0.1, 0.999, eps=1e-8, eps_in_sqrt=False, bias_correction=True),
        ),
        (gc.asgd(0.1, lambd=0.0), gc.sgd(0.1)),
    ],
    ids=["qhadam", "qhm", "aggmo", "adamp", "sgdp", "laprop", "asgd"],
)
def test_is_a_simpler_optimizer_at_its_edge(tx: Any, equal: Any) -> None:
    check_close(run(tx)[0], run(equal)[0], 1e-5)


def test_atan2_does_not_see_the_scale_of_gradients() -> None:
    tx = gc.adam_atan2(0.1)
    check_close(run(tx, scale=1e-4)[0], run(tx)[0], 1e-5)
    g = {"w": jnp.asarray([2.0, -3.0, 0.0])}
    step, _ = tx.update(g, tx.init(g), g)  # m' = g and v' = g^2: atan2(+-1, 1) = +-pi / 4
    np.testing.assert_allclose(step["w"], [-0.1 * 1.27 * np.pi / 4, 0.1 * 1.27 * np.pi / 4, 0.0], rtol=1e-6)


def test_grams_never_goes_uphill() -> None:
    p, tx = params(), gc.scale_by_grams()
    state = tx.init(p)
    for t in range(5):
        g = gradients(p, t)
        u, state = tx.update(g, state, p)
        agree = jax.tree.map(lambda u, g: bool(jnp.all(jnp.sign(u) == jnp.sign(g))), u, g)
        assert all(jax.tree.leaves(agree))


def test_adabound_ends_as_momentum() -> None:
    g = {"w": jnp.asarray([1e-3, 1.0, 100.0])}
    tx = gc.scale_by_adabound(b1=0.0, final_scale=5.0, gamma=100.0)
    state = tx.init(g)
    for _ in range(300):
        u, state = tx.update(g, state, g)
    np.testing.assert_allclose(u["w"], 5.0 * g["w"], rtol=1e-3)
    warming = gc.linear_schedule(0.0, 0.1, 10)
    with pytest.raises(ValueError, match="learning_rate begins at 0: give base_learning_rate"):
        gc.adabound(warming)
    gc.adabound(warming, base_learning_rate=0.1)


def test_ftrl_keeps_zeros_and_keeps_its_start() -> None:
    """With l1, entries with small gradients are exactly 0. A start without gradients stays."""
    p = {"w": jnp.asarray([0.5, -0.5, 0.0, 0.0])}
    tx = gc.ftrl(0.1, l1=0.5)
    state = tx.init(p)
    zero = {"w": jnp.zeros(4)}
    still, _ = tx.step(zero, state, p)
    np.testing.assert_allclose(still["w"], p["w"], atol=1e-6)
    moved, state = tx.step({"w": jnp.asarray([0.1, 0.1, 0.1, 5.0])}, state, p)
    assert moved["w"][2] == 0.0  # its gradient is less than l1
    assert moved["w"][3] < 0
    forgets = gc.ftrl(0.1, keep_start=False)
    lost, _ = forgets.step(zero, forgets.init(p), p)
    assert float(jnp.abs(lost["w"]).max()) == 0.0


def test_asgd_evaluates_the_average() -> None:
    tx, p = gc.asgd(0.5, lambd=0.0, t0=0.0), {"w": jnp.asarray(1.0)}
    state, seen = tx.init(p), []
    for g in (1.0, -1.0, 2.0, 0.5):
        p, state = tx.step({"w": jnp.asarray(g)}, state, p)
        seen.append(float(p["w"]))
    # PyTorch's weights are 1, 1, 1/2, 1/3: the first is forgotten
    assert float(gc.eval_params(state, p)["w"]) == pytest.approx(np.mean(seen[1:]))


def test_scale_invariant_weights_keep_their_length() -> None:
    """Of weights that are normalized, the gradient is orthogonal to them: the step is too."""
    w = jnp.asarray(np.random.default_rng(0).normal(size=(64, 8)), jnp.float32)

    def loss(w: Any) -> Any:
        return jnp.sum((w / jnp.linalg.norm(w, axis=0, keepdims=True)) ** 3)

    for rule in (gc.scale_by_adamp(), gc.scale_by_sgdp()):
        u, _ = rule.update(jax.grad(loss)(w), rule.init(w), w)
        along = jnp.abs(jnp.sum(u * w, axis=0)) / jnp.linalg.norm(u, axis=0) / jnp.linalg.norm(w, axis=0)
        assert float(along.max()) < 1e-5
        assert float(jnp.abs(u).max()) > 0
    plain, _ = gc.scale_by_adam().update(jax.grad(loss)(w), gc.scale_by_adam().init(w), w)
    assert float((jnp.abs(jnp.sum(plain * w, axis=0)) / jnp.linalg.norm(w, axis=0)).max()) > 0.1


def test_betas_of_aggmo_are_checked() -> None:
    for betas in ((), (0.5, 1.0), (-0.1,)):
        with pytest.raises(ValueError, match=r"betas must be numbers in \[0, 1\)"):
            gc.aggmo(0.1, betas)
