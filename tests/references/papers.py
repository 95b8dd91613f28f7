"""The papers' algorithms for one array, written out in NumPy float64.

Each is a generator that takes gradients by `send` and gives parameters. Its arguments have gradchain's
names, so that a row of THE TABLE hands it its own. A rule without a learning rate is followed by one.
Where a loss's value is asked for, it is |p|^2.
"""

from collections.abc import Iterator

import numpy as np

from .problems import MATRIX, Array

Algorithm = Iterator[Array]
PROBLEM = MATRIX


def loss(p: Array) -> float:
    """What stands for the loss's value at `p`."""
    return np.sum(p**2)


def adabelief(p: Array, learning_rate, b1, b2, eps, eps_root) -> Algorithm:
    """Zhuang et al., 2020, algorithm 2."""
    m, s, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
        p = p - learning_rate * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps)


def lion(p: Array, learning_rate, b1, b2, weight_decay) -> Algorithm:
    """Chen et al., 2023, algorithm 2."""
    m = 0 * p
    while True:
        g = yield p
        p = p - learning_rate * (np.sign(b1 * m + (1 - b1) * g) + weight_decay * p)
        m = b2 * m + (1 - b2) * g


def adam_atan2(p: Array, learning_rate, b1, b2, a, b) -> Algorithm:
    """Everett et al., 2024, section 4.3: Adam with a atan2(m', b sqrt(v'))."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p = p - learning_rate * a * np.arctan2(m / (1 - b1**t), b * np.sqrt(v / (1 - b2**t)))


def lamb(p: Array, learning_rate, b1, b2, eps, weight_decay) -> Algorithm:
    """You et al., 2019, algorithm 2, with phi the identity."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps) + weight_decay * p
        p = p - learning_rate * np.linalg.norm(p) / np.linalg.norm(r) * r


def lars(p: Array, learning_rate, trust_coefficient, momentum, weight_decay) -> Algorithm:
    """You, Gitman and Ginsburg, 2017, algorithm 1, with the decayed gradient's norm below."""
    v = 0 * p
    while True:
        g = (yield p) + weight_decay * p
        rate = learning_rate * trust_coefficient * np.linalg.norm(p) / np.linalg.norm(g)
        v = momentum * v + rate * g
        p = p - v


def adan(p: Array, learning_rate, b1, b2, b3, eps) -> Algorithm:
    """Xie et al., 2022, algorithm 1, with the bias corrections of the authors' code; b = 1 - their beta."""
    m, v, n, last, t = 0 * p, 0 * p, 0 * p, None, 0
    while True:
        g, t = (yield p), t + 1
        d = 0 * g if last is None else g - last
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * d
        n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
        m_hat, v_hat, n_hat = (x / (1 - b**t) for x, b in ((m, b1), (v, b2), (n, b3)))
        p = p - learning_rate / (np.sqrt(n_hat) + eps) * (m_hat + b2 * v_hat)
        last = g


