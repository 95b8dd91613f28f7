"""Law: the numbers, and the fields of the state, are Optax's."""

import jax
import numpy as np
import optax
import pytest
from cases import TWINS, Case, ids
from trees import check_close, enable_x64, gradients, params, wide

import gradchain as gc


def fields(state) -> list[str]:
    """The path of every leaf of a state, field names included."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return [jax.tree_util.keystr(path) for path, _ in leaves]


@pytest.mark.parametrize("case", **ids(TWINS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twenty_steps_equal_optax(case: Case, dtype: str) -> None:
    if dtype == "float64":
        with enable_x64():
            compare(case, dtype, 1e-6)
    else:
        compare(case, dtype, case.rtol)


def compare(case: Case, dtype: str, rtol: float) -> None:
    ours, theirs = case.make(gc), case.make(optax)
    p = q = params(dtype)
    s, t = ours.init(p), theirs.init(q)
    assert fields(s) == fields(t)
    ours_run, theirs_run = [], []
    for step in range(20):
        g = gradients(p, step)
        extra = case.extra(p, step) if case.extra else {}
        u, s = ours.update(g, s, p, **extra)
        p = gc.apply_updates(p, u)
        with jax.numpy_dtype_promotion("standard"):
            v, t = theirs.update(g, t, q, **extra)
            q = optax.apply_updates(q, v)
        ours_run.append(jax.tree.leaves((u, s, p)))
        theirs_run.append(jax.tree.leaves((v, t, q)))
    # Relative to each leaf's largest entry over the whole run: a sum that passes zero has no digits.
    check_close(along_steps(ours_run), along_steps(theirs_run), rtol)


def along_steps(run: list) -> list:
    """Leaves stacked over the steps."""
    return [np.stack([wide(x) for x in leaves]) for leaves in zip(*run, strict=True)]
