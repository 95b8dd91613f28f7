"""Optimizers against their papers' algorithms, written out in NumPy float64."""

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from parity import error_to_paper
from trees import enable_x64

import gradchain as gc

Array = Any
Algorithm = Iterator[Array]  # takes gradients by `send`, gives parameters


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


PAPERS: dict[str, tuple[Callable[[Array], Algorithm], Callable[[], Any]]] = {
    "adabelief": (lambda p: adabelief(p, 0.1), lambda: gc.adabelief(0.1)),
    "lion": (lambda p: lion(p, 0.1), lambda: gc.lion(0.1, weight_decay=0.1)),
    "lamb": (lambda p: lamb(p, 0.1), lambda: gc.lamb(0.1, weight_decay=0.1)),
    "lars": (lambda p: lars(p, 0.1), lambda: gc.lars(0.1, 0.1, trust_coefficient=0.01)),
    "adan": (lambda p: adan(p, 0.1), lambda: gc.adan(0.1, eps_root=0.0, change_weight=0.92)),
    "yogi": (
        lambda p: yogi(p, 0.1),
        lambda: gc.chain(gc.scale_by_yogi(initial_accumulator_value=0.0), gc.scale(-0.1)),
    ),
    "sm3": (lambda p: sm3(p, 0.1), lambda: gc.sm3(0.1)),
    "novograd": (lambda p: novograd(p, 0.1), lambda: gc.novograd(0.1, weight_decay=0.1)),
    "fromage": (lambda p: fromage(p, 0.1), lambda: gc.fromage(0.1)),
    "amsgrad": (
        lambda p: amsgrad(p, 0.1),
        lambda: gc.amsgrad(0.1, eps=0.0, bias_correction_mu=False, bias_correction_nu=False),
    ),
    "adafactor": (lambda p: adafactor(p, 0.1), lambda: gc.adafactor(0.1, min_dim_size_to_factor=2)),
    "adafactor_offset": (
        lambda p: adafactor(p, 0.1),
        lambda: gc.adafactor(0.1, min_dim_size_to_factor=2, decay_offset=1000),
    ),
    "radam": (lambda p: radam(p, 0.1), lambda: gc.radam(0.1, eps=0.0, threshold=4.0)),
    "rprop": (lambda p: rprop(p, 0.1), lambda: gc.rprop(0.1, delayed=False)),
    "polyak_sgd": (polyak, lambda: gc.polyak_sgd(0.05, f_min=0.2)),
    "optimistic": (lambda p: optimistic(p, 0.1), lambda: gc.optimistic_gradient_descent(0.1, beta=0.7)),
    "distance_over_gradients": (
        ldog,
        lambda: gc.chain(gc.scale_by_distance_over_gradients(1e-3, param_dtype="float64"), gc.scale(-1.0)),
    ),
}


def error_of(name: str) -> float:
    """How far ten steps are from the paper's."""
    written, make = PAPERS[name]
    return error_to_paper(written, make)


@pytest.mark.parametrize("name", PAPERS)
def test_ten_steps_follow_the_paper(name: str) -> None:
    assert error_of(name) <= 1e-9


def test_nnls_finds_the_known_solution() -> None:
    """A problem made from its solution: where x is 0 the residual's gradient is not negative."""
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(30, 8)), np.maximum(rng.normal(size=(8, 3)), 0)
    with enable_x64():
        found = gc.nnls(jnp.asarray(a), jnp.asarray(a @ x), 2000)
        np.testing.assert_allclose(np.asarray(found), x, atol=1e-10)
        single = gc.nnls(jnp.asarray(a), jnp.asarray(a @ x[:, 0]), 2000, L=np.linalg.norm(a.T @ a, 2))
        np.testing.assert_allclose(np.asarray(single), x[:, 0], atol=1e-10)
        downhill = -(a.T @ rng.normal(size=30))
        x = np.asarray(gc.nnls(jnp.asarray(a), jnp.asarray(-np.linalg.pinv(a.T) @ downhill), 5000))
        slope = a.T @ (a @ x) + downhill
        assert np.all(x >= 0)
        assert np.all(slope[x == 0] > -1e-8)
        np.testing.assert_allclose(slope[x > 0], 0, atol=1e-8)
    with pytest.raises(ValueError, match=r"nnls: A must be \[m, n\] and b \[m\] or \[m, k\]"):
        gc.nnls(jnp.ones((3, 2)), jnp.ones((2,)), 5)
