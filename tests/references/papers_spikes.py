"""The algorithms of what withstands spikes, in NumPy float64. See `papers_of_trees.py`."""

from collections.abc import Iterator

import numpy as np

from .problems import Problem, Tree, matrix_and_vector, noisy_bowl

Algorithm = Iterator[Tree]


def uneven(p: Tree, step: int) -> Tree:
    """The gradient of a bowl, each array's times a number that changes with the step."""
    sizes = np.random.default_rng(step).uniform(0.5, 2, len(p))
    return {k: g * size for (k, g), size in zip(noisy_bowl(p, step).items(), sizes, strict=True)}


PROBLEM = Problem(matrix_and_vector(), uneven)


def whole_norm(g: Tree) -> float:
    """The global norm."""
    return np.sqrt(sum(np.sum(x**2) for x in g.values()))


def zclip(
    p: Tree,
    alpha,
    z_thresh,
    max_grad_norm,
    eps,
    warmup_steps,
    clip_option,
    clip_factor,
    skip_update_on_spike,
    learning_rate=0.1,
) -> Algorithm:
    """Kumar et al., 2025, with the options of the authors' code; followed by SGD.

    Without the 1e-6 that the code adds to the norm by which it divides.
    """
    first: list[float] = []
    mean = var = None
    while True:
        g = yield p
        n = whole_norm(g)
        most, spike = np.inf, False
        if mean is None or var is None:
            first.append(n)
            if len(first) == warmup_steps:
                mean, var = np.mean(first), np.var(first)
        else:
            std = np.sqrt(var)
            z = (n - mean) / (std + eps)
            if clip_option == "percentile":
                spike, most = n > mean + z_thresh * std, mean + z_thresh * std
            elif clip_option == "mean":
                spike, most = z > z_thresh, mean
            else:
                spike, most = z > z_thresh, clip_factor * (mean + z_thresh * std / (z / z_thresh))
            if not (spike and skip_update_on_spike):
                x = most if spike else n
                mean = alpha * mean + (1 - alpha) * x
                var = alpha * var + (1 - alpha) * (x - mean) ** 2
        limit = min(most if spike else n, max_grad_norm or np.inf)
        for k in p:
            p[k] = p[k] - learning_rate * g[k] * min(1, limit / n)


def adagc(p: Tree, beta, lambda_abs, lambda_rel, warmup_steps, learning_rate=0.1) -> Algorithm:
    """Wang et al., 2025, followed by SGD."""
    gamma = dict.fromkeys(p, np.inf)
    t = 0
    while True:
        g = yield p
        t += 1
        n = whole_norm(g)
        for k in p:
            size = np.linalg.norm(g[k])
            if t < warmup_steps:
                clipped = min(lambda_abs / n, 1) * g[k]
                gamma[k] = min(gamma[k], np.linalg.norm(clipped))
            else:
                clipped = min(lambda_rel * gamma[k] / size, 1) * g[k]
                gamma[k] = beta * gamma[k] + (1 - beta) * np.linalg.norm(clipped)
            p[k] = p[k] - learning_rate * clipped


def stable_adamw(p: Tree, learning_rate, b1, b2, eps, clip_threshold, weight_decay) -> Algorithm:
    """Wortsman et al., 2023, algorithm 2; the threshold is that of the authors' code."""
    v, u = ({k: 0 * x for k, x in p.items()} for _ in range(2))
    t = 0
    while True:
        g = yield p
        t += 1
        b1_hat = b1 * (1 - b1 ** (t - 1)) / (1 - b1**t)
        b2_hat = b2 * (1 - b2 ** (t - 1)) / (1 - b2**t)
        for k in p:
            v[k] = b1_hat * v[k] + (1 - b1_hat) * g[k]
            u[k] = b2_hat * u[k] + (1 - b2_hat) * g[k] ** 2
            rms = np.sqrt(np.mean(g[k] ** 2 / np.maximum(u[k], eps**2)))
            rate = learning_rate / max(1, rms / clip_threshold)
            p[k] = p[k] - rate * weight_decay * p[k] - rate * v[k] / (np.sqrt(u[k]) + eps)
