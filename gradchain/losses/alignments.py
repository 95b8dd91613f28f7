"""The alignments of frames with labels, and sums over all of them."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .safe import NEVER


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
            jnp.where(task.length[None] == 0, zero, NEVER),
            zeros + NEVER,
            jnp.where(place + 1 == task.length[None], zeros, NEVER),
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


@jax.jit
def sweep(lattice: Lattice) -> tuple[States, States, jax.Array]:
    """The log-weight of all paths that end in each state: after the last frame, and after each.

    So that they keep their digits, they are relative to a sum over frames of the third result,
    f[time, 1, batch]: the largest log-weight before each frame.
    """
    never = jnp.full_like(lattice.start.first, NEVER)

    def frame(states: States, inputs: tuple[jax.Array, ...]) -> Any:
        blank, emit, padded = inputs
        top = _largest(states)
        states = States(*(x - top for x in states))
        before = jnp.concatenate([states.first, states.after], 0)[:-1]
        previous = jnp.concatenate([never, states.label], 0)[:-1]
        reached = States(
            states.first + blank,
            _log_sum(states.label, before, previous + lattice.skip) + emit,
            _log_sum(states.after, states.label) + blank,
        )
        new = States(*(jnp.where(padded, *pair) for pair in zip(states, reached, strict=True)))
        return new, (new, top)

    last, (each, tops) = lax.scan(frame, lattice.start, (lattice.blank, lattice.emit, lattice.padded))
    return last, each, tops


def _largest(states: States) -> jax.Array:
    of_labels = jnp.max(jnp.maximum(states.label, states.after), -2, keepdims=True, initial=NEVER)
    return lax.stop_gradient(jnp.maximum(states.first, of_labels))


def with_blanks(states: States) -> jax.Array:
    """The blanks before the first and after each label, those reached from the label last as well."""
    return jnp.concatenate([states.first, _log_sum(states.after, states.label)], -2)


def total_of(last: States, tops: jax.Array, length: jax.Array) -> jax.Array:
    """The log-weight of the paths that end after all labels, f[batch]."""
    return jnp.take_along_axis(with_blanks(last), length[None], 0)[0] + jnp.sum(tops, (0, 1))


@functools.partial(jax.jit, static_argnums=1)
def log_likelihood(task: Task, blank: int) -> jax.Array:
    """The log-probability of each example's labels, f[batch]."""
    return _log_likelihood(task, blank)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_likelihood(task: Task, blank: int) -> jax.Array:
    last, _, tops = sweep(make_lattice(task, blank))
    return total_of(last, tops, task.length)


@_log_likelihood.defjvp
def _log_likelihood_jvp(blank: int, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """The slope is the share of paths that are in a class in a frame: Graves et al., section 4.

    Both directions are swept at once, as one batch, which is faster than to differentiate a sweep.
    """
    (task,), (dtask,) = primals, tangents
    lattice, batch = make_lattice(task, blank), len(task.log_p)
    both = jax.tree.map(lambda x, y: jnp.concatenate([x, y], -1), lattice, _backwards(lattice))
    last, each, tops = sweep(both)
    there = States(*(x[..., :batch] for x in each))
    back = _turned(States(*(jnp.flip(x[..., batch:], 0) for x in each)))
    total = total_of(States(*(x[..., :batch] for x in last)), tops[..., :batch], task.length)

    emitted_twice = (lattice.blank, lattice.emit, lattice.blank)
    paths = States(*(x + y - e for x, y, e in zip(there, back, emitted_twice, strict=True)))
    paths = States(*(jnp.exp(x - _largest(paths)) for x in paths))
    all_paths = paths.first + jnp.sum(paths.label + paths.after, 1, keepdims=True)
    possible = jnp.broadcast_to(total > NEVER / 2, lattice.padded.shape)
    share = jnp.where(possible & ~lattice.padded, 1 / all_paths, 0)
    hot = jax.nn.one_hot(task.index, task.log_p.shape[-1], dtype=share.dtype)
    slope = jnp.einsum("tnb,bnk->btk", share * paths.label, hot, precision=lax.Precision.HIGHEST)
    of_blank = share * (paths.first + jnp.sum(paths.after, 1, keepdims=True))
    slope = slope.at[..., blank].add(of_blank[:, 0].T)
    return total, jnp.sum(slope * dtask.log_p, (1, 2))
