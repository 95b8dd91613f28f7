"""How far gradchain's steps are from a reference's, for the law and for `docs/parity.md`."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
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


def check_tells(case: Case, run: list[Any], rtol: float) -> None:
    """Asserts that a tolerance tells the updates of a run from their opposite, and from no step at all.

    In every leaf if the row is an optimizer, else in one; and that none grows beyond all numbers.
    """
    updates = along_steps(run)
    assert all(np.all(np.isfinite(u)) for u in updates)
    told = [worst(-u, u) > rtol and worst(np.zeros_like(u), u) > rtol for u in updates]
    assert case.constant or (all(told) if case.optimizer else any(told))


def valley(x: Any) -> Any:
    """Rosenbrock's valley, scaled down to suit all rates."""
    return ((1 - x[..., 0]) ** 2 + 100 * (x[..., 1] - x[..., 0] ** 2) ** 2) / 100


@jax.jit
@jax.grad
def downhill(p: Any) -> Any:
    """The gradient of a valley for each pair of numbers, and a bowl for the last."""
    inner, (last,) = p["deep"]
    return jnp.sum(valley(p["w"])) + valley(inner["b"]) + (last - 1) ** 2


def random_problem(dtype: str) -> tuple[Any, Any]:
    """Parameters, and gradients that do not depend on them."""
    return params(dtype), gradients


def rosenbrock_problem(dtype: str) -> tuple[Any, Any]:
    """Where Rosenbrock's function usually begins, and elsewhere; and its gradient."""
    w, b = jnp.array([[-1.2, 1.0], [0.0, 1.5], [1.5, 0.5]], dtype), jnp.array([-1.2, 1.0], dtype)
    return {"w": w, "deep": ({"b": b}, [jnp.array(0.5, dtype)])}, lambda p, step: downhill(p)


PROBLEMS = {"random": random_problem, "rosenbrock": rosenbrock_problem}


def error_to_optax(case: Case, dtype: str, problem: str = "random") -> float:
    """The worst relative error of updates, state and parameters over 20 steps.

    Relative to each leaf's largest entry over the whole run: a sum that passes zero has no digits.
    Asserts that the states have the same fields.
    """
    with enable_x64() if dtype == "float64" else nullcontext():
        ours, theirs = case.make(gc), case.make(optax)
        p, gradient = PROBLEMS[problem](dtype)
        q = p
        s, t = ours.init(p), theirs.init(q)
        assert fields(s) == fields(t)
        ours_run, theirs_run, steps = [], [], []
        for step in range(STEPS):
            extra = case.more(p, step)
            g, h = gradient(p, step), gradient(q, step)
            u, s = case.step(g, s, p, **extra)
            p = gc.apply_updates(p, u)
            with jax.numpy_dtype_promotion("standard"):
                v, t = case.optax_step(h, t, q, **extra)
                q = optax.apply_updates(q, v)
            ours_run.append(jax.tree.leaves((u, s, p)))
            theirs_run.append(jax.tree.leaves((v, t, q)))
            steps.append(v)
        check_tells(case, [jax.tree.leaves(v) for v in steps], max(case.rtol, case.exact))
        return worst(along_steps(ours_run), along_steps(theirs_run))


def noisy(p: Any, step: int) -> Any:
    """A gradient that depends on where it is taken, with noise of many sizes."""
    rng = np.random.default_rng(step)
    return p + rng.normal(size=p.shape) * 10 ** rng.uniform(-2, 1, p.shape)


def error_to_paper(
    written: Callable[[Any], Iterator[Any]], make: Callable[[], Any], steps: int = 10
) -> float:
    """The worst relative error of the parameters over some steps, in float64, for a value of |p|^2.

    Args: written, an algorithm that takes gradients by `send` and gives parameters; make, gradchain's.
    Asserts that every parameter moves.
    """
    start = np.random.default_rng(7).normal(size=(4, 3))
    with enable_x64():
        tx, p = make(), jnp.asarray(start)
        state, paper = tx.init(p), written(start)
        expected = next(paper)
        ours, theirs = [], []
        for step in range(10):
            gradient = noisy(expected, step)
            value = jnp.sum(jnp.asarray(expected) ** 2)
            updates, state = tx.update(jnp.asarray(gradient), state, p, value=value)
            p, expected = gc.apply_updates(p, updates), paper.send(gradient)
            ours.append([p])
            theirs.append([expected])
        assert np.all(np.abs(expected - start) > 1e-6)
        return worst(along_steps(ours), along_steps(theirs))
