"""The remaining optimizers and wrappers against their algorithms, written out in NumPy float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from parity import error_to_paper
from trees import enable_x64

import gradchain as gc

Array = Any
Algorithm = Iterator[Array]  # takes gradients by `send`, gives parameters


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


ROWS: dict[str, tuple[Callable[[Array], Algorithm], Callable[[], Any]]] = {
    "sign_sgd": (lambda p: signum(p, 0.1, wd=0.1), lambda: gc.sign_sgd(0.1, weight_decay=0.1)),
    "signum": (lambda p: signum(p, 0.1, 0.9), lambda: gc.signum(0.1, 0.9)),
    "acprop": (lambda p: acprop(p, 0.1), lambda: gc.acprop(0.1)),
    "adamaxw": (lambda p: adamax(p, 0.1), lambda: gc.adamaxw(0.1, weight_decay=0.1)),
    "nadamw": (lambda p: nadamw(p, 0.1), lambda: gc.nadamw(0.1, weight_decay=0.1)),
    "optimistic_adam_v2": (
        lambda p: optimistic_adam(p, 0.1),
        lambda: gc.optimistic_adam_v2(0.1, alpha=0.8, beta=0.5, nesterov=False),
    ),
    "simplified_ademamix": (
        lambda p: simplified_ademamix(p, 0.01),
        lambda: gc.simplified_ademamix(0.01, alpha=2.0),
    ),
    "momo": (lambda p: momo(p, 0.1), lambda: gc.momo(0.1, lower_bound=0.5)),
    "momo_adam": (lambda p: momo_adam(p, 0.1), lambda: gc.momo_adam(0.1, lower_bound=0.5)),
    "dadapt_adamw": (dadapt_adam, lambda: gc.dadapt_adamw(estim_lr0=1e-2, weight_decay=0.1)),
    "mechanize": (lambda p: mechanic(p, 0.1), lambda: gc.mechanize(gc.sgd(0.1), s_init=1e-2)),
    "galore": (lambda p: galore(p, 0.1), lambda: gc.galore(0.1, rank=2, update_proj_gap=4, scale=0.5)),
    "schedule_free_adamw": (
        lambda p: schedule_free_adam(p, 0.1),
        lambda: gc.schedule_free_adamw(0.1, warmup_steps=3, weight_decay=0.1),
    ),
    "lookahead": (lambda p: lookahead(p, 0.1), lambda: gc.lookahead(gc.sgd(0.1), 3, 0.5)),
    "reduce_on_plateau": (
        lambda p: plateau(p, 0.1),
        lambda: gc.chain(gc.reduce_on_plateau(0.5, 2, rtol=1e-2, cooldown=2), gc.sgd(0.1)),
    ),
}


def error_of(name: str) -> float:
    """How far ten steps are from the algorithm's."""
    written, make = ROWS[name]
    return error_to_paper(written, make)


@pytest.mark.parametrize("name", ROWS)
def test_ten_steps_follow_the_algorithm(name: str) -> None:
    assert error_of(name) <= 1e-9


def test_noise_has_the_variance_of_the_schedule() -> None:
    """Neelakantan et al., 2015, section 3: a variance of eta / (1 + t)^gamma."""
    with enable_x64():
        tx = gc.noisy_sgd(1.0, eta=0.3, gamma=0.55, key=0)
        zeros = gc.tree.zeros_like({"w": np.ones(20_000)})
        state = tx.init(zeros)
        for t in range(1, 4):
            noise, state = tx.update(zeros, state, zeros)
            variance = np.var(np.asarray(noise["w"]))
            assert abs(variance / (0.3 / t**0.55) - 1) < 5 * np.sqrt(2 / 20_000)
