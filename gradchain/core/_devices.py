"""Axes of devices: whether a transformation runs inside of one, and what JAX knows to differ along it.

Inside `jax.shard_map(..., check_vma=True)` the type of an array says along which axes of the mesh it
differs from device to device ("varying"). Elsewhere, as in `jax.vmap(axis_name=...)` and with
`check_vma=False`, types say nothing, and what is asked here is as for one device.
"""

from collections.abc import Callable, Sequence
from typing import Any, Union

import jax
import jax.numpy as jnp

from ._errors import path_of_leaf
from ._leaves import is_absent, is_none
from .types import Array, PyTree, Updates

Axis = Union[str, Sequence[str], None]
"""The name of an axis of devices, several names for all their devices, or None for one device alone."""


def names_of(axis: Axis) -> tuple[str, ...]:
    """The names of an axis; () for None."""
    return () if axis is None else (axis,) if isinstance(axis, str) else tuple(axis)


def check_axis(name: str, axis: Any) -> None:
    """Raises TypeError unless `axis` is a name, some names, or None."""
    names = axis if isinstance(axis, (tuple, list)) else (axis,)
    if axis is not None and not (names and all(isinstance(x, str) for x in names)):
        raise TypeError(
            f"{name}: axis must be the name of an axis of devices, some names, or None for one device, "
            f"received {axis!r}."
        )


def devices_along(axis: Axis) -> int:
    """How many devices an axis has: a Python integer. 1 for None.

    Raises: NameError if the axis is not bound here.
    """
    return 1 if axis is None else int(jax.lax.psum(1, names_of(axis)))


def check_bound(name: str, axis: Axis) -> None:
    """Raises ValueError unless this runs inside of the axis."""
    for one in names_of(axis):
        try:
            devices_along(one)
        except NameError:
            raise ValueError(
                f"{name}: expected to run inside of the axis {one!r}, which is not bound here"
                f"{_bound_instead()}. Call it inside jax.shard_map over a mesh with this axis (or in "
                "jax.vmap or jax.pmap with axis_name), or give axis=None for one device."
            ) from None


def taken_axes() -> tuple[str, ...]:
    """The axes of the mesh that `shard_map` has taken. Nothing is known of those of `vmap`."""
    mesh: Any = getattr(jax.sharding, "get_abstract_mesh", lambda: None)()
    return () if mesh is None else tuple(getattr(mesh, "manual_axes", ()))


def _bound_instead() -> str:
    """The axes that there are instead, for an error."""
    names = taken_axes()
    return f"; bound are {', '.join(map(repr, names))}" if names else ""


def varies_over(x: Any) -> frozenset[str]:
    """The axes along which the type of an array, or of its shape, says that it differs."""
    if not hasattr(jax, "typeof") or not isinstance(x, (jax.Array, jax.ShapeDtypeStruct)):
        return frozenset()
    kind: Any = jax.typeof(x) if isinstance(x, jax.Array) else x
    known = getattr(kind, "manual_axis_type", None)  # since JAX 0.10; `vma` before
    return frozenset((getattr(kind, "vma", None) or ()) if known is None else known.varying)


def typed_axes(axis: Axis) -> frozenset[str]:
    """Those names of an axis, bound here, of which types tell whether an array differs along them."""
    if not hasattr(jax, "typeof"):
        return frozenset()
    return frozenset(x for x in names_of(axis) if is_bound(x) and x in varies_over(jax.lax.axis_index(x)))


def is_bound(axis: Axis) -> bool:
    """Whether this runs inside of the axis."""
    try:
        devices_along(axis)
    except NameError:
        return False
    return True


def varying_over(x: Any, axes: frozenset[str]) -> Any:
    """An array typed as differing along these axes too."""
    missing = tuple(sorted(axes - varies_over(x))) if isinstance(x, jax.Array) else ()
    if not missing:
        return x
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(x, missing, to="varying")
    return jax.lax.pvary(x, missing)  # type: ignore[attr-defined]


