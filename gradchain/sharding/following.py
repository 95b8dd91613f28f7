"""Which axes of a parameter each axis of a state's array follows."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from ..core import dtype_of, with_extra_args_support
from ..core.types import Params, PyTree
from ._compat import probing_mesh
from .owners import owners
from .probing import Answers, Shape

Axes = tuple[tuple[int, ...], ...]
"""For each axis of an array, those of its parameter that it follows: none, one, or several joined."""


def following(
    tx: Any, params: Params, state: PyTree, asked: set[int]
) -> list[tuple[int | None, Axes | None]]:
    """For each leaf of a state its parameter, by number, and what its axes follow; None if it is like it.

    Args:
        tx: any transformation.
        state: the shapes of its state for these parameters.
        asked: the numbers of the parameters that matter.
    """
    shapes = [jnp.shape(p) for p in jax.tree.leaves(params)]
    own = owners(tx.init, params, state)
    leaves = [jnp.shape(x) for x in jax.tree.leaves(state)]
    open_ = {
        j
        for j, (i, shape) in enumerate(zip(own, leaves, strict=True))
        if i in asked and max(shape, default=0) > 1 and not _surely_like(shape, shapes[i])
    }
    answers = Answers(tx.init, params, state, own, {i for j in open_ if (i := own[j]) is not None})
    found: list[tuple[int | None, Axes | None]] = []
    types: list[Any] | None = None
    for j, (i, shape) in enumerate(zip(own, leaves, strict=True)):
        if i is None or i not in asked or j not in open_:
            alike = i is not None and shape == shapes[i] and i in asked
            found.append((i, None if alike else ((),) * len(shape)))
            continue
        by_axis = {
            axis: answers.followers(j, axis) for axis in range(len(shapes[i])) if shapes[i][axis] > 1
        }
        axes = None
        if None in by_axis.values():
            types = _typed(tx, params) if types is None else types
            axes = _from_type(types, j, shape, shapes[i])
        if axes is None:
            known = {
                axis: answers.likely(j, axis) if followers is None else followers
                for axis, followers in by_axis.items()
            }
            axes = _joined(shape, shapes[i], known)
        alike = shape == shapes[i] and axes == tuple((k,) if n > 1 else () for k, n in enumerate(shape))
        found.append((i, None if alike else axes))
    return found


def _surely_like(shape: Shape, parameter: Shape) -> bool:
    """Whether an array of its parameter's shape can follow it in one way only."""
    sizes = [n for n in parameter if n > 1]
    return shape == parameter and len(set(sizes)) == len(sizes)


def _joined(shape: Shape, parameter: Shape, by_axis: dict[int, frozenset[int]]) -> Axes:
    """What each axis follows; nothing where it seems to follow one of two axes of its own size."""
    found = [tuple(a for a in sorted(by_axis) if k in by_axis[a]) for k in range(len(shape))]

    def fits(k: int, axes: tuple[int, ...]) -> bool:
        return len(axes) < 2 or all(parameter[a] != shape[k] for a in axes)

    return tuple(axes if fits(k, axes) else () for k, axes in enumerate(found))


def _typed(tx: Any, params: Params) -> list[Any]:
    """Trees like the state with shardings in the types of arrays, of which each names axes of parameters.

    Of the first state, and where JAX can tell, of the one after an update, to which the gradients'
    axes lead.
    """
    leaves, treedef = jax.tree.flatten(params)
    mesh = probing_mesh(max(map(jnp.ndim, leaves), default=0))
    if mesh is None:
        return []

    def typed(p: Any) -> Any:
        spec = PartitionSpec(*mesh.axis_names[: jnp.ndim(p)])
        return jax.ShapeDtypeStruct(jnp.shape(p), dtype_of(p), sharding=NamedSharding(mesh, spec))

    given = treedef.unflatten(map(typed, leaves))
    found = []
    try:
        with jax.sharding.use_abstract_mesh(mesh):
            found.append(jax.eval_shape(tx.init, given))
            update = with_extra_args_support(tx).update
            found.append(jax.eval_shape(update, given, found[0], given)[1])
    except Exception:  # an operation for which types do not say how its result is sharded
        pass
    return [jax.tree.leaves(tree) for tree in found]


def _from_type(types: Sequence[Any], leaf: int, shape: Shape, parameter: Shape) -> Axes | None:
    """What the axes of a leaf follow by the first of its types that has a sharding; None if none has."""
    for leaves in types:
        sharding: Any = getattr(leaves[leaf], "sharding", None) if leaf < len(leaves) else None
        entries = tuple(getattr(sharding, "spec", ()))
        numbers = [int(e[len("axis") :]) if isinstance(e, str) and e != "others" else None for e in entries]
        if any(n is not None for n in numbers):
            axes = [() if n is None or parameter[n] != shape[k] else (n,) for k, n in enumerate(numbers)]
            return tuple(axes) + ((),) * (len(shape) - len(axes))
    return None
