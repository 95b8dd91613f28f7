"""Contrib: what the laws do not see. Per-example gradients, matrices, plateaus, evaluation parameters."""

import pickle
import re
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from arguments import matrices_only
from cases import PER_EXAMPLE, Case, ids
from trees import check_close, enable_x64, gradients, params, worst

import gradchain as gc


def test_contrib_has_every_name_of_optax() -> None:
    theirs = {name for name in dir(optax.contrib) if not name.startswith("_")}
    assert theirs <= set(dir(gc.contrib)) | {"fixed"}, theirs - set(dir(gc.contrib))


# Differential privacy: gradients have the examples first.


@pytest.mark.parametrize("case", **ids(PER_EXAMPLE))
def test_private_steps_equal_optax(case: Case) -> None:
    p = {"w": jnp.ones((3, 2)), "b": jnp.ones((2,))}
    ours = case.make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Optax's dpsgd warns of its own argument
        theirs = case.make(optax)
    s, t = ours.init(p), theirs.init(p)
    for step in range(5):
        rng = np.random.default_rng(step)
        g = jax.tree.map(lambda x, rng=rng: jnp.asarray(rng.normal(size=(4, *x.shape)), jnp.float32), p)
        u, s = ours.update(g, s, p)
        with jax.numpy_dtype_promotion("standard"):
            v, t = theirs.update(g, t, p)
        check_close((u, jax.tree.map(_data, s)), (v, jax.tree.map(_data, t)), 1e-6)
        assert jax.tree.map(jnp.shape, u) == jax.tree.map(jnp.shape, p)


def _data(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


def test_private_gradients_need_examples() -> None:
    tx = gc.contrib.dpsgd(0.1, 1.0, 0.5, seed=3)
    with pytest.raises(ValueError, match="first axis"):
        tx.update({"w": jnp.ones(()), "b": jnp.ones((2,))}, tx.init({}))
    assert eval(repr(tx), vars(gc) | vars(gc.contrib)) == tx


def test_private_aggregation_warns_without_a_key() -> None:
    with pytest.warns(UserWarning, match="everybody knows the noise"):
        gc.contrib.differentially_private_aggregate(1.25, 0.5)
    with pytest.warns(DeprecationWarning, match="use key") as caught:
        gc.contrib.differentially_private_aggregate(1.25, 0.5, seed=1)
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match="two names"):
        gc.contrib.differentially_private_aggregate(1.25, 0.5, 1, seed=1)


# Muon: stacks of matrices.


def _one_step(tx, g, p, steps: int = 2):
    state = tx.init(p)
    for _ in range(steps):
        u, state = tx.update(g, state, p)
    return u


def test_muon_treats_stacked_weights_matrix_by_matrix() -> None:
    rng = np.random.default_rng(0)
    stacked = jnp.asarray(rng.normal(size=(3, 2, 4, 6)), jnp.float32)
    tx = gc.muon(0.1, muon_weight_dimension_numbers=gc.contrib.MuonDimensionNumbers(-2, -1))
    together = _one_step(tx, {"w": stacked}, {"w": stacked})["w"]
    for i in range(3):
        for j in range(2):
            alone = _one_step(tx, {"w": stacked[i, j]}, {"w": stacked[i, j]})["w"]
            check_close(together[i, j], alone, 1e-5)
    values = np.linalg.svd(np.asarray(together) / 0.1 / np.sqrt(6 / 4), compute_uv=False)
    assert np.all((values > 0.6) & (values < 1.3))


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 4, 6), (1, 2)), ((3, 3, 2, 5), ((0, 1, 2), 3)), ((2, 3, 4), ((0, 2), 1))]
)
def test_muon_with_dimension_numbers_equals_optax(shape, axes) -> None:
    rng = np.random.default_rng(1)
    p = {"w": jnp.asarray(rng.normal(size=shape), jnp.float32), "b": jnp.ones(3)}
    g = {"w": jnp.asarray(rng.normal(size=shape), jnp.float32), "b": jnp.ones(3)}

    def make(m):
        numbers = {"w": m.contrib.MuonDimensionNumbers(*axes), "b": None}
        return m.contrib.muon(0.1, muon_weight_dimension_numbers=numbers)

    with jax.numpy_dtype_promotion("standard"):
        expected = _one_step(make(optax), g, p)
    check_close(_one_step(make(gc), g, p), expected, 1e-5)


