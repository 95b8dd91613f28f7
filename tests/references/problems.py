"""What papers' algorithms are compared on: a start, gradients there and on the way, in NumPy."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

Array = Any
Tree = dict[str, np.ndarray]


class Problem(NamedTuple):
    """A problem; its trees are NumPy's."""

    start: Any
    gradient: Any  # of (p, step)
    objective: Any = None  # as JAX computes it, for those that ask for `obj_fn`


def on(problem: Problem) -> Callable[[Any], Any]:
    """Says on what problem an algorithm is compared, if not on its module's PROBLEM."""

    def mark(algorithm: Any) -> Any:
        algorithm.problem = problem
        return algorithm

    return mark


def problem_of(algorithm: Any) -> Problem:
    """The problem on which an algorithm is compared."""
    return getattr(algorithm, "problem", sys.modules[algorithm.__module__].PROBLEM)


def noisy(p: Array, step: int) -> Array:
    """A gradient that depends on where it is taken, with noise of many sizes."""
    rng = np.random.default_rng(step)
    return p + rng.normal(size=p.shape) * 10 ** rng.uniform(-2, 1, p.shape)


def noisy_bowl(p: Tree, step: int) -> Tree:
    """Of a bowl, and noise."""
    rng = np.random.default_rng(step + 1)
    return {k: 2 * (x - 1) + 0.1 * rng.normal(size=x.shape) for k, x in p.items()}


def quartic(p: Any) -> Any:
    """A loss whose Hessian is diagonal."""
    return sum((x**4).sum() / 4 for x in jax.tree.leaves(p))


def matrix_and_vector() -> Tree:
    """Where a tree begins."""
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}


MATRIX = Problem(np.random.default_rng(7).normal(size=(4, 3)), noisy)
TREE = Problem(matrix_and_vector(), noisy_bowl)
QUARTIC = Problem(matrix_and_vector(), lambda p, step: {k: x**3 for k, x in p.items()}, quartic)
