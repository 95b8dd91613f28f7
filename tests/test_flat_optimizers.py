"""What Optax's optimizers could not do: offsets, masks, schedules, scalars, meta-gradients."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from trees import check_close, enable_x64, gradients, params, run, wide

import gradchain as gc

NETWORK = {
    "embedding": jnp.ones((5, 3)),
    "blocks": {"attention": {"kernel": jnp.ones((2, 3, 3)), "bias": jnp.ones((2, 3))}},
    "final_LayerNorm": {"scale": jnp.ones((3, 1))},
    "head": [jnp.ones((3, 2)), jnp.ones((2,)), jnp.ones(())],
}


def test_decay_matrices_only_is_a_mask() -> None:
    assert gc.decay_matrices_only(NETWORK) == {
        "embedding": False,
        "blocks": {"attention": {"kernel": True, "bias": False}},
        "final_LayerNorm": {"scale": False},
        "head": [True, False, False],
    }
    everywhere = gc.decay_matrices_only(exclude=())
    assert everywhere(NETWORK)["embedding"]
    assert everywhere(NETWORK)["blocks"]["attention"]["bias"]
    assert gc.decay_matrices_only({"a": None, "b": jax.ShapeDtypeStruct((2, 2), "float32")}) == {
        "a": None,
        "b": True,
    }


def test_decay_masks_go_by_value() -> None:
    mask = gc.decay_matrices_only(exclude=["norm", "bias"])
    tx = gc.adamw(1e-3, mask=mask)
    assert repr(tx) == "adamw(learning_rate=0.001, mask=decay_matrices_only(exclude=('norm', 'bias')))"
    for again in (eval(repr(tx), dict(vars(gc))), pickle.loads(pickle.dumps(tx)), copy.deepcopy(tx)):
        assert again == tx
        assert hash(again) == hash(tx)
    assert mask == gc.decay_matrices_only(exclude=("norm", "bias")) != gc.decay_matrices_only(exclude=())
    assert repr(gc.adamw(1e-3, mask=gc.decay_matrices_only)).endswith("mask=decay_matrices_only)")
    with pytest.raises(TypeError, match="exclude must be a sequence of words, received 'norm'"):
        gc.decay_matrices_only(exclude="norm")


def test_a_decay_mask_is_obeyed() -> None:
    zeros = jax.tree.map(jnp.zeros_like, NETWORK)
    for factory in (gc.lion, gc.novograd, gc.sm3, gc.signum):
        tx = factory(0.1, weight_decay=0.5, weight_decay_mask=gc.decay_matrices_only)
        updates, _ = tx.update(zeros, tx.init(NETWORK), NETWORK)
        check_close(updates["head"][0], jnp.full((3, 2), -0.05), 1e-6)
        assert not np.any(updates["embedding"])
        assert not np.any(updates["blocks"]["attention"]["bias"])


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_adafactor_with_an_offset_starts_as_without(momentum) -> None:
    p = {"w": params()["w"]}
    plain = run(gc, gc.adafactor(0.1, 2, momentum=momentum), p, 10)
    offset = run(gc, gc.adafactor(0.1, 2, decay_offset=7, momentum=momentum), p, 10)
    check_close(offset[0], plain[0], 1e-7)
    check_close(offset[2], plain[2], 1e-7)
    assert offset[1][0].count == 17
    broken = run(optax, optax.adafactor(0.1, 2, decay_offset=7, momentum=momentum), p, 10)
    assert not np.all(np.isfinite(wide(broken[2]["w"])))


def test_adafactor_goes_on_from_the_state_of_a_longer_run() -> None:
    """After 1,000 steps, fine-tuning with that offset forgets them at its first step, as Optax's does."""
    p = {"w": params()["w"]}
    for module in (gc, optax):
        tx = module.scale_by_factored_rms(min_dim_size_to_factor=2, step_offset=1000)
        state = tx.init(p)._replace(count=jnp.asarray(1000, jnp.int32), v_row={"w": jnp.full((2,), 9.0)})
        _, state = tx.update(gradients(p, 0), state, p)
        rows = jnp.mean(gradients(p, 0)["w"] ** 2, axis=0)
        check_close(state.v_row["w"], rows, 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("b2", [1.0, 0.9])
def test_sm3_equals_optax_where_optax_runs(dtype: str, b2: float) -> None:
    with enable_x64():
        p = {"w": params(dtype)["w"], "v": params(dtype)["deep"][0]["b"], "t": jnp.ones((2, 3, 2), dtype)}
        ours = run(gc, gc.scale_by_sm3(0.8, b2, 1e-3), p, 20)
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            theirs = run(optax, optax.scale_by_sm3(0.8, b2, 1e-3), p, 20)
        check_close(ours, theirs, 1e-6)
        assert jax.tree.structure(ours[1].mu) == jax.tree.structure(theirs[1].mu)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distance_over_gradients_equals_optax_where_optax_runs(dtype: str) -> None:
    with enable_x64():
        p = {"w": params(dtype)["w"], "v": params(dtype)["deep"][0]["b"]}
        settings = (0.1, 1e-3, dtype, 0.5)
        ours = run(gc, gc.scale_by_distance_over_gradients(*settings), p, 20)
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            theirs = run(optax, optax.scale_by_distance_over_gradients(*settings), p, 20)
        check_close(ours, theirs, 1e-6)


def test_float32_radam_has_the_digits_of_float64() -> None:
    def steps(module, dtype: str) -> np.ndarray:
        p = {"w": jnp.ones((3,), dtype)}
        tx = module.scale_by_radam()
        state, rows = tx.init(p), []
        for step in range(12):
            updates, state = tx.update(gradients(p, step), state, p)
            rows.append(wide(updates["w"]))
        return np.stack(rows)

    with enable_x64(), jax.numpy_dtype_promotion("standard"):
        exact = steps(optax, "float64")
        np.testing.assert_allclose(steps(gc, "float64"), exact, rtol=1e-9)
    np.testing.assert_allclose(steps(gc, "float32"), exact, rtol=2e-5)
    with jax.numpy_dtype_promotion("standard"):
        assert np.max(np.abs(steps(optax, "float32") / exact - 1)) > 1e-3


def test_missing_value_is_named() -> None:
    p = params()
    for tx, name in ((gc.scale_by_polyak(), "scale_by_polyak"), (gc.polyak_sgd(), "polyak_sgd")):
        text = rf"{name} needs the extra argument value: call update\(grads, state, params, value=loss\)\."
        with pytest.raises(TypeError, match=text):
            tx.update(gradients(p, 0), tx.init(p), p)


def test_mistakes_are_explained() -> None:
    with pytest.raises(ValueError, match="scale_by_lion: mode must be 'hard', 'smooth' or 'refined'"):
        gc.lion(0.1, mode="soft")
    with pytest.raises(ValueError, match=r"scale_by_polyak: variant must be 'sps' or 'sps\+'"):
        gc.polyak_sgd(variant="spss")
    with pytest.raises(ValueError, match=r"adan: b3 must be in \[0, 1\), received 1\.5"):
        gc.adan(0.1, b3=1.5)
    with pytest.raises(ValueError, match="lion: mask and weight_decay_mask are two names"):
        gc.lion(0.1, mask=True, weight_decay_mask=True)
    with pytest.raises(ValueError, match="add_noise: key and seed are two names of one argument"):
        gc.add_noise(0.1, 0.5, 1, seed=1)
    with pytest.warns(DeprecationWarning, match="add_noise: seed is deprecated, use key"):
        assert gc.add_noise(0.1, 0.55, seed=1).init(params()) == gc.add_noise(0.1, 0.55, 1).init(params())
    with pytest.raises(TypeError, match="alpha cannot be a schedule, since its state counts no steps"):
        gc.optimistic_gradient_descent(0.1, lambda count: 1.0).init(params())


MANY = {
    "adabelief": {"eps": 0.0, "eps_root": 0.0},
    "adafactor": {},
    "adan": {"eps_root": 0.0},
    "amsgrad": {},
    "fromage": {},
    "lamb": {},
    "novograd": {"eps": 1e-6},
    "radam": {},
    "sm3": {},
    "yogi": {},
}


@pytest.mark.parametrize("name", MANY)
def test_meta_gradients_are_finite_where_gradients_vanish(name: str) -> None:
    """The derivative of the loss after 3 steps by the learning rate and by the first parameters."""

    def after(rate, w):
        p = {"w": w, "dead": jnp.ones((2, 2))}
        tx = getattr(gc, name)(rate, **MANY[name])
        state = tx.init(p)
        for _ in range(3):
            g = {"w": p["w"] * jnp.array([[1.0, 0.0], [2.0, 0.0]]), "dead": jnp.zeros((2, 2))}
            updates, state = tx.update(g, state, p)
            p = gc.apply_updates(p, updates)
        return jnp.sum(p["w"] ** 2) + jnp.sum(p["dead"])

    value, slopes = jax.value_and_grad(after, (0, 1))(jnp.float32(0.1), jnp.array([[1.0, 2.0], [3.0, 0.0]]))
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((value, slopes)))


@pytest.mark.parametrize("name", ["rprop", "sm3", "yogi", "adan", "lamb", "radam", "lion"])
def test_a_complex_entry_with_no_imaginary_part_moves_as_a_real_one(name: str) -> None:
    p = {"w": jnp.array([1.0, -2.0, 3.0])}
    q = {"w": p["w"].astype(jnp.complex64)}
    arguments = {"yogi": {}}.get(name, {})
    tx = getattr(gc, name)(0.1, **arguments)
    s, t = tx.init(p), tx.init(q)
    if name == "yogi":  # whose first moment begins at 1e-6, real
        assert s[0].mu["w"].dtype == jnp.float32
    for step in range(5):
        g = gradients(p, step)
        u, s = tx.update(g, s, p)
        v, t = tx.update(jax.tree.map(lambda x: x.astype(jnp.complex64), g), t, q)
        p, q = gc.apply_updates(p, u), gc.apply_updates(q, v)
    check_close(q["w"].real, p["w"], 1e-5)
    check_close(q["w"].imag, jnp.zeros(3), 1e-6)
