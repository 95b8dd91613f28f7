"""The papers' algorithms of matrix optimizers, in NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from references.problems import Problem, Tree, noisy_bowl


def matrix_vector_scalar() -> Tree:
    """Where a tree begins."""
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3), "s": rng.normal(size=())}


PROBLEM = Problem(matrix_vector_scalar(), noisy_bowl)

Algorithm = Iterator[Any]


def root_of(a: Any, exponent: float, eps: float) -> Any:
    """(a + eps)^exponent of a symmetric matrix."""
    values, vectors = np.linalg.eigh(a)
    return vectors @ np.diag((values - min(values.min(), 0) + eps) ** exponent) @ vectors.T


def shampoo(
    p: Tree, learning_rate, b1, b2, eps, precondition_frequency, weight_decay, graft, max_precond_dim
) -> Any:
    """Shi et al., 2023, Distributed Shampoo: factors, roots every few steps, and a graft."""
    cut = {  # the blocks of the matrix, and vectors as columns
        k: [np.s_[i : i + max_precond_dim] for i in range(0, max(x.shape[:1], default=1), max_precond_dim)]
        for k, x in (((k, np.atleast_1d(x)) for k, x in p.items()))
    }
    m, v = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    factors: dict[Any, Any] = {}
    t = 0
    while True:
        grads = yield p
        t += 1
        for k, g in grads.items():
            m[k] = b1 * m[k] + (1 - b1) * g
            v[k] = 0.999 * v[k] + 0.001 * g**2
            mean = m[k] / (1 - b1**t)
            plain = np.atleast_1d(mean / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8))
            step = np.zeros_like(plain)
            for i, block in enumerate(cut[k]):
                part = np.atleast_1d(g)[block]
                x = np.atleast_1d(mean)[block]
                grams = [part @ part.T, part.T @ part] if part.ndim == 2 else [np.outer(part, part)]
                olds = factors.get((k, i), [(0 * a, np.eye(len(a))) for a in grams])
                news = []
                for a, (old, root) in zip(grams, olds, strict=True):
                    total = old + a if b2 == 1 else b2 * old + (1 - b2) * a
                    if t % precondition_frequency == 0:
                        bias = 1 if b2 == 1 else 1 - b2**t
                        root = root_of(total / bias, -0.5 / len(grams), eps)
                    news.append((total, root))
                factors[k, i] = news
                x = news[0][1] @ x
                x = x @ news[1][1] if len(news) == 2 else x
                if graft is not None:
                    x = x * np.linalg.norm(plain[block]) / (np.linalg.norm(x) + 1e-16)
                before = t < precondition_frequency
                unready = plain[block] if graft is not None else np.atleast_1d(mean)[block]
                step[block] = unready if before else x
            p[k] = p[k] - learning_rate * (step.reshape(p[k].shape) + weight_decay * p[k])
