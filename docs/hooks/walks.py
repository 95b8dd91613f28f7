"""Walks of an optimizer on the landscapes, at every learning rate of a grid."""

import functools
import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gradchain as gc

from . import drives
from .drives import LAST, RATES, steps_of
from .landscapes import LANDSCAPES, Landscape
from .public import optimizers


class Walk(NamedTuple):
    """A walk on one landscape."""

    points: np.ndarray  # f32[steps + 1, 2]
    rate: float | None  # the learning rate; None if it is the default
    height: float  # above the minimum at the end


def is_tuned(name: str) -> bool:
    """Whether the picture is drawn at the best rate of the grid, not at the default."""
    takes_one = "learning_rate" in inspect.signature(optimizers()[name]).parameters
    return takes_one and name not in drives.AT_DEFAULT


def walks(name: str) -> dict[str, Walk]:
    """By landscape: the walk at the best rate."""
    tuned = is_tuned(name)
    points, heights = (np.asarray(a) for a in _all(name, tuned))
    found = {}
    for i, (title, land) in enumerate(LANDSCAPES.items()):
        scores = _scores(land, points[i], heights[i])
        best = int(np.argmin(scores))
        if not np.isfinite(scores[best]):
            raise ValueError(f"{name} has no finite walk on {title}")
        rate = float(RATES[best]) if tuned else None
        found[title] = Walk(points[i, best], rate, float(heights[i, best, -1]))
    return found


def _height(land: Landscape, p: jax.Array) -> jax.Array:
    """The loss above its minimum, so that 0 is what it can come to."""
    return land.loss(p) - land.least


def _scores(land: Landscape, points: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """By rate: the mean of the last heights. Walks that leave the picture come after all others."""
    left, right, low, high = land.extent
    x, y = points[..., 0], points[..., 1]
    inside = ((x >= left) & (x <= right) & (y >= low) & (y <= high)).all(1)
    with np.errstate(all="ignore"):
        means = heights[:, -LAST:].astype(np.float64).mean(1)
    return np.where(np.isfinite(means), means, np.inf) + np.where(inside, 0.0, 1e6)


@functools.partial(jax.jit, static_argnames=("name", "tuned"))
def _all(name: str, tuned: bool) -> tuple[jax.Array, jax.Array]:
    """Points [landscapes, rates, steps + 1, 2] and their heights. One program is fast to compile."""
    losses = [functools.partial(_height, land) for land in LANDSCAPES.values()]
    steps = steps_of(name)
    starts = jnp.asarray([land.start for land in LANDSCAPES.values()], jnp.float32)
    matrix = name in drives.ON_MATRICES

    def one(index: jax.Array, start: jax.Array, rate: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        tx = drives.to_watch(name, rate)

        def loss(p: jax.Array) -> jax.Array:
            return jax.lax.switch(index, losses, jnp.diagonal(p) if matrix else p)

        def step(carry: Any, _: None) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            p, state = carry
            extra = drives.extra(loss, p)
            grads = extra["grad"][None] if name in drives.PER_EXAMPLE else extra["grad"]
            updates, state = tx.update(grads, state, p, **extra)
            return (gc.apply_updates(p, updates), state), (p, extra["value"])

        p = jnp.diag(start) if matrix else start
        (last, _), (points, heights) = jax.lax.scan(step, (p, tx.init(p)), None, steps)
        points = jnp.concatenate([points, last[None]])
        points = jnp.diagonal(points, axis1=1, axis2=2) if matrix else points
        return points, jnp.append(heights, loss(last))

    def on_one(at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        if not tuned:
            return jax.tree.map(lambda a: a[None], one(*at, None))
        return jax.vmap(lambda rate: one(*at, rate))(jnp.asarray(RATES, jnp.float32))

    return jax.lax.map(on_one, (jnp.arange(len(losses)), starts))
