"""Laws of precision: dtypes are kept, half precision follows float32, zero gradients stay finite."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, HALF, OPTIMIZERS, TYPICAL, Case, ids, in_dtypes
from parity import check_tells
from trees import check_close, enable_x64, gradients, params, wide, worst

import gradchain as gc
from gradchain.precision.slot_kinds import never_negative, stays
from gradchain.precision.state_slots import state_leaves
from gradchain.tree.paths import leaves_with_path, path_name


def raised(tree: Any) -> Any:
    """The same numbers in float32."""
    return jax.tree.map(lambda x: x.astype(jnp.float32), tree)


def check_lands(p: Any, updates: Any, expected: Any, limit: float) -> None:
    """Asserts that float32 updates of low-precision parameters lead where those of float32 parameters do.

    They are the exact difference of two parameters. A step is larger than the tolerance.
    """
    assert all(u.dtype == jnp.float32 for u in jax.tree.leaves(updates))
    new, aim = gc.apply_updates(p, updates), gc.apply_updates(raised(p), expected)
    check_close(jax.tree.map(jnp.subtract, raised(new), raised(p)), updates, 0)
    check_close(new, aim, limit)
    assert worst(raised(p), aim) > limit


@pytest.mark.parametrize(**in_dtypes(bfloat16=CASES, float16=TYPICAL))
def test_half_precision_follows_float32(case: Case, dtype: str) -> None:
    """While the parameters move by a quarter a step, which they do without a rounding.

    What lands is held to its promise: the parameters follow, and updates are their differences.
    """
    case, limit, low, seen = case.started, HALF[dtype] * case.half, params(dtype), []
    low_state, high_state = case.make().init(low), case.make().init(raised(low))
    for step in range(4):
        g, extra = gradients(low, step), case.more(low, step)
        updates, low_state = case.step(g, low_state, low, **extra)
        expected, high_state = case.step(raised(g), high_state, raised(low), **extra)
        if case.lands:
            check_lands(low, updates, expected, limit)
        else:
            assert all(u.dtype == dtype for u in jax.tree.leaves(updates))
            check_close(updates, expected, limit)
        seen.append(jax.tree.leaves(expected))
        low = jax.tree.map(lambda p: p - jnp.asarray(0.25, p.dtype), low)
    check_tells(case, seen, limit)
    assert all(p.dtype == dtype for p in jax.tree.leaves(gc.apply_updates(low, updates)))


COMPLEX = [case for case in TYPICAL if case.complex]


@pytest.mark.parametrize(**in_dtypes(float16=TYPICAL, complex64=COMPLEX))
def test_zero_gradients_give_finite_updates(case: Case, dtype: str) -> None:
    p = params(dtype)
    updates, state, p = case.run(p, 3, scale=0.0)
    for leaf in jax.tree.leaves((updates, state, p)):
        assert np.all(np.isfinite(wide(leaf)))


@pytest.mark.parametrize("case", **ids(COMPLEX))
def test_complex_parameters_keep_their_dtype(case: Case) -> None:
    updates, state, p = case.run(params("complex64"), 3)
    assert all(u.dtype == jnp.complex64 for u in jax.tree.leaves((updates, p)))
    assert all(np.all(np.isfinite(wide(leaf))) for leaf in jax.tree.leaves(state))
    for field in case.squares:
        assert all(v.dtype == jnp.float32 for v in jax.tree.leaves(getattr(state, field, ())))


def check_slots(case: Case, p: Any, first: Any, state: Any) -> None:
    """What `quantize_state` takes for never negative is not, and copies of parameters are known to it."""
    parameters = {path_name(path): x for path, x in leaves_with_path(p)}
    init = case.make().init
    for leaf in state_leaves(init, p, state):
        if never_negative(leaf.owner, leaf.slot):
            assert np.all(wide(leaf.value) >= 0), (leaf.owner, leaf.slot)
    for leaf in state_leaves(init, p, first):
        if leaf.parameter is not None and np.all(wide(leaf.value) == wide(parameters[leaf.parameter])):
            assert stays(leaf.owner, leaf.slot, True), (leaf.owner, leaf.slot)


@pytest.mark.parametrize("case", **ids(CASES))
def test_float64_is_computed_in_float64(case: Case) -> None:
    case = case.started
    with enable_x64():
        p = params("float64")
        updates, state, moved = case.run(p, 3)
        assert all(u.dtype == jnp.float64 for u in jax.tree.leaves((updates, moved)))
        again = case.make().init(p)
        assert [x.dtype for x in jax.tree.leaves(state)] == [x.dtype for x in jax.tree.leaves(again)]
        check_slots(case, p, again, state)
    if not case.random:
        low, _, low_moved = case.run(params("float32"), 3)
        check_close((low, low_moved), (updates, moved), 1e-4)


def second_moments(case: Case, state: Any) -> list[Any]:
    """The arrays in the fields `squares` of every rule's state within a state."""

    def has_some(s: Any) -> bool:
        return not set(case.squares).isdisjoint(getattr(s, "_fields", ()))

    rules = filter(has_some, jax.tree.leaves(state, is_leaf=has_some))
    fields = [getattr(s, field) for s in rules for field in case.squares if field in s._fields]
    return jax.tree.leaves(fields)


SQUARES = [case for case in OPTIMIZERS if second_moments(case, jax.eval_shape(case.make().init, params()))]


@pytest.mark.parametrize("case", **ids(SQUARES))
def test_bfloat16_second_moments_follow_float32(case: Case) -> None:
    """1,000 unit gradients and then 1,000 zeros: sums of squares must keep moving."""
    tx = case.make()
    scales = jnp.concatenate([jnp.ones(1000), jnp.zeros(1000)])

    def moments(p: Any) -> list[Any]:
        def step(state, scale):
            g = jax.tree.map(lambda x: jnp.ones_like(x) * scale.astype(x.dtype), p)
            _, state = tx.update(g, state, p, **case.more(p, 0))
            return state, second_moments(case, state)

        _, found = jax.lax.scan(step, tx.init(p), scales)
        return [m[jnp.array([0, 99, 999, 1999])] for m in found]

    low, high = jax.jit(lambda *ps: [moments(p) for p in ps])(
        {"w": jnp.ones((2,), "bfloat16")}, {"w": jnp.ones((2,), "float32")}
    )
    for ours, exact in zip(low, high, strict=True):
        np.testing.assert_allclose(wide(ours), wide(exact), rtol=0.01)


@pytest.mark.parametrize("case", **ids([case for case in OPTIMIZERS if not case.extra]))
def test_updates_have_the_wider_dtype_of_gradient_and_parameter(case: Case) -> None:
    """Without a state, only what reads the parameters is wider than the gradient. What lands: float32."""
    tx = case.make()
    for p_dtype, g_dtype in itertools.product([*HALF, "float32"], repeat=2):
        p = params(p_dtype)
        g = jax.tree.map(lambda x, dtype=g_dtype: x.astype(dtype), gradients(p, 0))
        updates, state = jax.eval_shape(lambda g, p: tx.update(g, tx.init(p), p), g, p)
        with jax.numpy_dtype_promotion("standard"):
            expected = {jnp.promote_types(p_dtype, g_dtype)}
        found = {u.dtype for u in jax.tree.leaves(updates)}
        if case.lands:
            assert found == {jnp.dtype("float32")}
            continue
        keeps_some = any(jnp.issubdtype(x.dtype, jnp.inexact) for x in jax.tree.leaves(state))
        assert found == expected if keeps_some else found <= expected | {jnp.dtype(g_dtype)}
