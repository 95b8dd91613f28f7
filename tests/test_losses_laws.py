"""What holds for every loss: finite at its edges, in half precision, under transformations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from losses_cases import LOSSES, ROWS, Arguments, Loss

import gradchain as gc

INF = np.inf
BIG = np.array([1e4, -1e4, 65504, -65504, 0, 1e-30], np.float32)  # 65504: float16's largest
TWICE = np.concatenate([BIG, BIG])
SIGNS = np.repeat(np.array([1, -1], np.float32), len(BIG))
ROWS_OF_LOGITS = np.array(
    [
        [1e4, -1e4, 0, 1],
        [65504, 0, 0, -65504],
        [0, -INF, 1, -INF],
        [-INF, -INF, 5, -INF],
        [-INF, -INF, -INF, -INF],  # masked
        [1, 2, 3, 4],
        [-1e4, -1e4, -1e4, -1e4],
    ],
    np.float32,
)
LABELS_OF_ROWS = np.array([1, 0, 2, 2, 0, 3, 1], np.int32)
HOT = np.eye(4, dtype=np.float32)[LABELS_OF_ROWS]
MASK = np.repeat(np.arange(7) != 4, 4).reshape(7, 4)
SCORES = np.delete(ROWS_OF_LOGITS, 4, 0)
VECTORS = np.concatenate(
    [np.zeros((2, 3)), np.full((1, 3), 1e4), np.full((1, 3), 65504), np.full((1, 3), 1e-15), -np.eye(3)]
).astype(np.float32)
LOG_Q = np.array([[0, -INF, -INF], [-1e4, 0, -1e4], [-INF, -INF, -INF], [-1, -INF, -1]], np.float32)
P = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5], [0.5, 0, 0.5]], np.float32)
KEPT = np.repeat(np.arange(4) != 2, 3).reshape(4, 3)
MAPS = np.broadcast_to(BIG[:, None, None], (6, 4, 3)) * np.array([1, -1, 0.5], np.float32)
FRAMES: Arguments = {
    "logits": np.concatenate(
        [
            np.full((1, 6, 4), 0) + BIG[:4],
            np.where(np.arange(4) == 3, -INF, np.ones((2, 6, 4))),  # a class that never comes
            np.ones((4, 6, 4)),
        ]
    ).astype(np.float32),
    "logit_paddings": np.arange(6) >= np.array([6, 6, 3, 0, 2, 6, 5])[:, None],
    "labels": np.array(
        [[1, 2, 2], [2, 1, 1], [1, 2, 0], [0, 0, 0], [1, 2, 1], [0, 0, 0], [1, 1, 1]], np.int32
    ),
    "label_paddings": np.arange(3) >= np.array([3, 3, 2, 0, 3, 0, 3])[:, None],
}

EDGES: dict[str, Arguments] = {
    "squared_error": {"predictions": BIG, "targets": BIG[::-1]},
    "l2_loss": {"predictions": BIG, "targets": BIG[::-1]},
    "huber_loss": {"predictions": TWICE, "targets": TWICE[::-1], "delta": np.repeat([INF, 0.0], 6)},
    "log_cosh": {"predictions": BIG, "targets": BIG[::-1] * 0.5},
    "cosine_similarity": {"predictions": VECTORS, "targets": np.roll(VECTORS, 1, 0)},
    "cosine_distance": {"predictions": VECTORS, "targets": np.roll(VECTORS, 1, 0)},
    "sigmoid_binary_cross_entropy": {
        "logits": np.append(TWICE, [-INF, INF]).astype(np.float32),
        "labels": np.append(SIGNS > 0, [0, 1]).astype(np.float32),
    },
    "sigmoid_focal_loss": {
        "logits": np.append(TWICE, [-INF, INF]).astype(np.float32),
        "labels": np.append(SIGNS > 0, [0, 1]).astype(np.float32),
        "gamma": np.resize(np.array([0.5, 2, 0], np.float32), 14),
    },
    "hinge_loss": {"predictor_outputs": TWICE, "targets": SIGNS},
    "perceptron_loss": {"predictor_outputs": TWICE, "targets": SIGNS},
    "sparsemax_loss": {"logits": TWICE, "labels": SIGNS > 0},
    "softmax_cross_entropy": {"logits": ROWS_OF_LOGITS, "labels": HOT, "where": MASK},
    "safe_softmax_cross_entropy": {"logits": ROWS_OF_LOGITS, "labels": HOT * MASK},
    "softmax_cross_entropy_with_integer_labels": {
        "logits": ROWS_OF_LOGITS,
        "labels": LABELS_OF_ROWS,
        "where": MASK,
    },
    "poly_loss_cross_entropy": {"logits": ROWS_OF_LOGITS, "labels": HOT, "where": MASK},
    "kl_divergence": {"log_predictions": LOG_Q, "targets": P, "where": KEPT},
    "kl_divergence_with_log_targets": {
        "log_predictions": LOG_Q,
        "log_targets": np.where(P > 0, np.log(np.maximum(P, 1e-9)), -INF).astype(np.float32),
        "where": KEPT,
    },
    "generalized_kl_divergence": {"log_predictions": LOG_Q, "targets": P, "where": KEPT},
    "multiclass_hinge_loss": {"scores": SCORES, "labels": np.delete(LABELS_OF_ROWS, 4)},
    "multiclass_perceptron_loss": {"scores": SCORES, "labels": np.delete(LABELS_OF_ROWS, 4)},
    "multiclass_sparsemax_loss": {"scores": SCORES, "labels": np.delete(LABELS_OF_ROWS, 4)},
    "make_fenchel_young_loss": {"scores": SCORES, "targets": np.delete(HOT, 4, 0)},
    "dice_loss": {"predictions": MAPS, "targets": np.zeros((6, 4, 3), np.float32), "smooth": 0.0},
    "multiclass_generalized_dice_loss": {
        "predictions": MAPS,
        "targets": np.zeros((6, 4, 3), np.float32),
        "smooth": 0.0,
    },
    "binary_dice_loss": {"predictions": MAPS, "targets": np.zeros((6, 4, 3), np.float32), "smooth": 0.0},
    "ranking_softmax_loss": {"logits": ROWS_OF_LOGITS, "labels": HOT, "where": MASK, "reduce_fn": jnp.mean},
    "ntxent": {"embeddings": VECTORS, "labels": np.array([0, 0, 1, 1, 2, 2, 2, 3]), "temperature": 0.01},
    "triplet_margin_loss": {
        "anchors": VECTORS,
        "positives": VECTORS,
        "negatives": np.roll(VECTORS, 1, 0),
        "eps": 0.0,
    },
    "smooth_labels": {"labels": HOT, "alpha": 1.0, "where": MASK},
    "ctc_loss": FRAMES,
    "ctc_loss_with_forward_probs": FRAMES,
}

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)


def total(loss: Loss, by: Arguments, *others: Arguments) -> jax.Array:
    """One number that depends on all values that are finite by law."""
    values = loss.function(gc.losses)(**by, **{k: v for other in others for k, v in other.items()})
    return sum(jnp.sum(x.astype(jnp.float32)) for x in jax.tree.leaves(values))


def halves(arguments: Arguments, dtype: Any) -> Arguments:
    """Floating point arrays in half precision."""
    return {k: jnp.asarray(x, dtype) if x.dtype.kind == "f" else x for k, x in arguments.items()}


@every_loss
def test_values_and_derivatives_are_finite_at_the_edges(loss: Loss) -> None:
    by, arrays, rest = loss._replace(inputs=EDGES[loss.name]).split({})

    @jax.jit
    def run(by: Arguments, arrays: Arguments) -> Any:
        def first(by: Arguments) -> Arguments:
            return jax.grad(lambda by: total(loss, by, arrays, rest))(by)

        def of_first(by: Arguments) -> jax.Array:
            return sum(jnp.sum(jnp.cos(g)) for g in jax.tree.leaves(first(by)))

        values, small = (
            loss.function(gc.losses)(**x, **arrays, **rest) for x in (by, halves(by, jnp.float16))
        )
        return (values, first(by), jax.grad(of_first)(by)), small

    finite, small = run(by, arrays)
    for x in jax.tree.leaves(finite):
        assert np.isfinite(x).all(), x
    wide, small = (jax.tree.leaves(x)[0] for x in (finite, small))
    assert small.dtype == jnp.float16
    assert (np.isfinite(small) | (np.abs(wide) > 65504)).all()  # where float16 can be


@every_loss
def test_half_precision_is_float32_rounded_once(loss: Loss) -> None:
    by, arrays, rest = loss.split({})

    def run(by: Arguments, arrays: Arguments) -> Any:
        def both(by: Arguments) -> Any:
            values = jax.tree.leaves(loss.function(gc.losses)(**by, **arrays, **rest))
            return sum(jnp.sum(x.astype(jnp.float32)) for x in values), values[0]

        return jax.grad(both, has_aux=True)(by)

    def upcast(x: jax.Array, dtype: Any) -> jax.Array:
        return x.astype(jnp.float32) if x.dtype == dtype else x

    @jax.jit
    def pair(by: Arguments, arrays: Arguments) -> Any:
        small = [(halves(by, dtype), halves(arrays, dtype)) for dtype in (jnp.float16, jnp.bfloat16)]
        wide = [jax.tree.map(lambda x: upcast(x, jnp.float16), small[0])]
        wide += [jax.tree.map(lambda x: upcast(x, jnp.bfloat16), small[1])]
        return [run(*x) for x in small], [run(*x) for x in wide]

    for dtype, small, wide in zip((jnp.float16, jnp.bfloat16), *pair(by, arrays), strict=True):
        for x, y in zip(jax.tree.leaves(small), jax.tree.leaves(wide), strict=True):
            assert x.dtype == dtype
            assert y.dtype == jnp.float32
            eps = float(jnp.finfo(dtype).eps)
            np.testing.assert_allclose(x.astype(jnp.float32), y, rtol=2 * eps, atol=eps / 100)


@every_loss
def test_vmap_is_a_loop_and_jit_changes_nothing(loss: Loss) -> None:
    by, arrays, rest = loss.split({})
    arrays = by | arrays
    other = {k: x[::-1] if np.ndim(x) else x for k, x in by.items()}
    pair = [arrays, arrays | other]
    stacked = {k: jnp.stack([x[k] for x in pair]) for k in arrays}
    at_once = jax.jit(jax.vmap(lambda x: loss.function(gc.losses)(**x, **rest)))(stacked)
    for i, one in enumerate(pair):
        alone = loss.function(gc.losses)(**one, **rest)
        for x, y in zip(jax.tree.leaves(at_once), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(x[i], y, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("softmax_cross_entropy_with_integer_labels", {}),
        ("softmax_cross_entropy_with_integer_labels", {"where": np.arange(24).reshape(2, 3, 4) % 5 > 0}),
        ("ctc_loss", {}),
        ("log_cosh", {}),
        ("huber_loss", {}),
        ("multiclass_sparsemax_loss", {}),
    ],
)
def test_second_derivatives_are_optax_s_forwards_and_backwards(name: str, arguments: Arguments) -> None:
    loss = ROWS[name]
    by, arrays, rest = loss.split(arguments)
    first = by.pop(loss.by[0])

    def curvature(library: Any, x: jax.Array, v: jax.Array) -> Any:
        def run(x: jax.Array) -> jax.Array:
            return jnp.sum(jnp.sin(loss.function(library.losses)(x, **by, **arrays, **rest)))

        return jax.jvp(jax.grad(run), (x,), (v,))[1], jax.grad(lambda x: jnp.vdot(jax.grad(run)(x), v))(x)

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        x, v = (
            jnp.asarray(first, jnp.float64),
            jnp.asarray(np.cos(np.arange(first.size)).reshape(first.shape)),
        )
        expected = jax.jit(lambda x: curvature(optax, x, v)[0])(x)
        for ours in jax.jit(lambda x: curvature(gc, x, v))(x):
            np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@every_loss
def test_docstrings_are_short_and_speak_of_every_argument(loss: Loss) -> None:
    function = getattr(gc.losses, loss.name)
    doc = function.__doc__
    assert len(doc.splitlines()) <= 30
    assert "Returns" in doc
    if "as `" not in doc:
        assert all(word in doc for word in function.__annotations__ if word != "return")


def test_every_loss_has_edges() -> None:
    assert set(EDGES) == set(ROWS)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("squared_error", {"targets": np.ones((3, 1), np.float32)}),
        ("l2_loss", {"targets": np.ones((5,), np.float32)}),
        ("huber_loss", {"targets": np.ones((5, 3), np.float32)}),
        ("huber_loss", {"predictions": np.ones(3, np.float32), "targets": np.ones((3, 1), np.float32)}),
        ("huber_loss", {"delta": -1.0}),
        ("log_cosh", {"predictions": np.ones(3, np.float32), "targets": np.ones((3, 1), np.float32)}),
        ("cosine_similarity", {"targets": np.ones((2, 3, 1), np.float32)}),
        (
            "cosine_distance",
            {"predictions": np.ones((3, 4), np.float32), "targets": np.ones((3, 1, 4), np.float32)},
        ),
        ("cosine_distance", {"axis": 3}),
        ("sigmoid_binary_cross_entropy", {"logits": np.ones(3, np.float32), "labels": np.ones((3, 1))}),
        ("sigmoid_focal_loss", {"labels": np.ones((3, 1, 5))}),
        ("sigmoid_focal_loss", {"alpha": 1.5}),
        ("sigmoid_focal_loss", {"gamma": -1.0}),
        ("hinge_loss", {"targets": np.ones((3, 1, 1))}),
        ("perceptron_loss", {"targets": np.ones((3, 1))}),
        ("sparsemax_loss", {"labels": np.ones((5, 3))}),
        ("softmax_cross_entropy", {"labels": np.ones((2, 3, 1), np.float32)}),
        ("softmax_cross_entropy", {"where": np.ones((3,), bool)}),
        ("safe_softmax_cross_entropy", {"labels": np.ones((2, 1, 3, 4), np.float32)}),
        ("softmax_cross_entropy_with_integer_labels", {"labels": np.zeros((2, 3, 1), np.int32)}),
        ("softmax_cross_entropy_with_integer_labels", {"labels": np.full((2, 3), 4)}),
        ("softmax_cross_entropy_with_integer_labels", {"axis": None}),
        ("poly_loss_cross_entropy", {"labels": np.ones((2, 3, 5), np.float32)}),
        ("kl_divergence", {"targets": np.ones((2, 3, 1), np.float32)}),
        ("kl_divergence_with_log_targets", {"log_targets": np.ones((2, 1, 3, 4), np.float32)}),
        ("generalized_kl_divergence", {"where": np.ones((2, 4), bool)}),
        ("multiclass_hinge_loss", {"labels": np.zeros((5, 1), np.int32)}),
        ("multiclass_hinge_loss", {"labels": np.full(5, 4)}),
        ("multiclass_perceptron_loss", {"labels": np.full(5, -1)}),
        ("multiclass_sparsemax_loss", {"labels": np.full(5, 7)}),
        ("make_fenchel_young_loss", {"targets": np.ones((2, 3, 5), np.float32)}),
        ("dice_loss", {"targets": np.zeros((2, 3, 3), np.float32)}),
        ("dice_loss", {"class_weights": np.ones(3)}),
        ("dice_loss", {"reduction": "max"}),
        ("dice_loss", {"apply_softmax": False}),
        ("multiclass_generalized_dice_loss", {"targets": np.zeros((2, 3, 3, 5), np.float32)}),
        ("binary_dice_loss", {"apply_sigmoid": False}),
        ("ranking_softmax_loss", {"labels": np.ones((2, 3, 5), np.float32)}),
        ("ranking_softmax_loss", {"weights": np.ones((2, 3), np.float32)}),
        ("ntxent", {"labels": np.zeros((6, 1), np.int32)}),
        ("ntxent", {"temperature": 0.0}),
        ("triplet_margin_loss", {"negatives": np.ones((4, 1), np.float32)}),
        (
            "triplet_margin_loss",
            {"negatives": np.ones((3,), np.float32), "positives": np.ones((2, 1, 3), np.float32)},
        ),
        ("triplet_margin_loss", {"norm_degree": 0.5}),
        ("smooth_labels", {"axis": 5}),
        ("ctc_loss", {"logit_paddings": np.zeros((4, 8), np.float32)}),
        ("ctc_loss", {"labels": np.zeros((3, 3), np.int32)}),
        ("ctc_loss", {"blank_id": 5}),
        ("ctc_loss_with_forward_probs", {"label_paddings": np.zeros((4, 2), np.float32)}),
    ],
)
def test_arguments_that_do_not_fit_are_named(name: str, changes: Arguments) -> None:
    loss = ROWS[name]
    said = "fenchel_young_loss" if "fenchel" in name else name
    with pytest.raises(ValueError, match=rf"^{said}: .*(expected|must) .*"):
        loss.function(gc.losses)(**{**loss.inputs, **changes})


@every_loss
def test_integers_are_no_predictions(loss: Loss) -> None:
    first = loss.by[0]
    with pytest.raises(TypeError, match=f"{first} must be floating point, received dtype int32"):
        loss.function(gc.losses)(**{**loss.inputs, first: np.zeros(loss.inputs[first].shape, np.int32)})
