"""The algorithms of papers that look at all arrays at once, written out in NumPy float64.

Generators as in `papers.py`, of dicts of arrays: they may change the dict they were given.
"""

from collections.abc import Iterator

import numpy as np

from .problems import QUARTIC, TREE, Tree, on

Algorithm = Iterator[Tree]
PROBLEM = TREE


def norm_sq(tree: Tree) -> float:
    """The squared norm over all leaves."""
    return sum(float(np.sum(x**2)) for x in tree.values())


def adopt(p: Tree, learning_rate, b1, b2, eps) -> Algorithm:
    """Taniguchi et al., 2024, algorithm 2, with clipping by t^(1/4)."""
    g = yield p
    v, m = {k: x**2 for k, x in g.items()}, {k: 0 * x for k, x in p.items()}
    t = 0
    while True:
        g = yield p
        t += 1
        for k in p:
            n = np.clip(g[k] / np.maximum(np.sqrt(v[k]), eps), -(t**0.25), t**0.25)
            m[k] = b1 * m[k] + (1 - b1) * n
            v[k] = b2 * v[k] + (1 - b2) * g[k] ** 2
            p[k] = p[k] - learning_rate * m[k]


def ademamix(p: Tree, learning_rate, b1, b2, b3, alpha, eps, weight_decay) -> Algorithm:
    """Pagliardini, Ablin and Grangier, 2024, algorithm 1."""
    m1, m2, v = ({k: 0 * x for k, x in p.items()} for _ in range(3))
    t = 0
    while True:
        g = yield p
        t += 1
        for k in p:
            m1[k] = b1 * m1[k] + (1 - b1) * g[k]
            m2[k] = b3 * m2[k] + (1 - b3) * g[k]
            v[k] = b2 * v[k] + (1 - b2) * g[k] ** 2
            step = (m1[k] / (1 - b1**t) + alpha * m2[k]) / (np.sqrt(v[k] / (1 - b2**t)) + eps)
            p[k] = p[k] - learning_rate * (step + weight_decay * p[k])


def madgrad(p: Tree, learning_rate, momentum, eps) -> Algorithm:
    """Defazio and Jelassi, 2021, algorithm 1 with c = 1 - momentum; the rate has eps, as in their code."""
    x0, c = {k: x.copy() for k, x in p.items()}, 1 - momentum
    s, v = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    t = 0
    while True:
        g = yield p
        weight = (learning_rate + eps) * np.sqrt(t + 1)
        t += 1
        for k in p:
            s[k] = s[k] + weight * g[k]
            v[k] = v[k] + weight * g[k] ** 2
            z = x0[k] - s[k] / (np.cbrt(v[k]) + eps)
            p[k] = (1 - c) * p[k] + c * z


def dog(p: Tree, init_step, eps) -> Algorithm:
    """Ivgi, Hinder and Carmon, 2023, equation 3, with r_eps (1 + |x_0|) at first."""
    x0 = {k: x.copy() for k, x in p.items()}
    (_, r_eps), total = init_step, 0.0
    r = r_eps * (1 + np.sqrt(norm_sq(p)))
    while True:
        g = yield p
        r = max(r, np.sqrt(norm_sq({k: p[k] - x0[k] for k in p})))
        total += norm_sq(g)
        for k in p:
            p[k] = p[k] - r / np.sqrt(total + eps) * g[k]


def dowg(p: Tree, init_estim_sq_dist, eps) -> Algorithm:
    """Khaled, Mishchenko and Jin, 2023, algorithm 1."""
    x0 = {k: x.copy() for k, x in p.items()}
    r_sq, v = init_estim_sq_dist, 0.0
    while True:
        g = yield p
        r_sq = max(r_sq, norm_sq({k: p[k] - x0[k] for k in p}))
        v += r_sq * norm_sq(g)
        for k in p:
            p[k] = p[k] - r_sq / (np.sqrt(v) + eps) * g[k]


def cocob(p: Tree, alpha, eps) -> Algorithm:
    """Orabona and Tommasi, 2017, algorithm 2; g is minus the gradient there."""
    w1 = {k: x.copy() for k, x in p.items()}
    size = {k: np.full_like(x, eps) for k, x in p.items()}
    total, reward, theta = ({k: 0 * x for k, x in p.items()} for _ in range(3))
    while True:
        g = yield p
        for k in p:
            size[k] = np.maximum(size[k], np.abs(g[k]))
            total[k] = total[k] + np.abs(g[k])
            reward[k] = np.maximum(reward[k] - (p[k] - w1[k]) * g[k], 0)
            theta[k] = theta[k] - g[k]
            bet = theta[k] / (size[k] * np.maximum(total[k] + size[k], alpha * size[k]))
            p[k] = w1[k] + bet * (size[k] + reward[k])


