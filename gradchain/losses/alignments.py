"""The alignments of frames with labels, and sums over all of them."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

NEVER = -1e30  # log 0, but finite, so that no difference of logarithms is NaN


class Task(NamedTuple):
    """What is to be aligned."""

    log_p: jax.Array  # f[batch, time, classes]  log-probabilities of each frame, NEVER for -inf
    index: jax.Array  # i32[batch, labels]
    length: jax.Array  # i32[batch]  how many of the labels count
    padded: jax.Array  # bool[batch, time]  frames that do not count
    forbidden: jax.Array  # f[]  the log-weight of a step that is not allowed


class States(NamedTuple):
    """One number for each place in a labelling; a batch along the last axis keeps the sweep fast."""

    first: jax.Array  # f[..., 1, batch]  the blanks before the first label
    label: jax.Array  # f[..., labels, batch]
    after: jax.Array  # f[..., labels, batch]  the blanks after each label


class Lattice(NamedTuple):
    """All alignments of frames with labels. From frame to frame a path stays in its state, goes on to
    the next, or from label to label without a blank between them."""

    blank: jax.Array  # f[time, 1, batch]  its log-probability in each frame
    emit: jax.Array  # f[time, labels, batch]  those of the labels
    padded: jax.Array  # bool[time, 1, batch]
    skip: jax.Array  # f[labels, batch]  added to paths from the label before directly to this one
    start: States  # log-weights before the first frame
    end: States  # log-weights after the last one


def make_lattice(task: Task, blank: int) -> Lattice:
    """The alignments of a task, with class `blank` as the blank."""
    by_time, index, forbidden = jnp.transpose(task.log_p, (1, 2, 0)), task.index.T, task.forbidden
    zero = jnp.zeros((1, index.shape[1]), forbidden.dtype)
    zeros = jnp.zeros(index.shape, forbidden.dtype)
    place = lax.broadcasted_iota(index.dtype, index.shape, 0)
    labels = jnp.broadcast_to(index, (len(by_time), *index.shape))
    repeated = index == jnp.roll(index, 1, 0)
    return Lattice(
        blank=by_time[:, blank : blank + 1],
        emit=jnp.take_along_axis(by_time, labels, 1, mode="clip"),
        padded=task.padded.T[:, None],
        skip=jnp.where(place == 0, NEVER, jnp.where(repeated, forbidden, zeros)),
        start=States(zero, zeros + forbidden, zeros + forbidden),
        end=States(
            jnp.where(task.length == 0, zero, NEVER),
            zeros + NEVER,
            jnp.where(place + 1 == task.length, zeros, NEVER),
        ),
    )


def _turned(states: States) -> States:
    """The places from last to first."""
    blanks = jnp.flip(jnp.concatenate([states.first, states.after], -2), -2)
    return States(blanks[..., :1, :], jnp.flip(states.label, -2), blanks[..., 1:, :])


def _backwards(lattice: Lattice) -> Lattice:
    """The same alignments, read from the end."""
    return Lattice(
        blank=jnp.flip(lattice.blank, 0),
        emit=jnp.flip(lattice.emit, (0, 1)),
        padded=jnp.flip(lattice.padded, 0),
        skip=jnp.roll(jnp.flip(lattice.skip, 0), 1, 0),
        start=_turned(lattice.end),
        end=_turned(lattice.start),
    )


def _log_sum(*terms: jax.Array) -> jax.Array:
    top = lax.stop_gradient(functools.reduce(jnp.maximum, terms))
    return top + jnp.log(sum(jnp.exp(term - top) for term in terms))


def sweep(lattice: Lattice) -> tuple[States, States]:
    """The log-weight of all paths that end in each state: after the last frame, and after each."""
    never = jnp.full_like(lattice.start.first, NEVER)

    def frame(states: States, inputs: tuple[jax.Array, ...]) -> tuple[States, States]:
        blank, emit, padded = inputs
        before = jnp.concatenate([states.first, states.after], 0)[:-1]
        previous = jnp.concatenate([never, states.label], 0)[:-1]
        reached = States(
            states.first + blank,
            _log_sum(states.label, before, previous + lattice.skip) + emit,
            _log_sum(states.after, states.label) + blank,
        )
        new = jax.tree.map(lambda old, new: jnp.where(padded, old, new), states, reached)
        return new, new

    return lax.scan(frame, lattice.start, (lattice.blank, lattice.emit, lattice.padded))


def all_blanks(states: States) -> jax.Array:
    """The blanks, those after a label reached from it as well."""
    return jnp.concatenate([states.first, _log_sum(states.after, states.label)], -2)


def total_of(last: States, length: jax.Array) -> jax.Array:
    return jnp.take_along_axis(all_blanks(last), length[None], 0)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_likelihood(task: Task, blank: int) -> jax.Array:
    """The log-probability of each example's labels, f[batch]."""
    return total_of(sweep(make_lattice(task, blank))[0], task.length)


@log_likelihood.defjvp
def _log_likelihood_jvp(blank: int, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """The slope is the share of paths that are in a class in a frame: Graves et al., equation 14.

    Both directions are swept at once, as one batch, which is faster than to differentiate a sweep.
    """
    (task,), (dtask,) = primals, tangents
    lattice, batch = make_lattice(task, blank), len(task.log_p)
    both = jax.tree.map(lambda x, y: jnp.concatenate([x, y], -1), lattice, _backwards(lattice))
    last, each = sweep(both)
    there = jax.tree.map(lambda x: x[..., :batch], each)
    back = _turned(jax.tree.map(lambda x: jnp.flip(x[..., batch:], 0), each))
    total = total_of(jax.tree.map(lambda x: x[..., :batch], last), task.length)
    counts = ~lattice.padded & (total > NEVER / 2)

    def share(there: jax.Array, back: jax.Array, emitted_twice: jax.Array) -> jax.Array:
        return jnp.where(counts, jnp.exp(jnp.minimum(there + back - emitted_twice - total, 0)), 0)

    shares = jax.tree.map(share, there, back, States(lattice.blank, lattice.emit, lattice.blank))
    hot = jax.nn.one_hot(task.index, task.log_p.shape[-1], dtype=task.log_p.dtype)
    slope = jnp.einsum("tnb,bnk->btk", shares.label, hot, precision=lax.Precision.HIGHEST)
    of_blank = shares.first + jnp.sum(shares.after, 1, keepdims=True)
    return total, jnp.sum(slope.at[..., blank].add(of_blank[:, 0].T) * dtask.log_p, (1, 2))
