"""Where the losses do better than Optax's: labels that are no class, CTC, shapes, digits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from losses_cases import FRAMES, ROWS

import gradchain.losses as losses

INF = np.inf


def of_float16(x: Any) -> jax.Array:
    return jnp.asarray(x, jnp.float16)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("softmax_cross_entropy_with_integer_labels", jnp.uint8),
        ("multiclass_hinge_loss", jnp.int8),
        ("multiclass_perceptron_loss", jnp.int32),
        ("multiclass_sparsemax_loss", jnp.int32),
    ],
)
def test_a_label_that_is_no_class_is_seen(name: str, dtype: Any) -> None:
    """The loss is NaN, the gradient 0; other examples are as they were."""
    x = np.asarray(np.random.default_rng(0).normal(size=(4, 3)), np.float32)
    labels, bad = jnp.asarray([0, -1, 2, 3]).astype(dtype), np.array([False, True, False, True])

    @jax.jit
    def run(x: jax.Array, labels: jax.Array) -> Any:
        return jax.vjp(lambda x: getattr(losses, name)(x, labels), x)[1](jnp.ones(4))[0], getattr(
            losses, name
        )(x, labels)

    slope, loss = run(x, labels)
    assert (np.isnan(loss) == bad).all()
    assert (slope[bad] == 0).all()
    good, _ = run(x, jnp.where(bad, 0, labels.astype(jnp.int32)))
    np.testing.assert_array_equal(slope[~bad], good[~bad])


def test_many_classes_and_small_integers_for_labels() -> None:
    """Numbers of classes that do not fit the labels' type."""
    x = np.asarray(np.random.default_rng(0).normal(size=(2, 300)), np.float32)
    slope = jax.grad(lambda x: losses.softmax_cross_entropy_with_integer_labels(x, labels).sum())
    labels = jnp.asarray([3, 255], jnp.uint8)
    expected = jax.nn.softmax(x) - jax.nn.one_hot(labels.astype(jnp.int32), 300)
    np.testing.assert_allclose(slope(x), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", [np.array, jnp.asarray])
def test_an_example_of_negative_label_counts_for_nothing(kind: Any) -> None:
    """Padding is often marked so, and its losses are multiplied by a mask of zeros."""
    x = np.asarray(np.random.default_rng(0).normal(size=(3, 4)), np.float32)
    of = lambda x: losses.softmax_cross_entropy_with_integer_labels(x, kind([1, -100, -1]))  # noqa: E731
    alone = losses.softmax_cross_entropy_with_integer_labels(x[:1], np.array([1]))
    np.testing.assert_array_equal(of(x), [alone[0], 0, 0])
    slope = jax.grad(lambda x: of(x).sum())(x)
    assert (slope[1:] == 0).all()
    assert (slope[0] != 0).all()


def test_a_label_too_large_is_told() -> None:
    with pytest.raises(ValueError, match=r"labels must be .*received 4"):
        losses.softmax_cross_entropy_with_integer_labels(jnp.ones((2, 4)), np.array([-1, 4]))
    loss = losses.softmax_cross_entropy_with_integer_labels(jnp.ones((2, 4)), jnp.asarray([-1, 4]))
    np.testing.assert_array_equal(np.isnan(loss), [False, True])


def test_masked_examples_may_have_any_label() -> None:
    x, where = np.ones((2, 3), np.float32), np.array([True, False])
    for labels in (np.array([1, -100]), jnp.asarray([1, -100])):
        loss = losses.softmax_cross_entropy_with_integer_labels(x, labels, where=where)
        np.testing.assert_allclose(loss, [np.log(3), 0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_no_second_copy_of_the_logits(dtype: Any) -> None:
    """What the compiled forward and backward pass keeps beside logits and gradient."""
    x, labels = jnp.zeros((64, 1024), dtype), jnp.zeros(64, jnp.int32)

    def mean(x: jax.Array) -> jax.Array:
        return jnp.mean(losses.softmax_cross_entropy_with_integer_labels(x, labels).astype(jnp.float32))

    compiled = jax.jit(jax.value_and_grad(mean)).lower(x).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 0.1 * x.nbytes


class TestCtc:
    """`FRAMES` has two examples whose labels repeat, one with padding, one with padded frames."""

    def test_is_never_negative(self) -> None:
        """Optax: -2.2e-7 in about half of such draws."""
        random = np.random.default_rng(0)
        path = np.eye(3)[[1, 1, 0, 2, 2, 0, 1, 1]]
        logits = path * random.uniform(10, 25, (200, 1, 1)) + random.normal(size=(200, 8, 3))
        labels = np.broadcast_to([1, 2, 1], (200, 3))
        arguments = (np.asarray(logits, np.float32), np.zeros((200, 8)), labels, np.zeros((200, 3)))
        loss = jax.jit(losses.ctc_loss)(*arguments)
        assert loss.min() >= 0
        assert (jax.jit(optax.losses.ctc_loss)(*(jnp.asarray(a) for a in arguments)) < 0).any()

    def test_labels_that_do_not_fit(self) -> None:
        """Three labels, or two equal ones, in two frames: log_epsilon for the step that is missing."""
        logits, labels = np.zeros((2, 2, 3), np.float32), np.array([[1, 2, 1], [1, 1, 0]])
        padding = np.array([[0, 0, 0], [0, 0, 1]])
        finite = losses.ctc_loss(logits, np.zeros((2, 2)), labels, padding)
        np.testing.assert_allclose(
            finite,
            optax.losses.ctc_loss(
                *(
                    jnp.asarray(a, jnp.float32 if a.dtype != int else None)
                    for a in (logits, np.zeros((2, 2)), labels)
                ),
                jnp.asarray(padding, jnp.float32),
            ),
            rtol=1e-6,
        )
        slope, loss = jax.grad(
            lambda x: (lambda y: (y.sum(), y))(
                losses.ctc_loss(x, np.zeros((2, 2)), labels, padding, log_epsilon=-INF)
            ),
            has_aux=True,
        )(jnp.asarray(logits))
        assert (loss == INF).all()
        assert (slope == 0).all()

    def test_classes_that_never_come(self) -> None:
        """A logit of -inf is harmless unless its class is needed. Optax: NaN for both."""
        x = np.zeros((2, 4, 4), np.float32)
        x[0, :, 3] = x[1, :, 1] = -INF
        arguments = (np.zeros((2, 4)), np.array([[1, 2], [1, 2]]), np.zeros((2, 2)))
        run = jax.jit(lambda x: losses.ctc_loss(x, *arguments, log_epsilon=-INF))
        loss, slope = run(x), jax.jit(jax.grad(lambda x: run(x).sum()))(x)
        np.testing.assert_allclose(
            loss, [losses.ctc_loss(x[:1, :, :3], *(a[:1] for a in arguments))[0], INF]
        )
        assert np.isfinite(slope).all()
        assert (slope[1] == 0).all()
        assert losses.ctc_loss(x, *arguments)[1] > 1e5

    def test_padded_frames_and_labels_do_not_matter(self) -> None:
        def run(logits: jax.Array, labels: jax.Array) -> jax.Array:
            return losses.ctc_loss(**{**FRAMES, "logits": logits, "labels": labels}).sum()

        frames, padding = FRAMES["logit_paddings"][..., None], FRAMES["label_paddings"]
        logits = np.where(frames, 77, FRAMES["logits"])
        labels = np.where(padding, -5, FRAMES["labels"])
        one, other = (
            jax.value_and_grad(run)(jnp.asarray(x), y)
            for x, y in ((FRAMES["logits"], FRAMES["labels"]), (logits, labels))
        )
        jax.tree.map(np.testing.assert_array_equal, one, other)
        assert (other[1][np.broadcast_to(frames, logits.shape) == 1] == 0).all()

    def test_a_label_that_is_no_class_is_seen(self) -> None:
        labels = FRAMES["labels"].copy()
        labels[1, 2] = 5
        loss = losses.ctc_loss(**{**FRAMES, "labels": labels})
        np.testing.assert_array_equal(np.isnan(loss), [False, True, False, False])

    def test_long_inputs_keep_their_digits(self) -> None:
        """Gradients against float64. Optax: 1.5e-4."""
        random = np.random.default_rng(0)
        logits, labels = random.normal(size=(2, 128, 20)) * 2, random.integers(1, 20, (2, 32), np.int32)
        arguments = np.zeros((2, 128)), labels, np.zeros((2, 32))
        slope = jax.jit(jax.grad(lambda x: losses.ctc_loss(x, *arguments).sum()))
        with jax.enable_x64(True):
            expected = slope(jnp.asarray(logits, jnp.float64))
        np.testing.assert_allclose(slope(jnp.asarray(logits, jnp.float32)), expected, atol=1e-5)


def test_small_errors_keep_their_digits() -> None:
    """Optax: log_cosh of 1e-4 is 0, of 1e-3 is 7% off."""
    x = np.array([1e-4, 1e-3, 1e-2, 0.1, 2.0], np.float32)
    np.testing.assert_allclose(losses.log_cosh(x), np.log(np.cosh(x.astype(np.float64))), rtol=1e-6)


def test_distances_of_any_degree() -> None:
    """Optax: differences cancel for degree 1, and degree 3 is NaN."""
    a, p, n = np.array([[1.0, -2.0]], np.float32), np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)
    for degree in (1, 1.5, 3, jnp.asarray(3.0)):
        expected = [np.linalg.norm(a[0] - other[0], float(degree)) for other in (p, n)]
        loss = losses.triplet_margin_loss(a, p, n, norm_degree=degree, margin=5.0, eps=0.0)
        np.testing.assert_allclose(loss[0], expected[0] - expected[1] + 5, rtol=1e-6)


def test_vectors_of_any_length_have_an_angle() -> None:
    """Optax: inf for 1e-25, 0 for 1e25 and for 300 in float16, NaN for zeros."""
    ones = np.ones(3, np.float32)
    for length in (1e-25, 1e25):
        np.testing.assert_allclose(losses.cosine_similarity(ones * np.float32(length), ones), 1, rtol=1e-6)
    assert losses.cosine_similarity(of_float16(300 * ones), of_float16(ones)) == 1
    value, slope = jax.value_and_grad(losses.cosine_similarity)(0 * ones, ones)
    assert value == 0
    assert (slope == 0).all()


def test_a_maximum_takes_further_arguments() -> None:
    """Optax ignores those with a keyword and fails on others."""
    loss = losses.make_fenchel_young_loss(lambda s, shift=0.0: jax.nn.logsumexp(s) + shift)
    x, y = np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32) / 2
    for value in (loss(x, y, 10.0), loss(x, y, shift=10.0)):
        np.testing.assert_allclose(value, np.log(2) + 10, rtol=1e-6)


def test_contrast_without_pairs_or_without_others() -> None:
    """No two of a label, or all of one: nothing to learn. Optax: NaN, -inf."""
    x = np.array([[1, 0], [-1, 0], [1, 0.1]], np.float32)
    assert losses.ntxent(x, np.arange(3)) == 0
    assert losses.ntxent(x, np.zeros(3), temperature=1e-3) == 0


class TestDice:
    """Optax: NaN, an error for all but ones, an error under jit, 0.0004 off from integer overflow."""

    def test_nothing_predicted_where_nothing_is(self) -> None:
        x, t = np.full((1, 4, 1), -200, np.float32), np.zeros((1, 4, 1), np.float32)
        assert losses.dice_loss(x, t, smooth=0.0) == 0

    def test_probabilities_of_one_class(self) -> None:
        p = np.full((1, 4), 0.5, np.float32)
        np.testing.assert_allclose(losses.binary_dice_loss(p, np.ones((1, 4)), apply_sigmoid=False), [0.25])
        with pytest.raises(ValueError, match="valid probability distributions"):
            losses.binary_dice_loss(p * 3, np.ones((1, 4)), apply_sigmoid=False)

    def test_probabilities_under_jit(self) -> None:
        p = np.full((1, 4, 2), 0.5, np.float32)
        loss = jax.jit(lambda p: losses.dice_loss(p, p, apply_softmax=False))(p)
        np.testing.assert_allclose(loss, losses.dice_loss(p, p, apply_softmax=False))

    def test_counts_of_integers_do_not_overflow(self) -> None:
        targets = np.zeros((1, 300, 300, 2), np.int32)
        targets[:, 2:, :, 0] = targets[:, :2, :, 1] = 1
        x = np.zeros(targets.shape, np.float32)
        of = losses.multiclass_generalized_dice_loss
        np.testing.assert_allclose(of(x, targets), of(x, targets.astype(np.float32)), rtol=1e-6)


def test_an_infinite_delta_is_the_squared_error() -> None:
    x = np.array([1.0, -2.0], np.float32)
    np.testing.assert_array_equal(losses.huber_loss(x, delta=INF), losses.l2_loss(x))


@pytest.mark.parametrize("name", ["kl_divergence", "generalized_kl_divergence", "poly_loss_cross_entropy"])
def test_a_mask_of_examples_is_one_of_their_entries(name: str) -> None:
    """Also where batch and classes are equally many, when Optax takes it for one of classes."""
    x, where = (
        np.asarray(np.random.default_rng(0).dirichlet(np.ones(3), 3), np.float32),
        np.array([1, 0, 1]),
    )
    masked, whole = (getattr(losses, name)(np.log(x), x[::-1], where=w) for w in (where == 1, None))
    np.testing.assert_allclose(masked, np.asarray(whole) * where, rtol=1e-6)


def test_shapes_that_mean_pairs_are_kept() -> None:
    x = np.asarray(np.random.default_rng(0).normal(size=(3, 4)), np.float32)
    assert losses.cosine_similarity(x[:, None], x[None]).shape == (3, 3)
    assert losses.cosine_similarity(x, x[0]).shape == (3,)
    assert losses.kl_divergence(x[0], np.abs(x)).shape == (3,)
    negatives = np.ones((3, 5, 4), np.float32)
    assert losses.triplet_margin_loss(x[:, None], x[:, None], negatives).shape == (3, 5)


def test_the_first_argument_decides_the_dtype() -> None:
    for name in ("softmax_cross_entropy", "kl_divergence", "huber_loss", "triplet_margin_loss"):
        loss = ROWS[name]
        first = of_float16(loss.inputs[loss.by[0]])
        assert getattr(losses, name)(**{**loss.inputs, loss.by[0]: first}).dtype == jnp.float16
