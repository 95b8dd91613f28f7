"""Laws of the whole step: it is `update`, then `apply_updates`, wherever and however it runs."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cases import CASES, TYPICAL, Case, ids, in_dtypes
from trees import check_close, compiled, gradients, params, signature_of

import gradchain as gc


def in_two(case: Case) -> Any:
    """`update`, then `apply_updates`, of one row in the order of a step."""
    tx = case.make()

    def step(g: Any, state: Any, p: Any, **extra: Any) -> Any:
        updates, state = tx.update(g, state, p, **extra)
        return gc.apply_updates(p, updates), state

    return step


@pytest.mark.parametrize(**in_dtypes(float32=CASES, bfloat16=TYPICAL))
def test_a_step_is_update_and_apply_updates(case: Case, dtype: str) -> None:
    """To the last bit in one program each, with parameters and state of its own at every step."""
    whole, halves = case.full_step, compiled(in_two(case))
    p = expected = params(dtype)
    state = expected_state = case.make().init(p)
    for t in range(4):
        g, before = gradients(p, t), signature_of((p, state))
        p, state = whole(g, state, p, **case.more(p, t))
        expected, expected_state = halves(g, expected_state, expected, **case.more(expected, t))
        assert signature_of((p, state)) == before  # so it scans
        rtol = case.whole * (1.0 if dtype == "float32" else 1e4)
        check_close((p, state), (expected, expected_state), rtol)


@pytest.mark.parametrize("case", **ids([case for case in TYPICAL if case.extra is None]))
def test_steps_scan_with_donated_arrays(case: Case) -> None:
    tx = case.make()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def train(p: Any, state: Any, grads: Any) -> Any:
        def step(carry: Any, g: Any) -> Any:
            return tx.step(g, carry[1], carry[0]), None

        return jax.lax.scan(step, (p, state), grads)[0]

    p = params()
    grads = [gradients(p, t) for t in range(4)]
    expected, expected_state = p, tx.init(p)
    for g in grads:
        expected, expected_state = case.full_step(g, expected_state, expected)
    trained = train(params(), tx.init(p), jax.tree.map(lambda *xs: jnp.stack(xs), *grads))
    check_close(trained, (expected, expected_state), 2e-6)
