"""The algorithms of what saves memory, what withstands spikes and what sees curvature, in NumPy float64.

See `papers_of_trees.py`.
"""

from collections.abc import Iterator

import numpy as np

from .problems import QUARTIC, TREE, Tree, on

Algorithm = Iterator[Tree]
PROBLEM = TREE


def tiger(p: Tree, learning_rate, beta, weight_decay) -> Algorithm:
    """Su, 2023, tiger.py: the matrix is no embedding."""
    m = {k: 0 * x for k, x in p.items()}
    while True:
        g = yield p
        for k in p:
            m[k] = beta * m[k] + (1 - beta) * g[k]
            if p[k].ndim < 2:
                p[k] = p[k] - 0.5 * learning_rate * np.sign(m[k])
            else:
                rate = learning_rate * np.sqrt(np.mean(p[k] ** 2))
                p[k] = p[k] - rate * (np.sign(m[k]) + weight_decay * p[k])


def tiger_embeddings(p: Tree, learning_rate, beta, weight_decay) -> Algorithm:
    """Su, 2023, tiger.py: the matrix is an embedding."""
    m = {k: 0 * x for k, x in p.items()}
    while True:
        g = yield p
        for k in p:
            m[k] = beta * m[k] + (1 - beta) * g[k]
            row = 0.5 if p[k].ndim < 2 else np.sqrt(np.mean(p[k] ** 2, axis=-1, keepdims=True))
            decay = 0 if p[k].ndim < 2 else weight_decay
            p[k] = p[k] - learning_rate * row * (np.sign(m[k]) + decay * p[k])


def amos(p: Tree, learning_rate, beta, zeta) -> Algorithm:
    """Tian and Parikh, 2022, algorithm 1 and equations 9 and 10; here eta is 1/2 for a vector, and for a
    matrix one over the root of its inputs. Every entry has numbers of its own.
    """
    v, b = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    xi, t = learning_rate, 0
    while True:
        g = yield p
        t += 1
        for k in p:
            eta = 0.5 if p[k].ndim < 2 else 1 / np.sqrt(p[k].shape[0])
            v[k] = beta * v[k] + (1 - beta) * g[k] ** 2
            v_hat = v[k] / (1 - beta**t)
            c = (1 + zeta * np.sqrt(xi) * b[k]) ** -0.5
            d = 1 / (1 + zeta * np.sqrt(xi * eta) * b[k])
            gamma = c * xi**2 * g[k] ** 2 / v_hat
            p[k] = p[k] - d * (xi * eta * g[k] / np.sqrt(v_hat) + gamma / 2 * p[k])
            b[k] = b[k] + gamma * (1 + b[k])


@on(QUARTIC)
def adahessian(
    p: Tree, learning_rate, b1, b2, eps, hessian_power, update_interval, weight_decay
) -> Algorithm:
    """Yao et al., 2020, algorithm 1, for |x|^4 / 4, whose Hessian 3 x^2 is diagonal.

    v is debiased by the number of estimates.
    """
    m, v = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    t, n = 0, 0
    while True:
        g = yield p
        if t % update_interval == 0:
            n += 1
            v = {k: b2 * v[k] + (1 - b2) * (3 * p[k] ** 2) ** 2 for k in p}
        t += 1
        for k in p:
            m[k] = b1 * m[k] + (1 - b1) * g[k]
            root = np.sqrt(v[k] / (1 - b2**n)) ** hessian_power
            p[k] = p[k] - learning_rate * (m[k] / (1 - b1**t) / (root + eps) + weight_decay * p[k])


def swats(p: Tree, learning_rate, b1, b2, eps, switch_tolerance) -> Algorithm:
    """Keskar and Socher, 2017, algorithm 1, with a relative tolerance."""
    m, a = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    lam, rate, t = 0.0, None, 0
    while True:
        g = yield p
        t += 1
        if rate is not None:
            for k in p:
                m[k] = b1 * m[k] + g[k]
                p[k] = p[k] - (1 - b1) * rate * m[k]
            continue
        m = {k: b1 * m[k] + (1 - b1) * g[k] for k in p}
        a = {k: b2 * a[k] + (1 - b2) * g[k] ** 2 for k in p}
        scale = learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        step = {k: -scale * m[k] / (np.sqrt(a[k]) + eps) for k in p}
        p = {k: p[k] + step[k] for k in p}
        gamma = sum(np.sum(x**2) for x in step.values()) / -sum(np.sum(step[k] * g[k]) for k in p)
        lam = b2 * lam + (1 - b2) * gamma
        found = lam / (1 - b2**t)
        if t > 1 and found > 0 and abs(found - gamma) <= switch_tolerance * abs(gamma):
            rate, m = found, {k: 0 * x for k, x in p.items()}


def ranger(
    p: Tree, learning_rate, b1, b2, eps, sync_period, slow_step_size, threshold, weight_decay
) -> Algorithm:
    """Wright's ranger.py, with eps after debiasing: RAdam on centralized gradients, in lookahead."""
    m, v = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    slow, t = {k: x.copy() for k, x in p.items()}, 0
    while True:
        g = yield p
        t += 1
        most = 2 / (1 - b2) - 1
        seen = most - 2 * t * b2**t / (1 - b2**t)
        for k in p:
            d = g[k] - (g[k].mean(axis=1, keepdims=True) if g[k].ndim > 1 else 0)
            m[k] = b1 * m[k] + (1 - b1) * d
            v[k] = b2 * v[k] + (1 - b2) * d**2
            step = m[k] / (1 - b1**t)
            if seen >= threshold:
                r = (seen - 4) * (seen - 2) * most / ((most - 4) * (most - 2) * seen)
                step = np.sqrt(r) * step / (np.sqrt(v[k] / (1 - b2**t)) + eps)
            p[k] = p[k] - learning_rate * (step + weight_decay * p[k])
            if t % sync_period == 0:
                slow[k] = slow[k] + slow_step_size * (p[k] - slow[k])
                p[k] = slow[k].copy()