def test_muon_leaves_to_adam_what_it_is_told() -> None:
    p = {"embedding": jnp.ones((4, 3)), "w": jnp.ones((3, 4))}

    def numbers(tree):
        none = {"embedding": None, "w": gc.MuonDimensionNumbers()}
        return {name: none[name] for name in tree}

    state = gc.muon(0.1, muon_weight_dimension_numbers=numbers).init(p)
    mu = state.inner_states["adam"].inner_state[0].mu
    assert mu["embedding"].shape == (4, 3)
    assert jax.tree.leaves(mu["w"]) == []


def test_muon_batches_matrices_of_one_shape() -> None:
    p = {str(i): jnp.ones((4, 6) if i % 2 else (6, 4)) for i in range(8)}
    tx = gc.scale_by_muon()
    text = jax.jit(tx.update).lower(p, tx.init(p)).as_text()
    assert text.count("dot_general") == 3  # one program for all eight, and for all five iterations


def test_muon_names_a_matrix_of_too_few_axes() -> None:
    tx = gc.scale_by_muon(weight_dimension_numbers=gc.MuonDimensionNumbers())
    with pytest.raises(ValueError, match=r"\['b'\] has shape \(3,\); expected two axes"):
        tx.update({"b": jnp.ones(3)}, tx.init({"b": jnp.ones(3)}))
    with pytest.raises(ValueError, match="preconditioning must be one of"):
        gc.scale_by_muon(preconditioning="none")
    few = gc.scale_by_muon(((1.0, 2.0, 3.0),), 5)
    with pytest.raises(ValueError, match="need as many rows"):
        few.init({"w": jnp.ones((2, 2))})


def test_muon_iterates_in_the_asked_dtype() -> None:
    g = {"w": gradients({"w": jnp.ones((8, 8))}, 0)["w"]}
    low = _one_step(gc.scale_by_muon(ns_dtype="bfloat16"), g, g)
    check_close(low, _one_step(gc.scale_by_muon(), g, g), 0.1)
    assert low["w"].dtype == jnp.float32


# A plateau of any sign.


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_plateau_is_judged_rightly_for_either_sign(sign: float) -> None:
    """A value that falls by 2% a step of its size is progress, one that rises or stays is not."""
    tx = gc.reduce_on_plateau(factor=0.5, patience=2, rtol=0.01)
    for change, reduced in ((-0.02, False), (0.0, True), (0.005, True)):
        state, value = tx.init({"w": jnp.ones(2)}), 10.0 * sign
        for _ in range(6):
            _, state = tx.update({"w": jnp.ones(2)}, state, value=value)
            value = value + change * abs(value)
        assert bool(state.scale < 1) is reduced, (sign, change)


def test_optax_takes_a_negative_plateau_for_progress() -> None:
    """The fault mended: in Optax a negative value that stays is below best - rtol best."""
    theirs = optax.contrib.reduce_on_plateau(factor=0.5, patience=2, rtol=0.01)
    state = theirs.init({"w": jnp.ones(2)})
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(6):
            _, state = theirs.update({"w": jnp.ones(2)}, state, value=-10.0)
    assert state.scale == 1.0


# Schedule-Free: the weights of the average, and the evaluation parameters.


@pytest.mark.parametrize("factory", [gc.schedule_free_sgd, gc.schedule_free_adamw])
def test_schedule_free_warms_up_a_schedule(factory: Any) -> None:
    def run(rate: Any, steps: int | None) -> Any:
        tx, p = factory(rate, steps), params("float32")
        s = tx.init(p)
        for step in range(8):
            u, s = tx.update(gradients(p, step), s, p)
            p = gc.apply_updates(p, u)
        return p

    constant, falling = gc.constant_schedule(0.3), gc.linear_schedule(0.3, 0.1, 6)
    for steps in (None, 0, 5):
        assert worst(run(constant, steps), run(0.3, steps)) == 0
    check_close(run(0.3, 0), run(0.3, None), 0)  # Optax's rate stays 0
    by_hand = run(lambda count: falling(count) * jnp.minimum(count / 5, 1), None)
    check_close(run(falling, 5), by_hand, 1e-6)

    warm = factory(falling, 5)
    assert warm == factory(falling, warmup_steps=5) == pickle.loads(pickle.dumps(warm))
    assert eval(repr(warm), vars(gc)) == warm
    assert "warmup_steps=5" in repr(warm)
    with pytest.raises(
        ValueError, match=f"{factory.__name__}: warmup_steps must be at least 0, received -1"
    ):
        factory(falling, -1)


