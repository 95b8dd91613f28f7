"""The losses of PyTorch, scikit-learn and SciPy, and formulas as the papers print them."""

import itertools
import json
import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.special
import scipy.stats
import sklearn.metrics

import gradchain.losses as losses

FOLDER = Path(__file__).parent / "references"
REFERENCE = json.loads((FOLDER / "torch_losses.json").read_text())
CASES = {case["name"]: case for case in REFERENCE["cases"]}
RANDOM = np.random.default_rng(3)
X, Y = RANDOM.normal(size=(2, 6, 4)) * 2
P = RANDOM.dirichlet(np.ones(4), 6)
INDEX = RANDOM.integers(0, 4, 6)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorch_s(name: str) -> None:
    case = CASES[name]
    with jax.enable_x64(True):
        inputs = {k: jnp.asarray(v) for k, v in REFERENCE["inputs"].items()}

        def run(x: jax.Array) -> jax.Array:
            return eval(case["gradchain"], {**vars(losses), **inputs, case["by"]: x, "inf": np.inf})

        x = inputs[case["by"]]
        value, pull = jax.jit(lambda x: jax.vjp(run, x))(x)
        (gradient,) = pull(jnp.ones_like(value))
    np.testing.assert_allclose(value, case["value"], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, np.nan_to_num(case["gradient"]), rtol=1e-10, atol=1e-13)


def test_the_file_holds_what_its_script_says() -> None:
    """The table in `make_torch_losses.py` was not edited without writing the file anew."""
    script = runpy.run_path(str(FOLDER / "make_torch_losses.py"))
    assert script["problem"]() == REFERENCE["inputs"]
    written = [{k: v for k, v in case.items() if k not in ("value", "gradient")} for case in CASES.values()]
    assert written == [case._asdict() for case in script["CASES"]]


def sigmoid_log_loss(y: np.ndarray, x: np.ndarray) -> float:
    return sklearn.metrics.log_loss(y, scipy.special.expit(x), labels=[0, 1])


BITS = (Y[:, 0] > 0).astype(float)
SCORES = X[:, 0]
IN_WORDS: dict[str, tuple[Any, Any]] = {
    "sklearn hinge_loss": (
        lambda: jnp.mean(losses.hinge_loss(SCORES, 2 * BITS - 1)),
        lambda: sklearn.metrics.hinge_loss(BITS, SCORES),
    ),
    "sklearn hinge_loss of classes": (
        lambda: jnp.mean(losses.multiclass_hinge_loss(X, INDEX)),
        lambda: sklearn.metrics.hinge_loss(INDEX, X, labels=[0, 1, 2, 3]),
    ),
    "sklearn log_loss": (
        lambda: jnp.mean(losses.sigmoid_binary_cross_entropy(SCORES, BITS)),
        lambda: sigmoid_log_loss(BITS, SCORES),
    ),
    "sklearn log_loss of classes": (
        lambda: jnp.mean(losses.softmax_cross_entropy_with_integer_labels(X, INDEX)),
        lambda: sklearn.metrics.log_loss(INDEX, scipy.special.softmax(X, -1), labels=[0, 1, 2, 3]),
    ),
    "sklearn mean_squared_error": (
        lambda: jnp.mean(losses.squared_error(X, Y)),
        lambda: sklearn.metrics.mean_squared_error(Y, X),
    ),
    "sklearn f1_score": (  # of hard predictions, Dice is F1
        lambda: losses.binary_dice_loss(SCORES[None] * 1e6, BITS[None], smooth=0.0)[0],
        lambda: 1 - sklearn.metrics.f1_score(BITS, SCORES > 0),
    ),
    "sklearn f1_score of classes": (
        lambda: losses.dice_loss(X[None] * 1e6, np.eye(4)[INDEX][None], smooth=0.0)[0],
        lambda: 1 - sklearn.metrics.f1_score(INDEX, X.argmax(-1), labels=[0, 1, 2, 3], average="macro"),
    ),
    "sklearn jaccard_score": (  # alpha = beta = 1
        lambda: losses.dice_loss(SCORES[None, :, None] * 1e6, BITS[None], smooth=0.0, alpha=1.0, beta=1.0)[
            0
        ],
        lambda: 1 - sklearn.metrics.jaccard_score(BITS, SCORES > 0),
    ),
    "sklearn cosine_similarity": (
        lambda: losses.cosine_similarity(X[:, None], Y[None]),
        lambda: sklearn.metrics.pairwise.cosine_similarity(X, Y),
    ),
    "scipy cosine": (
        lambda: losses.cosine_distance(X[0], Y[0]),
        lambda: scipy.spatial.distance.cosine(X[0], Y[0]),
    ),
    "scipy entropy": (
        lambda: losses.kl_divergence(np.log(P[::-1]), P),
        lambda: scipy.stats.entropy(P, P[::-1], axis=-1),
    ),
    "scipy kl_div": (
        lambda: losses.generalized_kl_divergence(Y, P),
        lambda: scipy.special.kl_div(P, np.exp(Y)).sum(-1),
    ),
    "scipy huber": (lambda: losses.huber_loss(X, Y, delta=0.6), lambda: scipy.special.huber(0.6, X - Y)),
    "log cosh": (lambda: losses.log_cosh(X, Y), lambda: np.log(np.cosh(X - Y))),
    "focal loss": (
        lambda: losses.sigmoid_focal_loss(SCORES, BITS, alpha=0.3, gamma=1.5),
        lambda: _focal(scipy.special.expit(SCORES), BITS, 0.3, 1.5),
    ),
    "poly-1": (
        lambda: losses.poly_loss_cross_entropy(X, P, epsilon=0.7),
        lambda: (
            -(P * (scipy.special.log_softmax(X, -1) - 0.7 * (1 - scipy.special.softmax(X, -1)))).sum(-1)
        ),
    ),
    "nt-xent": (lambda: losses.ntxent(X, np.array([0, 1, 2, 0, 1, 2]), 0.5), lambda: _nt_xent(X, 0.5)),
    "sparsemax": (
        lambda: losses.multiclass_sparsemax_loss(X, INDEX),
        lambda: [_sparsemax_loss(z, k) for z, k in zip(X, INDEX, strict=True)],
    ),
    "generalized dice": (
        lambda: losses.multiclass_generalized_dice_loss(X[None], np.eye(4)[INDEX][None]),
        lambda: _generalized_dice(scipy.special.softmax(X, -1), np.eye(4)[INDEX]),
    ),
}


