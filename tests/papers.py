"""Papers' algorithms on one array, written out in NumPy float64.

Each is a generator: it yields the parameters and is sent their gradient.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = Any
Algorithm = Iterator[Array]


def adabelief(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-16) -> Algorithm:
    """Zhuang et al., 2020, algorithm 2."""
    m, s, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps)


def lion(p: Array, lr: float, b1=0.9, b2=0.99, wd=0.1) -> Algorithm:
    """Chen et al., 2023, algorithm 2."""
    m = 0 * p
    while True:
        g = yield p
        p = p - lr * (np.sign(b1 * m + (1 - b1) * g) + wd * p)
        m = b2 * m + (1 - b2) * g


def lamb(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-6, wd=0.1) -> Algorithm:
    """You et al., 2019, algorithm 2, with phi the identity."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps) + wd * p
        p = p - lr * np.linalg.norm(p) / np.linalg.norm(r) * r


def lars(p: Array, lr: float, trust=0.01, momentum=0.9, wd=0.1) -> Algorithm:
    """You, Gitman and Ginsburg, 2017, algorithm 1, with the decayed gradient's norm below."""
    v = 0 * p
    while True:
        g = (yield p) + wd * p
        v = momentum * v + lr * trust * np.linalg.norm(p) / np.linalg.norm(g) * g
        p = p - v


def adan(p: Array, lr: float, b1=0.02, b2=0.08, b3=0.01, eps=1e-8) -> Algorithm:
    """Xie et al., 2022, algorithm 1, with the bias corrections of the authors' code."""
    m, v, n, last, t = 0 * p, 0 * p, 0 * p, None, 0
    while True:
        g, t = (yield p), t + 1
        d = 0 * g if last is None else g - last
        m, v = (1 - b1) * m + b1 * g, (1 - b2) * v + b2 * d
        n = (1 - b3) * n + b3 * (g + (1 - b2) * d) ** 2
        m_hat, v_hat, n_hat = (x / (1 - (1 - b) ** t) for x, b in ((m, b1), (v, b2), (n, b3)))
        p = p - lr / (np.sqrt(n_hat) + eps) * (m_hat + (1 - b2) * v_hat)
        last = g


def yogi(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-3) -> Algorithm:
    """Zaheer et al., 2018, algorithm 2, from v = 0 and with Adam's bias corrections."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)


def sm3(p: Array, lr: float, momentum=0.9, eps=1e-8) -> Algorithm:
    """Anil et al., 2019, SM3-II of section 3, for covers by rows and columns."""
    row, column, u = np.zeros(p.shape[0]), np.zeros(p.shape[1]), 0 * p
    while True:
        g = yield p
        nu = np.minimum(row[:, None], column[None, :]) + g**2
        row, column = nu.max(axis=1), nu.max(axis=0)
        u = momentum * u + (1 - momentum) * g / np.sqrt(nu + eps)
        p = p - lr * u


def novograd(p: Array, lr: float, b1=0.9, b2=0.25, eps=1e-6, wd=0.1) -> Algorithm:
    """Ginsburg et al., 2019, algorithm 1."""
    m, v = 0 * p, None
    while True:
        g = yield p
        v = np.sum(g**2) if v is None else b2 * v + (1 - b2) * np.sum(g**2)
        m = b1 * m + (g / (np.sqrt(v) + eps) + wd * p)
        p = p - lr * m


def fromage(p: Array, lr: float) -> Algorithm:
    """Bernstein et al., 2020, algorithm 1."""
    while True:
        g = yield p
        p = (p - lr * g * np.linalg.norm(p) / np.linalg.norm(g)) / np.sqrt(1 + lr**2)


def amsgrad(p: Array, lr: float, b1=0.9, b2=0.999) -> Algorithm:
    """Reddi, Kale and Kumar, 2018, algorithm 2: without bias corrections."""
    m, v, w = 0 * p, 0 * p, 0 * p
    while True:
        g = yield p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = np.maximum(w, v)
        p = p - lr * m / np.sqrt(w)


def adafactor(p: Array, lr: float, d=1.0, exponent=0.8, eps1=1e-30, eps2=1e-3) -> Algorithm:
    """Shazeer and Stern, 2018, algorithm 4, with relative step sizes of `lr`."""
    row, column, t = np.zeros(p.shape[0]), np.zeros(p.shape[1]), 0
    while True:
        g, t = (yield p), t + 1
        b = 1 - t**-exponent
        row = b * row + (1 - b) * (g**2 + eps1).sum(axis=1)
        column = b * column + (1 - b) * (g**2 + eps1).sum(axis=0)
        u = g / np.sqrt(np.outer(row, column) / row.sum())
        u = u / max(1.0, np.sqrt(np.mean(u**2)) / d)
        p = p - lr * max(eps2, np.sqrt(np.mean(p**2))) * u


def radam(p: Array, lr: float, b1=0.9, b2=0.999) -> Algorithm:
    """Liu et al., 2019, algorithm 2, with its threshold of 4."""
    m, v, t, ro_inf = 0 * p, 0 * p, 0, 2 / (1 - b2) - 1
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        ro, m_hat = ro_inf - 2 * t * b2**t / (1 - b2**t), m / (1 - b1**t)
        if ro > 4:
            r = np.sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro))
            p = p - lr * r * m_hat / np.sqrt(v / (1 - b2**t))
        else:
            p = p - lr * m_hat


def rprop(p: Array, lr: float, low=0.5, high=1.2, least=1e-6, most=50.0) -> Algorithm:
    """Igel and Huesken, 2003, iRprop-, entry by entry."""
    sizes, last = np.full(p.shape, lr), 0 * p
    while True:
        g = (yield p).copy()
        for i in np.ndindex(p.shape):
            if g[i] * last[i] > 0:
                sizes[i] = min(sizes[i] * high, most)
            elif g[i] * last[i] < 0:
                sizes[i] = max(sizes[i] * low, least)
                g[i] = 0
        p, last = p - sizes * np.sign(g), g


def polyak(p: Array, most=0.05, least=0.2) -> Algorithm:
    """Loizou et al., 2020, the bounded step SPS_max with c = 1, where the value is |p|^2."""
    while True:
        g = yield p
        p = p - min((np.sum(p**2) - least) / np.sum(g**2), most) * g


def optimistic(p: Array, lr: float, beta=0.7) -> Algorithm:
    """Mokhtari, Ozdaglar and Pattathil, 2019, equation 4, generalized."""
    last = None
    while True:
        g = yield p
        p = p - lr * (g + beta * (g - (g if last is None else last)))
        last = g


def ldog(p: Array, first=1e-3, eps=1e-8) -> Algorithm:
    """Ivgi, Hinder and Carmon, 2023, section 2.1 and 4 (layer-wise)."""
    start, distance, total = p, first * (1 + np.linalg.norm(p)), 0.0
    while True:
        g = yield p
        distance = max(distance, np.linalg.norm(p - start))
        total = total + np.sum(g**2)
        p = p - distance / np.sqrt(total + eps) * g


def loss(p: Array) -> float:
    """What stands for the loss's value at `p`."""
    return np.sum(p**2)