def test_schedule_free_weighs_a_step_by_its_own_learning_rate() -> None:
    """Equal to the algorithm written out, with a warm-up from 0."""
    rate = gc.linear_schedule(0.0, 0.5, 4)
    tx = gc.schedule_free(gc.sgd(rate), rate, b1=0.9)
    p = {"w": jnp.asarray([1.0, -2.0])}
    state = tx.init(p)
    x = z = y = np.asarray(p["w"], np.float64)
    total = 0.0
    for step in range(8):
        u, state = tx.update({"w": p["w"] * 2}, state, p)
        p = gc.apply_updates(p, u)
        lr = min(step / 4, 1) * 0.5
        total += lr**2
        z = z - lr * 2 * y
        c = lr**2 / total if total else 0.0
        x = (1 - c) * x + c * z
        y = 0.9 * x + 0.1 * z
        np.testing.assert_allclose(p["w"], y, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(gc.eval_params(state, p)["w"], x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tx: tx,
        lambda tx: gc.chain(gc.clip(100.0), tx),
        lambda tx: gc.named_chain(("clip", gc.clip(100.0)), ("free", gc.chain(tx))),
        lambda tx: gc.masked(tx, lambda p: jax.tree.map(lambda x: x.ndim == 2, p)),
        lambda tx: gc.partition(
            {"a": tx, "b": gc.adam(0.1)}, lambda p: jax.tree.map(lambda x: "a" if x.ndim == 2 else "b", p)
        ),
    ],
    ids=["alone", "chain", "named", "masked", "partition"],
)
def test_eval_params_finds_states_anywhere(wrap) -> None:
    tx = wrap(gc.schedule_free_sgd(0.1))
    plain = gc.schedule_free_sgd(0.1)
    p = q = params()
    state, plain_state = tx.init(p), plain.init(q)
    for step in range(3):
        u, state = tx.update(gradients(p, step, 0.1), state, p)
        v, plain_state = plain.update(gradients(q, step, 0.1), plain_state, q)
        p, q = gc.apply_updates(p, u), gc.apply_updates(q, v)
    found = jax.jit(gc.eval_params)(state, p)
    check_close(found["w"], gc.schedule_free_eval_params(plain_state, q)["w"], 1e-6)
    assert not jnp.allclose(found["w"], p["w"], rtol=1e-3)
    assert jax.tree.structure(found) == jax.tree.structure(p)


def test_eval_params_of_other_optimizers() -> None:
    p = params()
    check_close(gc.eval_params(gc.adam(0.1).init(p), p), p, 0)
    tx = gc.lookahead(gc.sgd(0.1), 5, 0.5)
    u, state = tx.update(gradients(p, 0), tx.init(p), p)
    check_close(gc.eval_params(state, gc.apply_updates(p, u)), p, 0)
    with pytest.raises(ValueError, match="call eval_params"):
        gc.schedule_free_eval_params(gc.chain(gc.schedule_free_sgd(0.1)).init(p), p)


# The rest.


@pytest.mark.parametrize("name", ["momo", "momo_adam", "reduce_on_plateau"])
def test_a_missing_value_is_named(name: str) -> None:
    tx, p = getattr(gc, name)(), params()
    with pytest.raises(TypeError, match=rf"^{name} needs the extra argument value: call .*value=loss"):
        tx.update(p, tx.init(p), p)


def test_sam_with_a_period_of_one_is_the_optimizer() -> None:
    p = q = params()
    tx, plain = gc.sam(gc.sgd(0.1), gc.sgd(0.1), sync_period=1), gc.sgd(0.1)
    s, t = tx.init(p), plain.init(q)
    for step in range(3):
        u, s = tx.update(gradients(p, step), s, p)
        v, t = plain.update(gradients(q, step), t, q)
        p, q = gc.apply_updates(p, u), gc.apply_updates(q, v)
    check_close(p, q, 1e-6)


def test_sam_in_opaque_mode_asks_for_gradients_uphill() -> None:
    p = {"x": jnp.asarray([1.0, -2.0])}
    loss = lambda p: jnp.sum(p["x"] ** 4)  # noqa: E731
    adversary = gc.chain(gc.normalize(), gc.sgd(0.1))
    tx = gc.sam(gc.sgd(0.01), adversary, opaque_mode=True)
    g = jax.grad(loss)(p)
    u, _ = tx.update(g, tx.init(p), p, grad_fn=lambda p, _: jax.grad(loss)(p))
    up = p["x"] + 0.1 * g["x"] / jnp.linalg.norm(g["x"])
    check_close(u["x"], -0.01 * 4 * up**3, 1e-6)
    with pytest.raises(TypeError, match="needs the extra argument grad_fn"):
        tx.update(g, tx.init(p), p)


