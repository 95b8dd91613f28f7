"""How far gradchain's steps are from a reference's, for the law and for `docs/parity.md`."""

import inspect
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import Case
from references.problems import problem_of
from trees import compiled, enable_x64, gradients, params, wide, worst

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


def error_to_paper(case: Case) -> float:
    """The worst relative error of the parameters over 12 steps, in float64, where the loss is |p|^2.

    A rule without a learning rate is followed by the algorithm's. Asserts that every parameter moves.
    """
    problem = problem_of(case.paper)
    given = {k: v.default for k, v in inspect.signature(case.factory).parameters.items()}
    given = given | case.call | case.at
    wanted = inspect.signature(case.paper).parameters
    algorithm = case.paper(copied(problem.start), **{k: given[k] for k in wanted if k in given})
    with enable_x64():
        tx, p = case.make(**case.at), jax.tree.map(jnp.asarray, problem.start)
        if not case.optimizer:
            tx = gc.chain(tx, gc.scale(-wanted["learning_rate"].default))
        update, state, expected = compiled(tx.update), tx.init(p), copied(next(algorithm))
        extra = {"obj_fn": problem.objective} if problem.objective else {}
        ours, theirs = [], []
        for step in range(12):
            gradient = problem.gradient(expected, step)
            value = sum(jnp.sum(x**2) for x in jax.tree.leaves(expected))
            updates, state = update(jax.tree.map(jnp.asarray, gradient), state, p, value=value, **extra)
            p, expected = gc.apply_updates(p, updates), copied(algorithm.send(gradient))
            ours.append(jax.tree.leaves(p))
            theirs.append(jax.tree.leaves(expected))
        for x, start in zip(theirs[-1], jax.tree.leaves(problem.start), strict=True):
            assert np.all(np.abs(x - start) > 1e-6)
        return worst(along_steps(ours), along_steps(theirs))


def copied(tree: Any) -> Any:
    """A copy of NumPy arrays, which algorithms may change."""
    return jax.tree.map(np.array, tree)


def error_to_trajectory(reference: dict[str, Any], case: dict[str, Any]) -> float:
    """The worst relative error, in float64, over the steps that a file of `references/` has."""

    def float64(tree: dict[str, Any]) -> dict[str, Any]:
        return {name: jnp.asarray(np.asarray(value, np.float64)) for name, value in tree.items()}

    with enable_x64():
        tx = eval(case["gradchain"], dict(vars(gc)))
        p = float64(reference["params"])
        state, update, steps = tx.init(p), jax.jit(tx.update), []
        for grads in reference["grads"]:
            updates, state = update(float64(grads), state, p)
            p = gc.apply_updates(p, updates)
            steps.append(jax.tree.leaves(p))
        expected = [jax.tree.leaves(float64(step)) for step in case["trajectory"]]
    return worst(along_steps(steps), along_steps(expected))