def yogi(p: Array, b1, b2, eps, learning_rate=0.1) -> Algorithm:
    """Zaheer et al., 2018, algorithm 2, from v = 0 and with Adam's bias corrections."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        p = p - learning_rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)


def sm3(p: Array, learning_rate, momentum, eps=1e-8) -> Algorithm:
    """Anil et al., 2019, SM3-II of section 3, for covers by rows and columns."""
    row, column, u = np.zeros(p.shape[0]), np.zeros(p.shape[1]), 0 * p
    while True:
        g = yield p
        nu = np.minimum(row[:, None], column[None, :]) + g**2
        row, column = nu.max(axis=1), nu.max(axis=0)
        u = momentum * u + (1 - momentum) * g / np.sqrt(nu + eps)
        p = p - learning_rate * u


def novograd(p: Array, learning_rate, b1, b2, eps, weight_decay) -> Algorithm:
    """Ginsburg et al., 2019, algorithm 1."""
    m, v = 0 * p, None
    while True:
        g = yield p
        v = np.sum(g**2) if v is None else b2 * v + (1 - b2) * np.sum(g**2)
        m = b1 * m + (g / (np.sqrt(v) + eps) + weight_decay * p)
        p = p - learning_rate * m


def fromage(p: Array, learning_rate) -> Algorithm:
    """Bernstein et al., 2020, algorithm 1."""
    while True:
        g = yield p
        p = p - learning_rate * g * np.linalg.norm(p) / np.linalg.norm(g)
        p = p / np.sqrt(1 + learning_rate**2)


def amsgrad(p: Array, learning_rate, b1, b2) -> Algorithm:
    """Reddi, Kale and Kumar, 2018, algorithm 2: without bias corrections."""
    m, v, w = 0 * p, 0 * p, 0 * p
    while True:
        g = yield p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = np.maximum(w, v)
        p = p - learning_rate * m / np.sqrt(w)


def adafactor(p: Array, learning_rate, clipping_threshold, decay_rate, eps, floor=1e-3) -> Algorithm:
    """Shazeer and Stern, 2018, algorithm 4, with relative step sizes of the learning rate."""
    row, column, t = np.zeros(p.shape[0]), np.zeros(p.shape[1]), 0
    while True:
        g, t = (yield p), t + 1
        b = 1 - t**-decay_rate
        row = b * row + (1 - b) * (g**2 + eps).sum(axis=1)
        column = b * column + (1 - b) * (g**2 + eps).sum(axis=0)
        u = g / np.sqrt(np.outer(row, column) / row.sum())
        u = u / max(1.0, np.sqrt(np.mean(u**2)) / clipping_threshold)
        p = p - learning_rate * max(floor, np.sqrt(np.mean(p**2))) * u


def radam(p: Array, learning_rate, b1, b2, threshold) -> Algorithm:
    """Liu et al., 2019, algorithm 2."""
    m, v, t, ro_inf = 0 * p, 0 * p, 0, 2 / (1 - b2) - 1
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        ro, m_hat = ro_inf - 2 * t * b2**t / (1 - b2**t), m / (1 - b1**t)
        if ro > threshold:
            r = np.sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro))
            p = p - learning_rate * r * m_hat / np.sqrt(v / (1 - b2**t))
        else:
            p = p - learning_rate * m_hat


def rprop(p: Array, learning_rate, eta_minus, eta_plus, min_step_size, max_step_size) -> Algorithm:
    """Igel and Huesken, 2003, iRprop-, entry by entry."""
    sizes, last = np.full(p.shape, learning_rate), 0 * p
    while True:
        g = (yield p).copy()
        for i in np.ndindex(p.shape):
            if g[i] * last[i] > 0:
                sizes[i] = min(sizes[i] * eta_plus, max_step_size)
            elif g[i] * last[i] < 0:
                sizes[i] = max(sizes[i] * eta_minus, min_step_size)
                g[i] = 0
        p, last = p - sizes * np.sign(g), g


def polyak(p: Array, max_learning_rate, f_min) -> Algorithm:
    """Loizou et al., 2020, the bounded step SPS_max with c = 1."""
    while True:
        g = yield p
        p = p - min((loss(p) - f_min) / np.sum(g**2), max_learning_rate) * g


def optimistic(p: Array, learning_rate, alpha, beta) -> Algorithm:
    """Mokhtari, Ozdaglar and Pattathil, 2019, equation 4, generalized."""
    last = None
    while True:
        g = yield p
        p = p - learning_rate * (alpha * g + beta * (g - (g if last is None else last)))
        last = g


def ldog(p: Array, reps_rel, eps, global_scale, learning_rate=1.0) -> Algorithm:
    """Ivgi, Hinder and Carmon, 2023, section 2.1 and 4 (layer-wise)."""
    start, distance, total = p, reps_rel * (1 + np.linalg.norm(p)), 0.0
    while True:
        g = yield p
        distance = max(distance, np.linalg.norm(p - start))
        total = total + np.sum(g**2)
        p = p - learning_rate * global_scale * distance / np.sqrt(total + eps) * g


def signum(p: Array, learning_rate, beta=0.0, weight_decay=0.0) -> Algorithm:
    """Bernstein et al., 2018, algorithms 1 and 2 (signSGD for beta = 0), the sum in place of the mean."""
    m = 0 * p
    while True:
        g = yield p
        m = beta * m + g
        p = p - learning_rate * (np.sign(m) + weight_decay * p)


def acprop(p: Array, learning_rate, b1, b2, eps, eps_root) -> Algorithm:
    """Zhuang et al., 2021, algorithm 2, with bias correction; the first step is a gradient step."""
    m, s, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        p = p - learning_rate * (g if t == 1 else g / (np.sqrt(s / (1 - b2 ** (t - 1))) + eps))
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * (g - m) ** 2 + eps_root


def adamax(p: Array, learning_rate, b1, b2, eps, weight_decay) -> Algorithm:
    """Kingma and Ba, 2014, algorithm 2, with decoupled decay."""
    m, v, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, v = b1 * m + (1 - b1) * g, np.maximum(b2 * v, np.abs(g) + eps)
        p = p - learning_rate * (m / (1 - b1**t) / v + weight_decay * p)


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


def nadamw(p: Array, learning_rate, b1, b2, eps, nesterov, weight_decay) -> Algorithm:
    """Dozat, 2016, with Loshchilov and Hutter's decay."""
    steps = adam_steps(b1, b2, eps, nesterov)
    next(steps)
    while True:
        g = yield p
        p = p - learning_rate * (steps.send(g) + weight_decay * p)