def test_sam_in_opaque_mode_averages_over_a_mapped_axis() -> None:
    p, shards = jnp.asarray([1.0, -2.0]), jnp.asarray([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0]])
    loss = lambda p, x: jnp.sum((p * x) ** 2)  # noqa: E731

    def step(module: Any, x: Any, axis: str | None) -> Any:
        adversary = module.chain(module.contrib.normalize(), module.sgd(0.1))
        tx = module.contrib.sam(module.sgd(0.01), adversary, opaque_mode=True, batch_axis_name=axis)
        mean = lambda p: jnp.mean(jax.vmap(loss, (None, 0))(p, jnp.atleast_2d(x)))  # noqa: E731
        return tx.update(jax.grad(mean)(p), tx.init(p), p, grad_fn=lambda p, _: jax.grad(mean)(p))[0]

    mapped = jax.vmap(lambda x: step(gc, x, "batch"), axis_name="batch")(shards)
    theirs = jax.vmap(lambda x: step(optax, x, "batch"), axis_name="batch")(shards)
    check_close(mapped, theirs, 1e-6)
    alone = jax.vmap(lambda x: step(gc, x, None))(shards)
    assert worst(mapped, alone) > 0.1


def test_sophia_prints_its_unclipped_share(capfd: pytest.CaptureFixture[str]) -> None:
    tx = gc.sophia(0.1, gamma=100.0, verbose=True, print_win_rate_every_n_steps=2)
    p = {"w": jnp.asarray([1.0, 3.0])}
    state = tx.init(p)
    for _ in range(4):
        _, state = tx.update(p, state, p, obj_fn=lambda p: jnp.sum(p["w"] ** 2))
    jax.effects_barrier()
    assert re.findall(r"sophia: unclipped (\S+)", capfd.readouterr().out)[0] == "0.5"


@pytest.mark.parametrize("name", ["prodigy", "dadapt_adamw", "dog", "dowg", "momo", "schedule_free_sgd"])
def test_float32_stays_float32_where_float64_exists(name: str) -> None:
    with enable_x64():
        tx, p = getattr(gc, name)(), params("float32")
        extra = {"value": 1.0} if name == "momo" else {}
        u, state = tx.update(gradients(p, 0), tx.init(p), p, **extra)
    assert {str(x.dtype) for x in jax.tree.leaves((u, state))} <= {"float32", "int32", "bool"}


def test_complex_matrices_are_made_unitary() -> None:
    rng = np.random.default_rng(0)
    g = {"w": jnp.asarray(rng.normal(size=(4, 6)) + 1j * rng.normal(size=(4, 6)), jnp.complex64)}
    for kind in ("frobenius", "spectral", "aol", "schatten"):
        u = _one_step(gc.scale_by_muon(preconditioning=kind), g, g)["w"]
        values = np.linalg.svd(np.asarray(u), compute_uv=False)
        assert np.all((values > 0.6) & (values < 1.3)), kind


def test_edges_of_contrib() -> None:
    p = {"w": jnp.ones((2,))}
    tx, scales = gc.reduce_on_plateau(0.5, patience=0), []
    state = tx.init(p)
    for value in (3.0, 2.0, 2.0):
        _, state = tx.update(p, state, p, value=value)
        scales.append(float(state.scale))
    assert scales == [1.0, 1.0, 0.5]
    with pytest.raises(ValueError, match=r"b1 must be in \(0, 1\], received 0.0"):
        gc.schedule_free_sgd(0.1, b1=0.0)
    z = {"w": jnp.asarray([3 + 4j])}
    tx = gc.scale_by_adopt(b1=0.0, clip_value_fn=lambda step: 0.5)
    _, state = tx.update(z, tx.init(z), z)
    u, _ = tx.update(z, state, z)
    check_close(u["w"], jnp.asarray([0.3 + 0.4j]), 1e-5)


@pytest.mark.parametrize("name", ["momo", "momo_adam"])
def test_momo_decays_where_its_mask_says(name: str) -> None:
    p = {"w": jnp.ones((2, 2)), "b": jnp.ones((2,))}
    factory, zero = getattr(gc, name), gc.tree.zeros_like(p)

    def shrunk(**arguments: Any) -> Any:
        tx = factory(0.5, weight_decay=0.1, **arguments)
        return tx.update(zero, tx.init(p), p, value=1.0)[0]

    decayed = 1 / 1.05 - 1
    check_close(shrunk(), gc.tree.full_like(p, decayed), 1e-6)
    masked = shrunk(weight_decay_mask=matrices_only)
    check_close(masked, {"w": jnp.full((2, 2), decayed), "b": jnp.zeros((2,))}, 1e-6)
