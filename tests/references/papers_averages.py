"""The algorithms of averages and decays for one array, in NumPy float64; see `papers.py`."""

from collections.abc import Iterator

import numpy as np

from .problems import MATRIX, Array

Algorithm = Iterator[Array]
PROBLEM = MATRIX


def acprop(p: Array, learning_rate, b1, b2, eps, eps_root, weight_decay) -> Algorithm:
    """Zhuang et al., 2021, algorithm 2: the new average is subtracted. With bias correction and decay."""
    m, s, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        u = g / (1 + eps) if t == 1 else g / (np.sqrt(s / (1 - b2 ** (t - 1))) + eps)
        p = p - learning_rate * (u + weight_decay * p)
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root


def scheduled_ademamix(p: Array, learning_rate, b1, b2, b3, alpha, eps, weight_decay) -> Algorithm:
    """Pagliardini et al., 2024, algorithm 1, with the schedules of its section 3; steps count from 1."""
    steps, end, last = 9, 0.9999, 5.0
    m1, m2, v, t = 0 * p, 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        alpha = min(t * last / steps, last)
        b, c, x = np.log(b1), np.log(end), t / steps
        b3 = np.exp(b * c / ((1 - x) * c + x * b)) if t < steps else end
        m1, m2, v = b1 * m1 + (1 - b1) * g, b3 * m2 + (1 - b3) * g, b2 * v + (1 - b2) * g**2
        step = (m1 / (1 - b1**t) + alpha * m2) / (np.sqrt(v / (1 - b2**t)) + eps)
        p = p - learning_rate * (step + weight_decay * p)
