"""Connectionist temporal classification: labels whose places in time are not known."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, widen
from .alignments import Task, log_likelihood, make_lattice, sweep, total_of, with_blanks
from .checks import floating, integers
from .safe import NEVER, log_softmax


def _task(
    name: str,
    logits: ArrayLike,
    logit_paddings: ArrayLike,
    labels: ArrayLike,
    label_paddings: ArrayLike,
    blank_id: int,
    log_epsilon: ArrayLike,
) -> tuple[Task, jax.Array]:
    """Checked arguments, and which examples have a label that is no class."""
    x = widen(floating(name, "logits", logits))
    of_frames, of_labels, of_padding = (jnp.shape(a) for a in (logit_paddings, labels, label_paddings))
    if (
        x.ndim != 3
        or len(of_labels) != 2
        or (of_frames, of_labels[0], of_padding) != (x.shape[:2], x.shape[0], of_labels)
    ):
        raise ValueError(
            f"{name}: expected logits (batch, time, classes), logit_paddings (batch, time), labels and "
            f"label_paddings (batch, labels); received {x.shape}, {of_frames}, {of_labels}, {of_padding}."
        )
    if not 0 <= blank_id < x.shape[-1]:
        raise ValueError(f"{name}: blank_id must be in [0, {x.shape[-1]}), received {blank_id}.")
    index, wrong = integers(name, labels, of_labels, x.shape[-1], masked=True)
    padded = jnp.asarray(label_paddings).astype(bool)
    task = Task(
        log_p=jnp.maximum(log_softmax(x, -1), NEVER),
        index=index,
        length=jnp.sum(~padded, 1, dtype=index.dtype),
        padded=jnp.asarray(logit_paddings).astype(bool),
        forbidden=jnp.maximum(jnp.asarray(log_epsilon, x.dtype), NEVER),
    )
    return task, jnp.any(wrong & ~padded, 1)


def _loss(total: jax.Array, wrong: jax.Array, logits: ArrayLike) -> jax.Array:
    loss = jnp.where(total > NEVER / 2, jnp.maximum(-total, 0), jnp.inf)
    return cast(jnp.where(wrong, jnp.nan, loss), dtype_of(logits))


def ctc_loss(
    logits: ArrayLike,
    logit_paddings: ArrayLike,
    labels: ArrayLike,
    label_paddings: ArrayLike,
    *,
    blank_id: int = 0,
    log_epsilon: ArrayLike = -1e5,
) -> jax.Array:
    """-log of the probability that the frames spell the labels, summed over all alignments.

    An alignment gives each frame a class; without repetitions, then without blanks, it is the labels.

    Args:
        logits: floating point, shape (batch, time, classes), one of the classes being the blank.
        logit_paddings: shape (batch, time), 1 (or True) for frames that do not count, else 0.
        labels: integers in [0, classes), shape (batch, labels); what is padded may be anything.
        label_paddings: shape (batch, labels), 1 (or True) for padding, which must be on the right.
        blank_id: the class of the blank.
        log_epsilon: the log-weight of each step of an alignment that is not allowed, at most 0. It keeps
            the loss finite where labels do not fit into the frames, but alignments less likely than
            that count for less than impossible ones; with -inf such examples have loss inf, gradient 0.

    Returns: the loss per example, never negative, in the logits' dtype, computed in at least float32. A
        label out of range has loss NaN.
    Raises: TypeError for logits that are not floating point or labels that are not integers; ValueError
        for shapes that do not match.
    Reference: Graves et al., 2006, Connectionist Temporal Classification: Labelling Unsegmented Sequence
        Data with Recurrent Neural Networks.
    """
    name, lengths = "ctc_loss", (logit_paddings, labels, label_paddings)
    task, wrong = _task(name, logits, *lengths, blank_id, log_epsilon)
    return _loss(log_likelihood(task, blank_id), wrong, logits)


def ctc_loss_with_forward_probs(
    logits: ArrayLike,
    logit_paddings: ArrayLike,
    labels: ArrayLike,
    label_paddings: ArrayLike,
    *,
    blank_id: int = 0,
    log_epsilon: ArrayLike = -1e5,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`ctc_loss`, and the log-probabilities of all beginnings of alignments.

    Args, Raises: as `ctc_loss`.
    Returns: the losses, shape (batch,), in the logits' dtype; and in at least float32, of the alignments
        of the first t + 1 frames, those that end in the blank after n labels, shape
        (time, batch, labels + 1), and those that end in label n, shape (time, batch, labels). At the
        last frame, the former include the latter.
    """
    name, lengths = "ctc_loss_with_forward_probs", (logit_paddings, labels, label_paddings)
    task, wrong = _task(name, logits, *lengths, blank_id, log_epsilon)
    last, each, tops = sweep(make_lattice(task, blank_id))
    loss = _loss(total_of(last, tops, task.length), wrong, logits)
    blanks = jnp.concatenate([each.first, each.after], 1).at[-1:].set(with_blanks(last))
    return loss, _absolute(blanks, tops), _absolute(each.label, tops)


def _absolute(log_weights: jax.Array, tops: jax.Array) -> jax.Array:
    """From [time, labels, batch], relative, to [time, batch, labels], with -inf for what stands for it."""
    whole = log_weights + jnp.cumsum(tops, 0)
    return jnp.moveaxis(jnp.where(whole > NEVER / 2, whole, -jnp.inf), -1, 1)
