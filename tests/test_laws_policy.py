"""Law: the dtype policy of `docs/precision.md`, for parameters, gradients and states of all dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cases import CASES, Case, ids
from trees import params

import gradchain as gc
from gradchain.core import dtype_of, wider

LOWER = ["bfloat16", "float16", "float8_e4m3fn"], ["float32", "bfloat16", "float8_e5m2"]
MIXED = ["float32", "float8_e5m2", "bfloat16"], ["bfloat16", "float32", "float8_e4m3fn"]
"""Dtypes of parameters and of gradients."""
LOW = {jnp.dtype(d) for d in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")}


def typed(dtypes: list[str]) -> Any:
    """A tree whose leaves, none of them a scalar, have these dtypes."""
    leaves, treedef = jax.tree.flatten(params())
    return treedef.unflatten([jnp.ones(x.shape or (1,), d) for x, d in zip(leaves, dtypes, strict=True)])


def typed_leaves(state: Any) -> list[Any]:
    """Shape and dtype of each array."""
    return [(x.shape, x.dtype) for x in jax.tree.leaves(state)]


@pytest.mark.parametrize("case", **ids(CASES))
@pytest.mark.parametrize(("p_dtypes", "g_dtypes"), [LOWER, MIXED], ids=["lower", "mixed"])
def test_dtypes_follow_the_policy(case: Case, p_dtypes: list[str], g_dtypes: list[str]) -> None:
    p, g, tx = typed(p_dtypes), typed(g_dtypes), case.make()
    first = jax.eval_shape(tx.init, p)
    like = typed_leaves(first)
    scalars = [x for x in jax.tree.leaves(first) if x.ndim == 0]
    assert not LOW & {x.dtype for x in scalars}, "hyperparameters and counts are never low"

    def steps(g: Any, state: Any, p: Any) -> Any:
        updates, after = tx.update(g, state, p, **case.more(p, 0))
        return updates, after, gc.apply_updates(p, updates) if case.optimizer else p

    updates, after, moved = jax.eval_shape(steps, g, first, p)
    assert typed_leaves(after) == like
    assert jax.tree.structure(after) == jax.tree.structure(first)
    assert [x.dtype for x in jax.tree.leaves(moved)] == p_dtypes
    for u, g_, p_ in zip(*map(jax.tree.leaves, (updates, g, p)), strict=True):
        widest = wider(g_.dtype, p_.dtype)
        allowed = {widest, jnp.dtype("float32")} if case.lands else {g_.dtype, widest}
        assert dtype_of(u) in allowed
