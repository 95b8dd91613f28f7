"""Laws of precision: dtypes are kept, half precision follows float32, zero gradients stay finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, OPTIMIZERS, Case, ids
from trees import check_close, enable_x64, gradients, params, run, wide

import gradchain as gc

HALF = {"float16": 2e-3, "bfloat16": 1.6e-2}


@pytest.mark.parametrize("case", **ids(CASES))
@pytest.mark.parametrize("dtype", list(HALF))
def test_half_precision_follows_float32(case: Case, dtype: str) -> None:
    low = params(dtype)
    high = jax.tree.map(lambda p: p.astype(jnp.float32), low)
    tx, low_state, high_state = case.make(), case.make().init(low), case.make().init(high)
    for step in range(4):
        g = gradients(low, step)
        extra = case.extra(low, step) if case.extra else {}
        updates, low_state = tx.update(g, low_state, low, **extra)
        g = jax.tree.map(lambda x: x.astype(jnp.float32), g)
        expected, high_state = tx.update(g, high_state, high, **extra)
        assert all(u.dtype == dtype for u in jax.tree.leaves(updates))
        check_close(updates, expected, HALF[dtype] * case.half)
    assert all(p.dtype == dtype for p in jax.tree.leaves(gc.apply_updates(low, updates)))


@pytest.mark.parametrize("case", **ids(CASES))
@pytest.mark.parametrize("dtype", ["float16", "complex64"])
def test_zero_gradients_give_finite_updates(case: Case, dtype: str) -> None:
    if dtype == "complex64" and not case.complex:
        return
    p = params(dtype)
    updates, state, p = run(gc, case.make(), p, 3, case.extra, scale=0.0)
    for leaf in jax.tree.leaves((updates, state, p)):
        assert np.all(np.isfinite(wide(leaf)))


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.complex]))
def test_complex_parameters_keep_their_dtype(case: Case) -> None:
    updates, state, p = run(gc, case.make(), params("complex64"), 3, case.extra)
    assert all(u.dtype == jnp.complex64 for u in jax.tree.leaves((updates, p)))
    assert all(np.all(np.isfinite(wide(leaf))) for leaf in jax.tree.leaves(state))
    for field in case.squares:
        assert all(v.dtype == jnp.float32 for v in jax.tree.leaves(getattr(state, field, ())))


@pytest.mark.parametrize("case", **ids(CASES))
def test_float64_is_computed_in_float64(case: Case) -> None:
    with enable_x64():
        p = params("float64")
        updates, state, moved = run(gc, case.make(), p, 3, case.extra)
        assert all(u.dtype == jnp.float64 for u in jax.tree.leaves((updates, moved)))
        again = case.make().init(p)
        assert [x.dtype for x in jax.tree.leaves(state)] == [x.dtype for x in jax.tree.leaves(again)]
    if not case.random:
        low, _, _ = run(gc, case.make(), params("float32"), 3, case.extra)
        check_close(low, updates, case.single)


@pytest.mark.parametrize("case", **ids(OPTIMIZERS))
def test_bfloat16_second_moments_follow_float32(case: Case) -> None:
    """1,000 unit gradients and then 1,000 zeros: sums of squares must keep moving."""
    tx = case.make()

    def second_moments(dtype: str) -> list[np.ndarray]:
        p = {"w": jnp.ones((2,), dtype)}

        def step(carry, scale):
            p, state = carry
            g = jax.tree.map(lambda x: jnp.ones_like(x) * scale.astype(x.dtype), p)
            _, state = tx.update(g, state, p, **(case.extra(p, 0) if case.extra else {}))
            return (p, state), [
                x
                for s in jax.tree.leaves(state, is_leaf=is_rule_state)
                if is_rule_state(s)
                for f in case.squares
                if f in s._fields
                for x in jax.tree.leaves(getattr(s, f))
            ]

        scales = jnp.concatenate([jnp.ones(1000), jnp.zeros(1000)])
        _, moments = jax.jit(lambda c: jax.lax.scan(step, c, scales))((p, tx.init(p)))
        return [wide(m)[[0, 99, 999, 1999]] for m in moments]

    def is_rule_state(s) -> bool:
        return bool(set(case.squares) & set(getattr(s, "_fields", ())))

    for low, high in zip(second_moments("bfloat16"), second_moments("float32"), strict=True):
        np.testing.assert_allclose(low, high, rtol=0.01)
