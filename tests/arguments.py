"""Functions that rows of THE TABLE have as arguments: masks, schedules, conditions, losses.

The last group makes extra arguments of `update`, from the parameters and the step.
"""

from typing import Any

import jax
import jax.numpy as jnp
from trees import gradients

import gradchain as gc

# Masks and labels


def matrices_only(tree: Any) -> Any:
    """A mask: leaves of two or more dimensions."""
    return jax.tree.map(lambda p: p.ndim >= 2, tree)


def by_rank(tree: Any) -> Any:
    """Labels: "a" for leaves of two or more dimensions, else "b"."""
    return jax.tree.map(lambda p: "a" if p.ndim >= 2 else "b", tree)


def flipped(tree: Any) -> Any:
    """GaLore's dimension numbers of the matrices, from their second axis to their first."""
    numbers = gc.GaLoreDimensionNumbers(1, 0)
    return jax.tree.map(lambda p: numbers if jnp.ndim(p) == 2 else None, tree)


def by_column(tree: Any) -> Any:
    """Adam-mini's blocks: a column of a matrix, two heads of it, a vector."""
    columns = {2: gc.MeanBlocks(0), 1: gc.MeanBlocks(), 0: None}
    return jax.tree.map(lambda p: columns.get(jnp.ndim(p)), tree)


# Rules, conditions, measures


def halve(updates: Any, params: Any = None) -> Any:
    """A stateless rule on trees."""
    return jax.tree.map(lambda u: u * 0.5, updates)


def halve_leaf(g: Any, p: Any = None) -> Any:
    """A stateless rule on one array."""
    return g * 0.5


def squared(updates: Any, params: Any = None) -> Any:
    """The squared gradients, for the diagonal of a Hessian."""
    return jax.tree.map(lambda g: g * g, updates)


def every_other(step: Any) -> Any:
    """A condition: true on even steps."""
    return step % 2 == 0


def loud(step: Any, *, value: Any, **extra_args: Any) -> Any:
    """A condition on an extra argument."""
    del extra_args
    return (step % 2 == 0) & (value > 0)


def largest(updates: Any) -> Any:
    """A measure: the largest absolute value."""
    leaves = [jnp.max(jnp.abs(x), initial=0) for x in jax.tree.leaves(updates)]
    leaves = [x.astype(jnp.float32) for x in leaves]
    return jnp.max(jnp.stack(leaves)) if leaves else jnp.zeros(())


# Schedules


def down(count: Any) -> Any:
    """A schedule that is a plain function."""
    return 1.0 / (10.0 + jnp.asarray(count, jnp.float32))


def constant_decay(step: Any, rate: Any) -> Any:
    """A decay_rate_fn."""
    return 0.9 * rate


def scaled_up(x: Any) -> Any:
    """Of a step, for `clip_value_fn`: a bound that grows."""
    return 0.1 * x


# Extra arguments of `update`


def lossy(p: Any, step: int) -> dict[str, Any]:
    """A loss that rises."""
    return {"value": jnp.float32(0.5 + 0.25 * step)}


def changing(p: Any, step: int) -> dict[str, Any]:
    """A loss that changes its sign."""
    return {"value": jnp.float32(1.0 if step % 3 else -1.0)}


def energy(p: Any, step: int) -> dict[str, Any]:
    """The loss |p|^2, for those that follow its value."""
    squares = [jnp.sum(jnp.abs(x).astype("float32") ** 2) for x in jax.tree.leaves(p)]
    return {"value": sum(squares, jnp.float32(0))}


def quartic(p: Any) -> Any:
    """A loss whose curvature depends on the parameters."""
    fourths = [jnp.sum(x.astype("float32") ** 4) for x in jax.tree.leaves(p)]
    return sum(fourths, jnp.float32(0)) / 100


def curved(p: Any, step: int) -> dict[str, Any]:
    """The loss as a function, for those that ask for its curvature."""
    return {"obj_fn": quartic}


def valued(p: Any, step: int) -> dict[str, Any]:
    """The loss as a function, for those that ask for values alone."""
    return {"value_fn": sloped}


def sloped(p: Any) -> Any:
    """A loss whose differences are as large as its values."""
    parts = [jnp.sum(jnp.sin(jnp.real(raised(x)) + 2 * jnp.imag(raised(x)))) for x in jax.tree.leaves(p)]
    return sum((x.astype(parts[0].dtype) for x in parts[1:]), parts[0]) if parts else jnp.float32(0)


def faint(p: Any) -> Any:
    """A loss whose curvature may be taken for a step."""
    return quartic(p) / 1000


def faintly_curved(p: Any, step: int) -> dict[str, Any]:
    """This loss as a function."""
    return {"obj_fn": faint}


def raised(x: Any) -> Any:
    """`x` in at least float32."""
    return x.astype("float32") if x.dtype.itemsize < 4 else x


def height(middle: Any, q: Any) -> Any:
    """The height of a bowl."""
    gaps = jax.tree.map(lambda x, m: jnp.abs(raised(x) - m.astype(raised(x).dtype)), q, middle)
    squares = [jnp.sum(gap**2 + 0.5 * gap**4) for gap in jax.tree.leaves(gaps)]
    return 0.5 * sum(squares[1:], squares[0]) if squares else jnp.float32(0)


def bowl(p: Any, away: Any) -> dict[str, Any]:
    """A bowl with its middle so far away from the parameters."""
    middle = jax.tree.map(lambda x, d: raised(x) + raised(d), p, away)
    value_fn = jax.tree_util.Partial(height, middle)  # a pytree, so that searches are compiled once
    grad = jax.tree.map(lambda d: -jnp.conj(d) * (1 + jnp.abs(d) ** 2).astype(d.dtype), away)
    return {"value": value_fn(p), "grad": grad, "value_fn": value_fn}


def ahead(p: Any, step: int, length: float = 1.0) -> dict[str, Any]:
    """The bowl to which the gradients of this and the next two steps lead: for a line search alone."""
    near, far, farther = (gradients(p, step + i) for i in range(3))
    away = jax.tree.map(lambda a, b, c: length * (0.75 * a + 0.5 * (b + c)), near, far, farther)
    return bowl(p, away)


def behind(p: Any, step: int) -> dict[str, Any]:
    """The bowl from which those gradients lead away: for a line search after a descent rule."""
    return ahead(p, step, -1.0)


def few_rows(tree: Any) -> Any:
    """Dimension numbers of matrices of at most four rows: where rows are many, eigenvalues are equal."""

    def numbers(x: Any) -> Any:
        return gc.MuonDimensionNumbers() if jnp.ndim(x) == 2 and x.shape[0] <= 4 else None

    return jax.tree.map(numbers, tree)