def signum(p: Array, lr: float, beta=0.0, wd=0.0) -> Algorithm:
    """Bernstein et al., 2018, algorithms 1 and 2 (signSGD for beta = 0), the sum in place of the mean."""
    m = 0 * p
    while True:
        g = yield p
        m = beta * m + g
        p = p - lr * (np.sign(m) + wd * p)


def acprop(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-16) -> Algorithm:
    """Zhuang et al., 2021, algorithm 2, with bias correction; the first step is a gradient step."""
    m, s, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        p = p - lr * (g if t == 1 else g / (np.sqrt(s / (1 - b2 ** (t - 1))) + eps))
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * (g - m) ** 2 + eps


def adamax(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-8, wd=0.1) -> Algorithm:
    """Kingma and Ba, 2014, algorithm 2, with decoupled decay."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, np.maximum(b2 * v, np.abs(g) + eps)
        p = p - lr * (m / (1 - b1**t) / v + wd * p)


def adam_steps(b1=0.9, b2=0.999, eps=1e-8, nesterov=False) -> Iterator[Array]:
    """Adam's steps without a learning rate; Dozat, 2016, for Nesterov's momentum at constant b1."""
    m, v, t, u = 0.0, 0.0, 0, None
    while True:
        g, t = (yield u), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        mean = m / (1 - b1**t)
        if nesterov:
            mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        u = mean / (np.sqrt(v / (1 - b2**t)) + eps)


def nadamw(p: Array, lr: float, wd=0.1) -> Algorithm:
    """Dozat, 2016, with Loshchilov and Hutter's decay."""
    steps = adam_steps(nesterov=True)
    next(steps)
    while True:
        g = yield p
        p = p - lr * (steps.send(g) + wd * p)


def optimistic_adam(p: Array, lr: float, alpha=0.8, beta=0.5) -> Algorithm:
    """Daskalakis et al., 2017, algorithm 1 (2 for the present step, 1 for the last), generalized."""
    steps, last = adam_steps(), None
    next(steps)
    while True:
        u = steps.send((yield p))
        p = p - lr * (alpha * u + beta * (u - (u if last is None else last)))
        last = u


def simplified_ademamix(p: Array, lr: float, b1=0.99, b2=0.95, alpha=2.0, eps=1e-8) -> Algorithm:
    """Morwani et al., 2025, algorithm 1."""
    m, n, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, n = b1 * m + g, b2 * n + (1 - b2) * g**2
        p = p - lr * (m + alpha * g) / (np.sqrt(n / (1 - b2**t)) + eps)


def momo(p: Array, lr: float, beta=0.9, least=0.5) -> Algorithm:
    """Schaipp et al., 2023, algorithm 1."""
    d = f = c = None
    while True:
        x = p
        g, value = (yield x), loss(x)
        d = g if d is None else beta * d + (1 - beta) * g
        f = value if f is None else beta * f + (1 - beta) * value
        c = np.sum(g * x) if c is None else beta * c + (1 - beta) * np.sum(g * x)
        h = f + np.sum(d * x) - c
        p = x - min(lr, max(h - least, 0) / np.sum(d**2)) * d


