"""What communicates, written out in NumPy float64 for several workers.

Generators as in `papers.py`: they give the parameters and take gradients, a list of those of all workers.
Where workers go different ways, both are lists. Given one array, they are for one worker.
"""

from collections.abc import Generator
from typing import Any

import jax
import numpy as np

from .problems import MATRIX, Array

Algorithm = Generator[Any, Any, None]
PROBLEM = MATRIX


def _workers(g: Any) -> list[Array]:
    return g if isinstance(g, list) else [g]


def diloco(p: Array, every, learning_rate=0.1, rate=0.7, momentum=0.9, workers=0) -> Algorithm:
    """Douillard et al., 2023, algorithm 1: gradient descent inside, Nesterov's momentum outside."""
    start, m, t = p, 0.0, 0
    ps = [p] * (workers or 1)
    while True:
        gs = yield ps if workers else ps[0]
        ps, t = [p - learning_rate * g for p, g in zip(ps, _workers(gs), strict=True)], t + 1
        if t % every == 0:
            d = np.mean([start - p for p in ps], axis=0)
            m = momentum * m + d
            start = start - rate * (momentum * m + d)
            ps = [start] * len(ps)


def start_of(shape: tuple[int, ...], rank: int, leaf: int) -> Array:
    """Q as ours begins."""
    key = jax.random.fold_in(jax.random.key(0), leaf)
    return np.asarray(jax.random.normal(key, (1, shape[1], min(rank, *shape)), "float32")[0], float)


def power_sgd(p: Array, rank, learning_rate=0.1, leaf=0) -> Algorithm:
    """Vogels et al., 2019, algorithms 1 and 2, without momentum; the errors are the authors'."""
    q, errors = start_of(p.shape, rank, leaf), None
    while True:
        gs = _workers((yield p))
        ms = [g + e for g, e in zip(gs, errors or [0.0] * len(gs), strict=True)]
        left, _ = np.linalg.qr(np.mean([m @ q for m in ms], axis=0))
        q = np.mean([m.T @ left for m in ms], axis=0)
        u = left @ q.T
        errors = [m - u for m in ms]
        p = p - learning_rate * u


def sign_majority_vote(p: Array, learning_rate=0.03) -> Algorithm:
    """Bernstein et al., 2018, algorithm 3."""
    while True:
        p = p - learning_rate * np.sign(sum(np.sign(g) for g in _workers((yield p))))


def ef_sign(p: Array, learning_rate=0.1) -> Algorithm:
    """Karimireddy et al., 2019, algorithm 1, for one worker."""
    e = 0.0
    while True:
        a = (yield p) + e
        u = np.mean(np.abs(a)) * np.sign(a)
        p, e = p - learning_rate * u, a - u


def mean_size(x: Array) -> float:
    """The mean absolute value of what is not 0."""
    return np.sum(np.abs(x)) / max(np.count_nonzero(x), 1)


def two_ways(p: Array, learning_rate=0.1) -> Algorithm:
    """Zheng et al., 2019, algorithm 2, without momentum: signs to the server and back, one size for all."""
    errors, f = None, np.zeros_like(p)
    while True:
        gs = _workers((yield p))
        a = [g + e for g, e in zip(gs, errors or [0.0] * len(gs), strict=True)]
        size = np.mean([mean_size(x) for x in a])
        errors = [x - size * np.sign(x) for x in a]
        v = size * np.mean([np.sign(x) for x in a], axis=0) + f  # a tie is exactly 0
        u = mean_size(v) * np.sign(v)
        p, f = p - learning_rate * u, v - u
