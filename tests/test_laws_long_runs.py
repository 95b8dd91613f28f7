"""Law: 300 steps in float16 and bfloat16 follow 300 steps in float64.

The parameters are kept in float32 beside the run (see `with_master_weights`), so that what differs is what
the optimizer computes and keeps. `python tests/test_laws_long_runs.py` prints the worst rows.
"""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import TYPICAL, Case, ids
from trees import enable_x64, params, wide

OPTIMIZERS = [case for case in TYPICAL if case.optimizer]
STEPS = 300
LOW = ("bfloat16", "float16", "bfloat16")  # of the three leaves
LIMITS = [0.02, 0.005, 0.02]
"""How far a leaf may be from where float64 leads, in parts of its way: about five unit roundoffs."""
EDGES = [0.0, 6e-8, -65504.0, 1e-3, -1.0, 0.0, 3e-5, 200.0]
"""Gradients: zeros, float16's least and largest, a subnormal one, and others between."""

LEAVES, TREE = jax.tree.flatten(params("float32"))
START = [wide(x.astype(dtype)) for x, dtype in zip(LEAVES, LOW, strict=True)]


@functools.lru_cache(maxsize=4)
def walk(case: Case, dtypes: tuple[str, ...]) -> Callable[[Any, Any, Any], Any]:
    """All steps as one program, from kept parameters, gradients and the pull of a bowl: the way."""
    tx = case.make()

    def lowered(tree: Any) -> Any:
        leaves, treedef = jax.tree.flatten(tree)
        return treedef.unflatten([x.astype(dtype) for x, dtype in zip(leaves, dtypes, strict=True)])

    @jax.jit
    def run(kept: Any, stream: Any, pull: Any) -> Any:
        def step(carry: Any, g: Any) -> Any:
            kept, state = carry
            p, g = lowered(kept), lowered(jax.tree.map(lambda g, k: g + pull * (k - 1), g, kept))
            u, state = tx.update(g, state, p, **case.more(p, 0))
            kept = jax.tree.map(lambda k, u: k + u.astype(k.dtype), kept, u)
            return (kept, state), kept

        return jax.lax.scan(step, (kept, tx.init(lowered(kept))), stream)[1]

    return run


def ways(case: Case, stream: list[Any], pull: float) -> tuple[list[Any], list[Any]]:
    """The ways of a run in low precision and of one in float64, under gradients that every dtype holds."""
    gs = [wide(jnp.asarray(g, dtype)) for g, dtype in zip(stream, LOW, strict=True)]

    def way(dtypes: tuple[str, ...], high: str) -> list[Any]:
        trees = [TREE.unflatten([jnp.asarray(x, high) for x in xs]) for xs in (START, gs)]
        return [np.asarray(x, "float64") for x in jax.tree.leaves(walk(case, dtypes)(*trees, pull))]

    low = way(LOW, "float32")
    exact = "float32" if case.random else "float64"  # other random numbers in float64
    with nullcontext() if case.random else enable_x64():
        return low, way((exact,) * 3, exact)


def lengths(way: list[Any]) -> list[Any]:
    """How far each leaf goes."""
    return [np.max(np.abs(x - start)) for x, start in zip(way, START, strict=True)]


def distances(case: Case) -> list[float]:
    """For each leaf, how far the two ways lie apart, in parts of the way.

    Under steady gradients; in a bowl what goes ever faster under these.
    """
    for pull in (0.0, 1.0):
        rng = np.random.default_rng(0)
        steady = [rng.normal(size=x.shape) * (1 - pull) for x in START]
        low, high = ways(case, [g + rng.normal(size=(STEPS, *g.shape)) for g in steady], pull)
        if max(lengths(high)) < 1e6:
            break
    return [np.max(np.abs(a - b)) / far for a, b, far in zip(low, high, lengths(high), strict=True)]


@pytest.mark.parametrize("case", **ids(OPTIMIZERS))
def test_long_runs_in_low_precision_follow_float64(case: Case) -> None:
    found = distances(case.started)
    assert all(d <= limit * case.long for d, limit in zip(found, LIMITS, strict=True)), found


@pytest.mark.parametrize("case", **ids([case for case in OPTIMIZERS if not case.cancels]))
def test_gradients_at_the_edges_are_never_silently_wrong(case: Case) -> None:
    """Where float16 overflows, it shows. All finite ones are right."""
    sizes = [np.resize(np.roll(EDGES, i), (STEPS, *x.shape)) for i, x in enumerate(START)]
    low, high = ways(case.started, sizes, 0.0)
    overflows = ~np.isfinite(low[1])
    for a, b, start in zip(low, high, START, strict=True):
        seen = np.isfinite(a)
        assert np.all(seen[~overflows])
        assert np.max(np.abs(a - b)[seen]) <= 0.1 * np.max(np.abs(b - start)[seen])


if __name__ == "__main__":
    rows = sorted(((max(distances(case.started)), case.id) for case in OPTIMIZERS), reverse=True)
    for worst, name in rows:
        print(f"{worst:.4f}  {name}")