def momo_adam(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-8, least=0.5) -> Algorithm:
    """Schaipp et al., 2023, algorithm 2."""
    d, v, f, c, k = 0 * p, 0 * p, 0.0, 0.0, 0
    while True:
        g, k = (yield p), k + 1
        d, v = b1 * d + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        f, c = b1 * f + (1 - b1) * loss(p), b1 * c + (1 - b1) * np.sum(g * p)
        scale, rho = eps + np.sqrt(v / (1 - b2**k)), 1 - b1**k
        h = f + np.sum(d * p) - c
        p = p - min(lr / rho, max(h - rho * least, 0) / np.sum(d**2 / scale)) * d / scale


def dadapt_adam(p: Array, d=1e-2, b1=0.9, b2=0.999, eps=1e-8, wd=0.1) -> Algorithm:
    """Defazio and Mishchenko, 2023, algorithm 5, with Adam's bias corrections and decay."""
    m, v, s, r, k, c = 0 * p, 0 * p, 0 * p, 0.0, 0, np.sqrt(b2)
    while True:
        g, k = (yield p), k + 1
        rate = d * np.sqrt(1 - b2**k) / (1 - b1**k)
        r = c * r + (1 - c) * rate * np.sum(g * s / (np.sqrt(v) + eps))
        s, m = c * s + (1 - c) * rate * g, b1 * m + (1 - b1) * rate * g
        v = b2 * v + (1 - b2) * g**2
        p = p - m / (np.sqrt(v) + eps) - wd * rate * p
        d = max(d, r / ((1 - c) * np.sum(np.abs(s))))


def mechanic(p: Array, lr: float, eps=1e-8, first=1e-2, decay=0.01, n=6) -> Algorithm:
    """Cutkosky, Defazio and Mehta, 2023, algorithm 1, around gradient descent."""
    start, away = p, 0 * p
    s, r, m, v = np.full(n, first), np.zeros(n), np.zeros(n), np.zeros(n)
    betas = 1 - 0.1 ** np.arange(1, n + 1)
    while True:
        g = yield p
        total = s.sum()
        away_now = (start - p) / (total + eps)
        h = np.sum((g + decay * total * np.linalg.norm(g) / (np.linalg.norm(p) + eps) * p) * away_now)
        r = betas * r + np.clip(h, -m, m) * s
        m, v = np.maximum(betas * m, np.abs(h) + eps), betas**2 * v + h**2
        s = (first / n * m + np.maximum(r, 0)) / (np.sqrt(v) + eps)
        away = away_now + lr * g
        p = start - s.sum() * away


def galore(p: Array, lr: float, rank=2, every=4, scale=0.5) -> Algorithm:
    """Zhao et al., 2024, algorithm 2, where the longer side is projected."""
    steps, t, basis = adam_steps(), 0, None
    next(steps)
    while True:
        g = yield p
        if t % every == 0:
            basis = np.linalg.svd(g)[0][:, :rank]
        p, t = p - lr * scale * basis @ steps.send(basis.T @ g), t + 1


def schedule_free_adam(p: Array, lr: float, b1=0.9, b2=0.999, eps=1e-8, wd=0.1, warmup=3) -> Algorithm:
    """Defazio et al., 2024, algorithm 1, with the bias correction in the second moment."""
    x = z = y = p
    v, t, weights = 0 * p, 0, 0.0
    while True:
        g, rate = (yield y), lr * min(1.0, t / warmup)
        t = t + 1
        v = b2 * v + (1 - b2) * g**2
        z = z - rate * (g / (np.sqrt(v / (1 - b2**t)) + eps) + wd * y)
        weights = weights + rate**2
        share = rate**2 / weights if weights > 0 else 0.0
        x = (1 - share) * x + share * z
        y = b1 * x + (1 - b1) * z


def lookahead(p: Array, lr: float, k=3, alpha=0.5) -> Algorithm:
    """Zhang et al., 2019, algorithm 1, around gradient descent."""
    slow, t = p, 0
    while True:
        p, t = p - lr * (yield p), t + 1
        if t % k == 0:
            p = slow = slow + alpha * (p - slow)


def plateau(p: Array, lr: float, factor=0.5, patience=1, rtol=1e-2, cooldown=2) -> Algorithm:
    """PyTorch's `ReduceLROnPlateau`, whose patience is ours less one, around gradient descent."""
    best, bad, wait, scale = np.inf, 0, 0, 1.0
    while True:
        g, value = (yield p), loss(p)
        better = value < best * (1 - rtol)
        best, bad = (value, 0) if better else (best, bad + 1)
        if wait > 0:
            wait, bad = wait - 1, 0
        if bad > patience:
            scale, bad, wait = scale * factor, 0, cooldown
        p = p - lr * scale * g
