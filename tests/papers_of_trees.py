"""Papers' algorithms with numbers of the whole model, on a matrix and a vector, in NumPy float64.

Each is a generator: it yields the parameters, a dict, and is sent their gradient.
"""

from collections.abc import Iterator

import numpy as np

Tree = dict[str, np.ndarray]


def norm_sq(tree: Tree) -> float:
    """The squared norm over all leaves."""
    return sum(float(np.sum(x**2)) for x in tree.values())


def adopt(
    p: Tree, lr: float = 0.1, b1: float = 0.9, b2: float = 0.9999, eps: float = 1e-6
) -> Iterator[Tree]:
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
            p[k] = p[k] - lr * m[k]


def ademamix(p: Tree, lr=0.1, b1=0.9, b2=0.999, b3=0.99, alpha=5.0, eps=1e-8, wd=0.1) -> Iterator[Tree]:
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
            p[k] = p[k] - lr * (step + wd * p[k])


def madgrad(p: Tree, lr: float = 0.1, c: float = 0.1, eps: float = 1e-6) -> Iterator[Tree]:
    """Defazio and Jelassi, 2021, algorithm 1; the learning rate is lr + eps, as in their code."""
    x0 = {k: x.copy() for k, x in p.items()}
    s, v = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    t = 0
    while True:
        g = yield p
        weight = (lr + eps) * np.sqrt(t + 1)
        t += 1
        for k in p:
            s[k] = s[k] + weight * g[k]
            v[k] = v[k] + weight * g[k] ** 2
            z = x0[k] - s[k] / (np.cbrt(v[k]) + eps)
            p[k] = (1 - c) * p[k] + c * z


def dog(p: Tree, r_eps: float = 1e-3, eps: float = 1e-8) -> Iterator[Tree]:
    """Ivgi, Hinder and Carmon, 2023, equation 3, with r_eps (1 + |x_0|) at first."""
    x0 = {k: x.copy() for k, x in p.items()}
    r, total = r_eps * (1 + np.sqrt(norm_sq(p))), 0.0
    while True:
        g = yield p
        r = max(r, np.sqrt(norm_sq({k: p[k] - x0[k] for k in p})))
        total += norm_sq(g)
        for k in p:
            p[k] = p[k] - r / np.sqrt(total + eps) * g[k]


def dowg(p: Tree, r_sq: float = 1e-2, eps: float = 1e-4) -> Iterator[Tree]:
    """Khaled, Mishchenko and Jin, 2023, algorithm 1."""
    x0 = {k: x.copy() for k, x in p.items()}
    v = 0.0
    while True:
        g = yield p
        r_sq = max(r_sq, norm_sq({k: p[k] - x0[k] for k in p}))
        v += r_sq * norm_sq(g)
        for k in p:
            p[k] = p[k] - r_sq / (np.sqrt(v) + eps) * g[k]


def cocob(p: Tree, alpha: float = 100.0, eps: float = 1e-8) -> Iterator[Tree]:
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


def prodigy(p: Tree, d0=1e-3, b1=0.9, b2=0.999, eps=1e-8, wd=0.01) -> Iterator[Tree]:
    """Mishchenko and Defazio, 2023, algorithm 4, with Adam's debiasing in the step as in their code."""
    x0 = {k: x.copy() for k, x in p.items()}
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
            p[k] = p[k] - step * (m[k] / (np.sqrt(v[k]) + d * eps) + wd * p[k])
        d = max(d, r / sum(float(np.sum(np.abs(x))) for x in s.values()))


def schedule_free(p: Tree, lr: float = 0.2, beta: float = 0.9, warmup: int = 4) -> Iterator[Tree]:
    """Defazio et al., 2024, equations 8 to 10 with weights lr^2; yields y."""
    x, z = ({k: a.copy() for k, a in p.items()} for _ in range(2))
    total, t = 0.0, 0
    while True:
        g = yield p
        rate = lr * min(t / warmup, 1)
        t += 1
        total += rate**2
        c = rate**2 / total if total else 0.0
        for k in p:
            z[k] = z[k] - rate * g[k]
            x[k] = (1 - c) * x[k] + c * z[k]
            p[k] = (1 - beta) * z[k] + beta * x[k]


def sophia(p: Tree, lr=0.05, b1=0.965, b2=0.99, gamma=0.5, eps=1e-8, wd=0.1, every=3) -> Iterator[Tree]:
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
            p[k] = p[k] - lr * (step + wd * p[k])
            if (t - 1) % every == 0:
                h[k] = b2 * h[k] + (1 - b2) * curvature[k]


def muon(p: Tree, lr: float = 0.1, mu: float = 0.95) -> Iterator[Tree]:
    """Jordan et al., 2024: five quintic steps; here debiased Nesterov momentum, and Adam for the vector."""
    b1, b2 = 0.9, 0.999
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
        p["w"] = p["w"] - lr * x.T  # four rows, three columns: no scaling
        m["b"] = b1 * m["b"] + (1 - b1) * g["b"]
        v["b"] = b2 * v["b"] + (1 - b2) * g["b"] ** 2
        ahead = b1 * m["b"] / (1 - b1 ** (t + 1)) + (1 - b1) * g["b"] / (1 - b1**t)
        p["b"] = p["b"] - lr * ahead / (np.sqrt(v["b"] / (1 - b2**t)) + 1e-8)
