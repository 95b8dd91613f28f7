"""Laws: updates look like gradients; the state keeps its structure, so that training scans."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cases import CASES, Case, ids
from trees import check_close, gradients, params, signature_of

import gradchain as gc


@pytest.mark.parametrize("case", **ids(CASES))
def test_updates_look_like_gradients_and_state_keeps_its_signature(case: Case) -> None:
    tx, p = case.make(), params()
    state = tx.init(p)
    g = gradients(p, 0)
    extra = case.more(p, 0)
    updates, new_state = tx.update(g, state, p, **extra)
    assert signature_of(updates) == signature_of(g)
    assert signature_of(new_state) == signature_of(state)
    assert type(new_state) is type(state)


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.extra]))
def test_a_scan_equals_a_loop(case: Case) -> None:
    """With extra arguments; without, `test_steps_scan_with_donated_arrays` says it of whole steps."""
    tx, p = case.make(), params()
    grads = [gradients(p, step) for step in range(3)]

    def step(carry, g):
        p, state = carry
        updates, state = tx.update(g, state, p, **case.more(p, 0))
        return (gc.apply_updates(p, updates), state), updates

    many = jax.tree.map(lambda *g: jnp.stack(g), *grads)
    scanned, _ = jax.jit(lambda p, s: jax.lax.scan(step, (p, s), many))(p, tx.init(p))
    state = tx.init(p)
    for g in grads:
        updates, state = case.step(g, state, p, **case.more(p, 0))
        p = gc.apply_updates(p, updates)
    check_close(scanned, (p, state), 1e-5)


def buffers(tree: Any) -> list[int]:
    """Where the arrays of a tree are in memory, one number each."""
    arrays = [x for x in jax.tree.leaves(tree) if isinstance(x, jax.Array) and x.size]
    keys = [x for x in arrays if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)]
    return [x.unsafe_buffer_pointer() for x in keys]


@pytest.mark.parametrize("case", **ids(CASES))
def test_parameters_and_state_may_be_donated_together(case: Case) -> None:
    """No two arrays share their memory."""
    tx, p = case.make(), params()
    state = tx.init(p)
    held = buffers((p, state))
    assert len(set(held)) == len(held)
    _, state = tx.update(gradients(p, 0), state, p, **case.more(p, 0))
    held = buffers((p, state))
    assert len(set(held)) == len(held)
