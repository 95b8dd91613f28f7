"""The papers' algorithms of Dion's family, in NumPy: parameters are (in, out), the authors' (out, in)."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from references.problems import Problem, Tree, noisy_bowl

REFIT = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def two_matrices_vector_scalar() -> Tree:
    """Where a tree begins: a tall matrix and a wide one, and what gets AdamW."""
    rng = np.random.default_rng(0)
    shapes = {"tall": (6, 4), "wide": (3, 5), "b": (3,), "s": ()}
    return {k: rng.normal(size=shape) for k, shape in shapes.items()}


PROBLEM = Problem(two_matrices_vector_scalar(), noisy_bowl)

Algorithm = Iterator[Any]


def adamw(x: Any, g: Any, m: Any, v: Any, t: int, rate: float) -> tuple[Any, Any, Any]:
    """The authors' AdamW for all that is no matrix."""
    x = x * (1 - rate * 0.01)
    m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g**2
    return x - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-8), m, v


def dion(p: Tree, learning_rate, beta, eps, weight_decay, rank) -> Algorithm:
    """Ahn et al., 2025, Dion, algorithm 1, for one device; Q begins as ours does."""
    ms, vs, qs = {k: 0 * x for k, x in p.items()}, {k: 0 * x for k, x in p.items()}, {}
    for k, x in p.items():
        if x.ndim == 2:
            r = min(*x.shape, rank or np.inf)
            with jax.numpy_dtype_promotion("standard"):
                start = jax.random.normal(jax.random.key(0), (1, x.shape[0], r), "float32")
            qs[k] = np.asarray(start[0], float)
    t = 0
    while True:
        grads = yield p
        t += 1
        for k, g in grads.items():
            if k not in qs:
                p[k], ms[k], vs[k] = adamw(p[k], g, ms[k], vs[k], t, learning_rate)
                continue
            x, m = p[k].T, (ms[k] + g).T  # (out, in) as theirs
            left, _ = np.linalg.qr(m @ qs[k])
            right = m.T @ left
            ms[k] = (m - (1 - beta) * left @ right.T).T
            qs[k] = right / (np.linalg.norm(right, axis=0, keepdims=True) + eps)
            step = learning_rate * np.sqrt(x.shape[0] / x.shape[1])
            p[k] = ((1 - weight_decay * learning_rate) * x - step * left @ qs[k].T).T


def polar_express(x: Any, eps: float) -> Any:
    """Five steps for a margin of 1.02."""
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (1.02 * np.linalg.norm(x) + eps)
    for a, b, c in REFIT:
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if tall else x


def dion2(p: Tree, learning_rate, fraction, beta, b2, eps, weight_decay) -> Algorithm:
    """Ahn et al., 2025, Dion2, algorithm 1; with b2 the rows' scaling of NorDion2, their Dion3."""
    ms, vs = {k: 0 * x for k, x in p.items()}, {k: 0 * x for k, x in p.items()}
    neurons = {k: np.zeros(x.shape[-1:]) for k, x in p.items()}
    t = 0
    while True:
        grads = yield p
        t += 1
        for k, g in grads.items():
            if p[k].ndim != 2:
                p[k], ms[k], vs[k] = adamw(p[k], g, ms[k], vs[k], t, learning_rate)
                continue
            x, m = p[k].T, (ms[k] + g).T  # (out, in) as theirs
            outs, ins = x.shape
            by_row = b2 is not None or outs <= ins
            m = m if by_row else m.T
            chosen = np.argsort(-np.abs(m).sum(1))[: int(np.ceil(fraction * len(m)))]
            u = polar_express(m[chosen], eps)
            if b2 is not None:
                v = neurons[k][chosen] = b2 * neurons[k][chosen] + (1 - b2) * np.mean(u**2, 1)
                w = u / (np.sqrt(v)[:, None] + eps)
                u = w * np.linalg.norm(u) / np.linalg.norm(w)
            m[chosen] *= beta
            full = np.zeros_like(m)
            full[chosen] = u
            full, m = (full, m) if by_row else (full.T, m.T)
            ms[k] = m.T
            step = learning_rate * np.sqrt(outs / ins)
            p[k] = ((1 - weight_decay * learning_rate) * x - step * full).T
