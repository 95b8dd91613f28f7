"""The table of losses: one row each, with inputs and the arguments away from their defaults."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Arguments = dict[str, Any]
SHAPE = (2, 3, 4)


def normal(*shape: int, scale: float = 2.0) -> np.ndarray:
    seed = sum(shape) + int(10 * scale)
    return np.asarray(np.random.default_rng(seed).normal(size=shape) * scale, np.float32)


def simplex(*shape: int) -> np.ndarray:
    return np.asarray(
        np.random.default_rng(sum(shape)).dirichlet(np.ones(shape[-1]), shape[:-1]), np.float32
    )


def classes(*shape: int, of: int) -> np.ndarray:
    return np.random.default_rng(sum(shape) + of).integers(0, of, shape).astype(np.int32)


def bits(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape) + 1).integers(0, 2, shape).astype(np.float32)


def mask(*shape: int) -> np.ndarray:
    """About two thirds True; the first example of a batch has no True at all."""
    chosen = np.random.default_rng(sum(shape)).random(shape) < 0.7
    chosen[(0,) * (len(shape) - 1)] = False
    return chosen


class Loss(NamedTuple):
    """A row."""

    name: str
    inputs: Arguments
    by: tuple[str, ...]  # the arguments that a gradient is taken of
    variants: tuple[Arguments, ...] = ()  # further arguments, each on top of `inputs`
    make: Callable[[Any], Callable[..., Any]] | None = None  # from a losses module; by name if None

    def function(self, losses: Any) -> Callable[..., Any]:
        """The loss, from Optax's or gradchain's module of losses."""
        return self.make(losses) if self.make else getattr(losses, self.name)

    def split(self, arguments: Arguments) -> tuple[Arguments, Arguments, Arguments]:
        """The inputs with `arguments` on top: what a gradient is taken of, other arrays, the rest."""
        rest = {**self.inputs, **arguments}
        arrays = {k: rest.pop(k) for k in list(rest) if isinstance(rest[k], np.ndarray | np.generic)}
        by = {k: arrays.pop(k) for k in self.by if k in arrays and arrays[k].dtype.kind == "f"}
        return by, arrays, rest


ELEMENTS = {"predictions": normal(3, 5), "targets": normal(3, 5, scale=1.0)}
LOGITS = {"logits": normal(*SHAPE), "labels": simplex(*SHAPE)}
AXES: tuple[Arguments, ...] = (
    {"axis": 1},
    {"axis": (0, -1)},
    {"axis": None},
    {"where": mask(*SHAPE)},
    {"where": mask(*SHAPE[:2])},
    {"where": mask(2, 4), "axis": 1},
)
CLASSES = {"scores": normal(5, 4, scale=1.0), "labels": classes(5, of=4)}
VECTORS = {"predictions": normal(*SHAPE), "targets": normal(*SHAPE, scale=1.0)}
LOG_Q = {"log_predictions": np.log(simplex(2, 3, 4))}
MASSES = {"log_predictions": normal(*SHAPE, scale=1.0), "targets": np.abs(normal(*SHAPE))}
IMAGE = (2, 3, 3, 4)
SEGMENTS = {
    "predictions": normal(*IMAGE),
    "targets": np.eye(4, dtype=np.float32)[classes(*IMAGE[:3], of=4)],
}
BINARY = {"predictions": normal(2, 3, 4), "targets": bits(2, 3, 4)}
PAIRS = {"embeddings": normal(6, 3), "labels": np.array([0, 0, 1, 2, 1, 0])}
TRIPLETS = {
    "anchors": normal(4, 3),
    "positives": normal(4, 3, scale=1.0),
    "negatives": normal(4, 3, scale=1.5),
}
FRAMES = {
    "logits": normal(4, 9, 5),
    "logit_paddings": (np.arange(9) >= np.array([9, 7, 8, 9])[:, None]).astype(np.float32),
    "labels": np.array([[1, 2, 2], [3, 3, 3], [4, 1, 0], [2, 0, 0]], np.int32),
    "label_paddings": np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]], np.float32),
}

LOSSES = [
    Loss("squared_error", ELEMENTS, ("predictions", "targets"), ({"targets": None},)),
    Loss("l2_loss", ELEMENTS, ("predictions", "targets"), ({"targets": None},)),
    Loss(
        "huber_loss",
        ELEMENTS,
        ("predictions", "targets"),
        ({"targets": None, "delta": 0.3}, {"targets": normal(5)}, {"delta": np.abs(normal(3, 5))}),
    ),
    Loss("log_cosh", ELEMENTS, ("predictions", "targets"), ({"targets": None}, {"targets": normal(5)})),
    Loss(
        "cosine_similarity",
        VECTORS,
        ("predictions", "targets"),
        (*AXES[:3], {"epsilon": 30.0}, {"epsilon": 0.1, "where": mask(*SHAPE)}),
    ),
    Loss("cosine_distance", VECTORS, ("predictions", "targets"), ({"axis": 1, "epsilon": 30.0},)),
    Loss(
        "sigmoid_binary_cross_entropy",
        {"logits": normal(3, 5), "labels": simplex(3, 5)},
        ("logits", "labels"),
        ({"labels": bits(3, 5).astype(np.int32)}, {"labels": simplex(1, 5)[0]}),
    ),
    Loss(
        "sigmoid_focal_loss",
        {"logits": normal(3, 5), "labels": simplex(3, 5)},
        ("logits",),
        ({"alpha": 0.25, "gamma": 0.5}, {"alpha": 1, "gamma": 0.0}, {"labels": bits(3, 5), "alpha": 0.7}),
    ),
    Loss(
        "hinge_loss",
        {"predictor_outputs": normal(3, 5), "targets": 2 * bits(3, 5) - 1},
        ("predictor_outputs",),
    ),
    Loss(
        "perceptron_loss",
        {"predictor_outputs": normal(3, 5), "targets": 2 * bits(3, 5) - 1},
        ("predictor_outputs",),
    ),
    Loss("sparsemax_loss", {"logits": normal(3, 5, scale=1.0), "labels": bits(3, 5)}, ("logits",)),
    Loss("softmax_cross_entropy", LOGITS, ("logits", "labels"), (*AXES, {"labels": simplex(1, 4)[0]})),
    Loss("safe_softmax_cross_entropy", LOGITS, ("logits", "labels"), ({"labels": simplex(1, 4)[0]},)),
    Loss(
        "softmax_cross_entropy_with_integer_labels",
        {"logits": normal(*SHAPE), "labels": classes(2, 3, of=4)},
        ("logits",),
        (
            {"axis": 1, "labels": classes(2, 4, of=3)},
            {"axis": (2, 0), "labels": classes(3, of=8)},
            {"axis": (0, 1, 2), "labels": classes(of=24)},
            {"where": mask(*SHAPE)},
            {"where": mask(*SHAPE[:2])},
            {"axis": (-3, -1), "labels": classes(3, of=8), "where": mask(*SHAPE)},
        ),
    ),
    Loss(
        "poly_loss_cross_entropy",
        LOGITS,
        ("logits", "labels"),
        (*AXES[:4], {"epsilon": -1.0}, {"epsilon": 0.5}),
    ),
    Loss("kl_divergence", {**LOG_Q, "targets": simplex(*SHAPE)}, ("log_predictions", "targets"), AXES[:4]),
    Loss(
        "kl_divergence_with_log_targets",
        {**LOG_Q, "log_targets": np.log(simplex(*SHAPE)) - 0.1},
        ("log_predictions", "log_targets"),
        AXES[:4],
    ),
    Loss("generalized_kl_divergence", MASSES, ("log_predictions", "targets"), AXES[:4]),
    Loss("multiclass_hinge_loss", CLASSES, ("scores",), ({"scores": normal(4), "labels": np.int32(2)},)),
    Loss(
        "multiclass_perceptron_loss", CLASSES, ("scores",), ({"scores": normal(4), "labels": np.int32(2)},)
    ),
    Loss("multiclass_sparsemax_loss", CLASSES, ("scores",), ({"scores": CLASSES["scores"] * 0.2},)),
    Loss(
        "make_fenchel_young_loss",
        {"scores": normal(*SHAPE), "targets": simplex(*SHAPE)},
        ("scores", "targets"),
        make=lambda losses: losses.make_fenchel_young_loss(jax.scipy.special.logsumexp),
    ),
    Loss(
        "dice_loss",
        SEGMENTS,
        ("predictions", "targets"),
        (
            {"reduction": "none"},
            {"reduction": "sum", "class_weights": np.array([0.5, 2, 1, 3], np.float32)},
            {"ignore_background": True, "smooth": 0.1},
            {"alpha": 0.3, "beta": 0.7, "axis": (0, 1)},
            {"axis": 2},
            {"predictions": simplex(*IMAGE), "apply_softmax": False},
            {"predictions": normal(2, 3, 3), "targets": bits(2, 3, 3, 1)},
            {"predictions": normal(2, 3, 3, 1), "targets": bits(2, 3, 3), "ignore_background": True},
        ),
    ),
    Loss(
        "multiclass_generalized_dice_loss",
        SEGMENTS,
        ("predictions",),
        (
            {"smooth": 0.1, "ignore_background": True},
            {"predictions": simplex(*IMAGE), "apply_softmax": False},
        ),
    ),
    Loss(
        "binary_dice_loss",
        BINARY,
        ("predictions",),
        ({"smooth": 0.1}, {"predictions": normal(2, 3, 1), "targets": bits(2, 3, 1)}),
    ),
    Loss(
        "ranking_softmax_loss",
        {**LOGITS, "reduce_fn": None},
        ("logits", "labels"),
        (
            {"reduce_fn": jnp.mean},
            {"reduce_fn": jnp.sum, "weights": np.abs(normal(*SHAPE))},
            {"reduce_fn": jnp.mean, "where": mask(*SHAPE)},
            {"reduce_fn": jnp.sum, "where": mask(*SHAPE)},
            {"where": mask(*SHAPE), "weights": np.abs(normal(1, 1, 4))},
        ),
    ),
    Loss(
        "ntxent", PAIRS, ("embeddings",), ({"temperature": 0.5}, {"labels": np.array([0, 0, 0, 1, 1, 1])})
    ),
    Loss(
        "triplet_margin_loss",
        TRIPLETS,
        ("anchors", "positives", "negatives"),
        ({"margin": 0.3, "eps": 0.1}, {"norm_degree": 4}, {"norm_degree": 2.0}, {"axis": 0}),
    ),
    Loss(
        "smooth_labels",
        {"labels": simplex(*SHAPE), "alpha": 0.2},
        ("labels",),
        ({"axis": 1}, {"axis": (0, 2)}, {"axis": None}, {"where": mask(2, 3, 4) | (np.arange(4) == 0)}),
    ),
    Loss(
        "ctc_loss",
        FRAMES,
        ("logits",),
        (
            {"blank_id": 4, "labels": FRAMES["labels"] % 3},
            {"log_epsilon": -1000.0},
            {"labels": np.zeros((4, 0), np.int32), "label_paddings": np.zeros((4, 0), np.float32)},
        ),
    ),
    Loss(
        "ctc_loss_with_forward_probs",
        FRAMES,
        ("logits",),
        ({"blank_id": 4, "labels": FRAMES["labels"] % 3},),
    ),
]
ROWS = {loss.name: loss for loss in LOSSES}