def optimistic_adam(p: Array, learning_rate, alpha, beta, b1, b2, eps, nesterov) -> Algorithm:
    """Daskalakis et al., 2017, algorithm 1 (2 for the present step, 1 for the last), generalized."""
    steps, last = adam_steps(b1, b2, eps, nesterov), None
    next(steps)
    while True:
        u = steps.send((yield p))
        p = p - learning_rate * (alpha * u + beta * (u - (u if last is None else last)))
        last = u


def simplified_ademamix(p: Array, learning_rate, b1, b2, alpha, eps) -> Algorithm:
    """Morwani et al., 2025, algorithm 1."""
    m, n, t = 0 * p, 0 * p, 0
    while True:
        g, t = (yield p), t + 1
        m, n = b1 * m + g, b2 * n + (1 - b2) * g**2
        p = p - learning_rate * (m + alpha * g) / (np.sqrt(n / (1 - b2**t)) + eps)


def momo(p: Array, learning_rate, beta, lower_bound) -> Algorithm:
    """Schaipp et al., 2023, algorithm 1."""
    d = f = c = None
    while True:
        x = p
        g, value = (yield x), loss(x)
        d = g if d is None else beta * d + (1 - beta) * g
        f = value if f is None else beta * f + (1 - beta) * value
        c = np.sum(g * x) if c is None else beta * c + (1 - beta) * np.sum(g * x)
        h = f + np.sum(d * x) - c
        p = x - min(learning_rate, max(h - lower_bound, 0) / np.sum(d**2)) * d


def momo_adam(p: Array, learning_rate, b1, b2, eps, lower_bound) -> Algorithm:
    """Schaipp et al., 2023, algorithm 2."""
    d, v, f, c, k = 0 * p, 0 * p, 0.0, 0.0, 0
    while True:
        g, k = (yield p), k + 1
        d, v = b1 * d + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        f, c = b1 * f + (1 - b1) * loss(p), b1 * c + (1 - b1) * np.sum(g * p)
        scale, rho = eps + np.sqrt(v / (1 - b2**k)), 1 - b1**k
        h = f + np.sum(d * p) - c
        step = min(learning_rate / rho, max(h - rho * lower_bound, 0) / np.sum(d**2 / scale))
        p = p - step * d / scale