def prodigy(p: Tree, betas, eps, estim_lr0, weight_decay) -> Algorithm:
    """Mishchenko and Defazio, 2023, algorithm 4, with Adam's debiasing in the step as in their code."""
    x0, (b1, b2), d0 = {k: x.copy() for k, x in p.items()}, betas, estim_lr0
    m, v, s = ({k: 0 * x for k, x in p.items()} for _ in range(3))
    d, r, t = d0, 0.0, 0
    while True:
        g = yield p
        t += 1
        step = d * np.sqrt(1 - b2**t) / (1 - b1**t)
        inner = sum(float(np.sum(g[k] * (x0[k] - p[k]))) for k in p)
        r = np.sqrt(b2) * r + (d / d0) * step * inner
        for k in p:
            m[k] = b1 * m[k] + (1 - b1) * d * g[k]
            v[k] = b2 * v[k] + (1 - b2) * (d * g[k]) ** 2
            s[k] = np.sqrt(b2) * s[k] + (d / d0) * step * g[k]
        for k in p:
            p[k] = p[k] - step * (m[k] / (np.sqrt(v[k]) + d * eps) + weight_decay * p[k])
        d = max(d, r / sum(float(np.sum(np.abs(x))) for x in s.values()))


def schedule_free(p: Tree, learning_rate, b1, warmup_steps) -> Algorithm:
    """Defazio et al., 2024, equations 8 to 10 with weights lr^2; yields y."""
    x, z = ({k: a.copy() for k, a in p.items()} for _ in range(2))
    total, t = 0.0, 0
    while True:
        g = yield p
        rate = learning_rate * min(t / warmup_steps, 1)
        t += 1
        total += rate**2
        c = rate**2 / total if total else 0.0
        for k in p:
            z[k] = z[k] - rate * g[k]
            x[k] = (1 - c) * x[k] + c * z[k]
            p[k] = (1 - b1) * z[k] + b1 * x[k]


@on(QUARTIC)
def sophia(p: Tree, learning_rate, b1, b2, gamma, eps, weight_decay, update_interval) -> Algorithm:
    """Liu et al., 2023, algorithm 3, for |x|^4 / 4, whose Hessian 3 x^2 is diagonal.

    As in Optax, m is debiased and an estimate counts from the next step on.
    """
    m, h = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    t = 0
    while True:
        g = yield p
        t += 1
        curvature = {k: 3 * x**2 for k, x in p.items()}
        for k in p:
            m[k] = b1 * m[k] + (1 - b1) * g[k]
            step = np.clip(m[k] / (1 - b1**t) / np.maximum(gamma * h[k], eps), -1, 1)
            p[k] = p[k] - learning_rate * (step + weight_decay * p[k])
            if (t - 1) % update_interval == 0:
                h[k] = b2 * h[k] + (1 - b2) * curvature[k]


def muon(p: Tree, learning_rate, beta) -> Algorithm:
    """Jordan et al., 2024: five quintic steps; here debiased Nesterov momentum, and Adam for the vector."""
    b1, b2, mu = 0.9, 0.999, beta
    m, v = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    t = 0
    while True:
        g = yield p
        t += 1
        m["w"] = mu * m["w"] + (1 - mu) * g["w"]
        x = mu * m["w"] / (1 - mu ** (t + 1)) + (1 - mu) * g["w"] / (1 - mu**t)
        x = x.T / (np.linalg.norm(x) + 1e-8)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        p["w"] = p["w"] - learning_rate * x.T  # four rows, three columns: no scaling
        m["b"] = b1 * m["b"] + (1 - b1) * g["b"]
        v["b"] = b2 * v["b"] + (1 - b2) * g["b"] ** 2
        ahead = b1 * m["b"] / (1 - b1 ** (t + 1)) + (1 - b1) * g["b"] / (1 - b1**t)
        p["b"] = p["b"] - learning_rate * ahead / (np.sqrt(v["b"] / (1 - b2**t)) + 1e-8)