def _focal(p: np.ndarray, y: np.ndarray, alpha: float, gamma: float) -> np.ndarray:
    p_t, alpha_t = np.where(y == 1, p, 1 - p), np.where(y == 1, alpha, 1 - alpha)
    return -alpha_t * (1 - p_t) ** gamma * np.log(p_t)


def _nt_xent(x: np.ndarray, temperature: float) -> float:
    """With two views of each of three examples, in both orders: the pair against the other four."""
    s = np.exp(sklearn.metrics.pairwise.cosine_similarity(x) / temperature)
    pairs = [(i, (i + 3) % 6) for i in range(6)]
    return float(np.mean([-np.log(s[i, j] / sum(s[i, k] for k in range(6) if k != i)) for i, j in pairs]))


def _sparsemax_loss(z: np.ndarray, label: int) -> float:
    ranked = np.sort(z)[::-1]
    size = max(k for k in range(1, len(z) + 1) if 1 + k * ranked[k - 1] > ranked[:k].sum())
    tau = (ranked[:size].sum() - 1) / size
    return -z[label] + 0.5 * (ranked[:size] ** 2 - tau**2).sum() + 0.5


def _generalized_dice(p: np.ndarray, t: np.ndarray) -> float:
    weights = 1 / (t.sum(0) ** 2 + 1e-7)
    weights = weights / weights.sum() * len(weights)
    return float((weights * (1 - ((p * t).sum(0) + 1) / (0.5 * (p.sum(0) + t.sum(0)) + 1))).mean())


@pytest.mark.parametrize("name", IN_WORDS)
def test_other_libraries_and_papers_agree(name: str) -> None:
    ours, theirs = IN_WORDS[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(), theirs(), rtol=1e-9, atol=1e-12)


def all_alignments(log_p: np.ndarray, labels: list[int]) -> float:
    """-log of the sum over all paths that collapse to the labels, one by one."""
    total = -np.inf
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        merged = [k for k, _ in itertools.groupby(path)]
        if [k for k in merged if k] == labels:
            total = np.logaddexp(total, sum(frame[k] for frame, k in zip(log_p, path, strict=True)))
    return -total


@pytest.mark.parametrize("labels", [[], [1], [1, 1], [2, 1], [1, 2, 1], [2, 2, 1]])
def test_ctc_is_the_sum_over_all_alignments(labels: list[int]) -> None:
    frames = RANDOM.normal(size=(1, 5, 3))
    padded = [*labels, *[0] * (3 - len(labels))]
    with jax.enable_x64(True):
        ours = losses.ctc_loss(
            frames, np.zeros((1, 5)), np.array([padded]), np.arange(3)[None] >= len(labels)
        )
    np.testing.assert_allclose(
        ours[0], all_alignments(scipy.special.log_softmax(frames[0], -1), labels), rtol=1e-12
    )