def dadapt_adam(p: Array, betas, eps, estim_lr0, weight_decay) -> Algorithm:
    """Defazio and Mishchenko, 2023, algorithm 5, with Adam's bias corrections and decay."""
    (b1, b2), d = betas, estim_lr0
    m, v, s, r, k, c = 0 * p, 0 * p, 0 * p, 0.0, 0, np.sqrt(b2)
    while True:
        g, k = (yield p), k + 1
        rate = d * np.sqrt(1 - b2**k) / (1 - b1**k)
        r = c * r + (1 - c) * rate * np.sum(g * s / (np.sqrt(v) + eps))
        s, m = c * s + (1 - c) * rate * g, b1 * m + (1 - b1) * rate * g
        v = b2 * v + (1 - b2) * g**2
        p = p - m / (np.sqrt(v) + eps) - weight_decay * rate * p
        d = max(d, r / ((1 - c) * np.sum(np.abs(s))))


def mechanic(p: Array, weight_decay, eps, s_init, num_betas, learning_rate=0.1) -> Algorithm:
    """Cutkosky, Defazio and Mehta, 2023, algorithm 1, around gradient descent."""
    start, away, n = p, 0 * p, num_betas
    s, r, m, v = np.full(n, s_init), np.zeros(n), np.zeros(n), np.zeros(n)
    betas = 1 - 0.1 ** np.arange(1, n + 1)
    while True:
        g = yield p
        total = s.sum()
        away_now = (start - p) / (total + eps)
        decay = weight_decay * total * np.linalg.norm(g) / (np.linalg.norm(p) + eps)
        h = np.sum((g + decay * p) * away_now)
        r = betas * r + np.clip(h, -m, m) * s
        m, v = np.maximum(betas * m, np.abs(h) + eps), betas**2 * v + h**2
        s = (s_init / n * m + np.maximum(r, 0)) / (np.sqrt(v) + eps)
        away = away_now + learning_rate * g
        p = start - s.sum() * away


def galore(p: Array, learning_rate, rank, update_proj_gap, scale) -> Algorithm:
    """Zhao et al., 2024, algorithm 2, where the longer side is projected."""
    steps, t, basis = adam_steps(), 0, None
    next(steps)
    while True:
        g = yield p
        if t % update_proj_gap == 0:
            basis = np.linalg.svd(g)[0][:, :rank]
        p, t = p - learning_rate * scale * basis @ steps.send(basis.T @ g), t + 1


def schedule_free_adam(p: Array, learning_rate, b1, b2, eps, weight_decay, warmup_steps) -> Algorithm:
    """Defazio et al., 2024, algorithm 1, with the bias correction in the second moment."""
    x = z = y = p
    v, t, weights = 0 * p, 0, 0.0
    while True:
        g, rate = (yield y), learning_rate * min(1.0, t / warmup_steps)
        t = t + 1
        v = b2 * v + (1 - b2) * g**2
        z = z - rate * (g / (np.sqrt(v / (1 - b2**t)) + eps) + weight_decay * y)
        weights = weights + rate**2
        share = rate**2 / weights if weights > 0 else 0.0
        x = (1 - share) * x + share * z
        y = b1 * x + (1 - b1) * z


def lookahead(p: Array, sync_period, slow_step_size, learning_rate=0.1) -> Algorithm:
    """Zhang et al., 2019, algorithm 1, around gradient descent."""
    slow, t = p, 0
    while True:
        p, t = p - learning_rate * (yield p), t + 1
        if t % sync_period == 0:
            p = slow = slow + slow_step_size * (p - slow)


def plateau(p: Array, factor, patience, rtol, cooldown, learning_rate=0.1) -> Algorithm:
    """PyTorch's `ReduceLROnPlateau`, whose patience is ours less one, around gradient descent."""
    best, bad, wait, scale = np.inf, 0, 0, 1.0
    while True:
        g, value = (yield p), loss(p)
        better = value < best * (1 - rtol)
        best, bad = (value, 0) if better else (best, bad + 1)
        if wait > 0:
            wait, bad = wait - 1, 0
        if bad > patience - 1:
            scale, bad, wait = scale * factor, 0, cooldown
        p = p - learning_rate * scale * g
