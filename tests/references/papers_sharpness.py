"""Hyperball, MARS, Scion and SAM's relatives, written out in NumPy float64.

Generators as in `papers.py`.
"""

from collections.abc import Iterator

import numpy as np

from .problems import MATRIX, Array

Algorithm = Iterator[Array]
PROBLEM = MATRIX


def adam_direction(b1=0.9, b2=0.999, eps=1e-8) -> Iterator[Array]:
    """Adam's steps, without a learning rate: takes gradients by `send`."""
    m, v, t, u = 0.0, 0.0, 0, None
    while True:
        g, t = (yield u), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)


def hyperball(p: Array, learning_rate) -> Algorithm:
    """Wen et al., 2025, section 2.1, around Adam."""
    steps = adam_direction()
    next(steps)
    while True:
        u = steps.send((yield p))
        size = np.linalg.norm(p)
        q = p - learning_rate * u * size / max(np.linalg.norm(u), 1e-10)
        p = q * size / np.linalg.norm(q)


def corrected(b1, gamma) -> Iterator[Array]:
    """Yuan et al., 2024, equation 2.5, clipped: takes gradients by `send`, gives corrected ones."""
    last, c = 0.0, None
    while True:
        g = yield c
        c = g + gamma * b1 / (1 - b1) * (g - last)
        c, last = c / max(1.0, np.linalg.norm(c)), g


def mars(p: Array, learning_rate, b1, b2, eps, gamma, weight_decay) -> Algorithm:
    """Algorithm 2, with AdamW."""
    c, steps = corrected(b1, gamma), adam_direction(b1, b2, eps)
    next(c), next(steps)
    while True:
        p = p - learning_rate * (steps.send(c.send((yield p))) + weight_decay * p)


def mars_lion(p: Array, learning_rate, b1, gamma, weight_decay) -> Algorithm:
    """Algorithm 3, with Lion."""
    c, m = corrected(b1, gamma), 0.0
    next(c)
    while True:
        m = b1 * m + (1 - b1) * c.send((yield p))
        p = p - learning_rate * (np.sign(m) + weight_decay * p)


def newton_schulz(x: Array, eps: float) -> Array:
    """Jordan et al., 2024: five steps towards the polar factor."""
    x = x / (np.linalg.norm(x) + eps)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def mars_shampoo(p: Array, learning_rate, b1, eps, gamma, weight_decay) -> Algorithm:
    """Algorithm 4, with Newton-Schulz steps; kernels are (inputs, outputs)."""
    c, m = corrected(b1, gamma), 0.0
    next(c)
    while True:
        m = b1 * m + (1 - b1) * c.send((yield p))
        u = np.sqrt(max(1.0, p.shape[1] / p.shape[0])) * newton_schulz(m.T / (1 - b1), eps).T
        p = p - learning_rate * (u + weight_decay * p)


LMOS = {
    "spectral": lambda m, eps: np.sqrt(m.shape[0] / m.shape[1]) * newton_schulz(m, 1e-7),
    "sign": lambda m, eps: np.sign(m) / m.shape[1],
    "row": lambda m, eps: m / (np.linalg.norm(m, axis=1, keepdims=True) * np.sqrt(m.shape[1]) + eps),
    "column": lambda m, eps: m / (np.linalg.norm(m, axis=0, keepdims=True) / np.sqrt(m.shape[0]) + eps),
    "bias_rms": lambda m, eps: m / (np.sqrt(np.mean(m**2, axis=0, keepdims=True)) + eps),
}
"""Pethick et al., 2025, tables 2 to 4, of matrices (outputs, inputs)."""


def scion(p: Array, learning_rate, momentum, norm, scale, unconstrained, weight_decay, eps) -> Algorithm:
    """Algorithms 1 and 2; kernels are (inputs, outputs)."""
    lmo, m = LMOS["spectral" if norm == "auto" else norm], 0.0
    while True:
        m = (1 - momentum) * m + momentum * (yield p)
        shrunk = p * (1 - learning_rate * ((not unconstrained) + weight_decay))
        p = shrunk - learning_rate * scale * lmo(m.T, eps).T


def asam(p: Array, rho, eta, learning_rate=0.1) -> Algorithm:
    """Kwon et al., 2021, algorithm 1, around gradient descent; first a gradient at p, then one uphill."""
    while True:
        t = np.abs(p) + eta
        g = yield p
        p = p - learning_rate * (yield p + rho * t**2 * g / np.linalg.norm(t * g))


def orthogonal(x: Array, y: Array) -> Array:
    """The part of `x` that is orthogonal to `y`."""
    return x - np.sum(x * y) / np.sum(y * y) * y


def gsam(p: Array, rho, alpha, learning_rate=0.1) -> Algorithm:
    """Zhuang et al., 2022, algorithm 1, around gradient descent."""
    while True:
        g = yield p
        h = yield p + rho * g / np.linalg.norm(g)
        p = p - learning_rate * (h - alpha * orthogonal(g, h))


def looksam(p: Array, rho, k, alpha, learning_rate=0.1) -> Algorithm:
    """Liu et al., 2022, algorithm 1, around gradient descent."""
    t, v = 0, p
    while True:
        g = yield p
        if t % k == 0:
            used = yield p + rho * g / np.linalg.norm(g)
            v = orthogonal(used, g)
        else:
            used = g + alpha * np.linalg.norm(g) / np.linalg.norm(v) * v
        p, t = p - learning_rate * used, t + 1
