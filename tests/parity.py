"""How far gradchain's steps are from a reference's, for the law and for `docs/parity.md`."""

from contextlib import nullcontext
from typing import Any

import jax
import numpy as np
import optax
from cases import Case
from trees import enable_x64, gradients, params, wide, worst

import gradchain as gc

STEPS = 20


def fields(state: Any) -> list[str]:
    """The path of every leaf of a state, field names included."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return [jax.tree_util.keystr(path) for path, _ in leaves]


def along_steps(run: list[Any]) -> list[np.ndarray]:
    """Leaves stacked over the steps."""
    return [np.stack([wide(x) for x in leaves]) for leaves in zip(*run, strict=True)]


def error_to_optax(case: Case, dtype: str) -> float:
    """The worst relative error of updates, state and parameters over 20 steps.

    Relative to each leaf's largest entry over the whole run: a sum that passes zero has no digits.
    Asserts that the states have the same fields.
    """
    with enable_x64() if dtype == "float64" else nullcontext():
        ours, theirs = case.make(gc), case.make(optax)
        p = q = params(dtype)
        s, t = ours.init(p), theirs.init(q)
        assert fields(s) == fields(t)
        ours_run, theirs_run = [], []
        for step in range(STEPS):
            g = gradients(p, step)
            extra = case.extra(p, step) if case.extra else {}
            u, s = ours.update(g, s, p, **extra)
            p = gc.apply_updates(p, u)
            with jax.numpy_dtype_promotion("standard"):
                v, t = theirs.update(g, t, q, **extra)
                q = optax.apply_updates(q, v)
            ours_run.append(jax.tree.leaves((u, s, p)))
            theirs_run.append(jax.tree.leaves((v, t, q)))
        return worst(along_steps(ours_run), along_steps(theirs_run))