def varying(tree: PyTree, axis: Axis, like: PyTree = ()) -> PyTree:
    """The tree, typed as differing along the axis, and along the axes of any leaf of `like`."""
    axes = typed_axes(axis).union(*map(varies_over, jax.tree.leaves(like)))
    return jax.tree.map(lambda x: varying_over(x, axes), tree)


def typed_as(tree: PyTree, like: PyTree) -> PyTree:
    """The tree, each leaf typed as differing where that of `like` does: a state keeps its types."""
    return jax.tree.map(lambda x, old: varying_over(x, varies_over(old)), tree, like)


def check_own_gradients(name: str, updates: Updates, axis: Axis) -> None:
    """Raises ValueError unless this runs inside of the axis, with each device's own gradients.

    With checked types, `jax.grad` for parameters that are the same on all devices sums over these.
    """
    check_bound(name, axis)
    axes = typed_axes(axis)
    for i, g in enumerate(jax.tree.leaves(updates, is_leaf=is_none) if axes else ()):
        missing = [] if is_absent(g) else sorted(axes - varies_over(g))
        if missing:
            raise ValueError(
                f"{name}: expected each device's own gradients, but {path_of_leaf(updates, i)} is typed as "
                f"the same along {', '.join(map(repr, missing))}: jax.grad has summed it over the devices "
                "already, as it does for parameters that are the same on all of them. Take it for "
                f"jax.lax.pcast(params, {names_of(axis)!r}, to='varying')."
            )


def mean_over(axis: Axis, x: Any) -> Any:
    """The mean over an axis of every array of a tree, the same on all devices."""
    return x if axis is None else jax.lax.pmean(x, names_of(axis))


def at_once(exchange: Callable[[Array], Array], xs: Sequence[Array]) -> list[Array]:
    """What an exchange makes of several arrays entry by entry: those of one dtype are exchanged as one."""
    results = list(xs)
    for dtype in dict.fromkeys(x.dtype for x in xs):
        members = [i for i, x in enumerate(xs) if x.dtype == dtype]
        whole = exchange(jnp.concatenate([xs[i].reshape(-1) for i in members]))
        start = 0
        for i in members:
            part = jax.lax.slice(whole, (start,), (start + xs[i].size,))
            results[i], start = part.reshape(xs[i].shape), start + xs[i].size
    return results


def means_at_once(axis: Axis, xs: Sequence[Array]) -> list[Array]:
    """The means over an axis of several arrays, in one exchange for each dtype."""
    return list(xs) if axis is None else at_once(lambda x: mean_over(axis, x), xs)


def sums_at_once(axis: Axis, xs: Sequence[Array]) -> list[Array]:
    """The sums over an axis of several arrays, in one exchange for each dtype."""
    return list(xs) if axis is None else at_once(lambda x: jax.lax.psum(x, names_of(axis)), xs)


def gathered(axis: Axis, x: Array) -> Array:
    """(devices, ...): the arrays of all devices, and typed as the same on all of them."""
    if axis is None:
        return x[None]
    names = names_of(axis)
    if typed_axes(axis) == set(names):
        return _gathered_alike(x, names)
    return jax.lax.all_gather(x, names)


def _gathered_alike(x: Array, names: tuple[str, ...]) -> Array:
    try:
        return jax.lax.all_gather(x, names, to="invarying")
    except TypeError:  # JAX before 0.9: the sum of parts that do not overlap is typed so
        whole = jnp.zeros((devices_along(names), *x.shape), x.dtype)
        return jax.lax.psum(jax.lax.dynamic_update_index_in_dim(whole, x, place(names), 0), names)


def exchanged(axis: Axis, x: Array) -> Array:
    """(devices, ...): row `i` of the result on device `j` is row `j` of what device `i` had."""
    return x if axis is None else jax.lax.all_to_all(x, names_of(axis), 0, 0, tiled=True)


def place(axis: Axis) -> Any:
    """Which of the devices along an axis this one is, from 0."""
    index: Any = 0
    for one in names_of(axis):
        index = index * devices_along(one) + jax.lax.axis_index(one)
    return index
