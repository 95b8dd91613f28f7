"""ZeRO-1: every device keeps a part of the state, and takes that part of the step."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..core import (
    GradientTransformation,
    dtype_of,
    is_absent,
    transformation,
    warn_user,
    with_extra_args_support,
    wrapper,
)
from ..core.types import OptState, Params, PyTree, Updates
from ..tree.placeholder import is_placeholder
from ._compat import is_manual, placed
from .division import Division, check_mesh, divided, told
from .laying import made_in_place
from .planning import planned

MOST_UNCUT = 0.1
"""The part of all entries above which those that do not divide are warned of."""


@transformation
def zero1(tx: GradientTransformation, mesh: Mesh, axis: str = "data", *, specs: PyTree = None):
    """Keeps 1/n of the state of `tx` on each of n devices that all have the parameters.

    A device takes its part of the gradients and the parameters, updates that part of the state, and the
    new parameters are gathered: one all-gather for each, none of a state. The results are those of `tx`,
    for any `tx`: parts are a matter of where arrays lie, norms and factors are of whole arrays. Each
    parameter is cut along its largest dimension that the axis divides, or along the one that leaves less of
    its state on a device; the state of those without one stays whole, which `describe(tx, params)` tells.

        tx = zero1(adamw(1e-3), jax.make_mesh((8,), ("data",)))

    For the gradients, `sharded_value_and_grad` has each device receive only its part.

    Args:
        tx: any transformation, of any library.
        mesh: a `jax.sharding.Mesh`, of automatic or explicit axes.
        axis: the one over which the parameters are replicated and the batch is divided.
        specs: where the parameters lie on other axes of the mesh: a tree like them, or a prefix of it, of
            PartitionSpecs; None if they are whole.

    State: that of `tx`, unchanged; `init` makes it in place. Checkpoints go from one to the other.
    Memory: 1/n of the state of `tx` for each device.
    Raises: TypeError or ValueError for what is no mesh, for an axis or specs that do not fit; RuntimeError
        inside a `shard_map` over the axis.
    Reference: Rajbhandari et al., 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter
        Models, arXiv:1910.02054.

    Example:
        >>> mesh = jax.make_mesh((1,), ("data",))
        >>> tx, p = gc.zero1(gc.sgd(0.5, momentum=0.5), mesh), jnp.array([1.0, 2.0])
        >>> p, state = tx.step(jnp.array([1.0, 1.0]), tx.init(p), p)
        >>> p.tolist()  # as without it
        [0.5, 1.5]
    """
    inner = with_extra_args_support(tx)
    check_mesh("zero1", mesh, axis)
    known: dict[Any, tuple[dict[str, int], PyTree]] = {}

    def plan(params: Params) -> tuple[dict[str, int], PyTree]:
        """The dimensions that are cut, and where the state lies; the same for equal shapes."""
        leaves, treedef = jax.tree.flatten(params)
        key = (treedef, *((jnp.shape(p), dtype_of(p)) for p in leaves))
        if key not in known:
            like = treedef.unflatten(jax.ShapeDtypeStruct(jnp.shape(p), dtype_of(p)) for p in leaves)
            known[key] = planned(inner, like, mesh, axis, specs)
        return known[key]

    def division(params: Params, chosen: dict[str, int]) -> Division:
        return divided("zero1", params, mesh, axis, specs, chosen)

    def put(tree: PyTree, *where: list[PartitionSpec]) -> PyTree:
        """The arrays of a tree like the parameters, brought to one place after another."""
        leaves, treedef = jax.tree.flatten(tree)
        for specs in where:
            pairs = zip(leaves, specs, strict=True)
            leaves = [x if is_absent(x) else placed(x, NamedSharding(mesh, spec)) for x, spec in pairs]
        return treedef.unflatten(leaves)

    def put_state(state: OptState, params: Params) -> OptState:
        shardings = jax.tree.structure(state).flatten_up_to(plan(params)[1])
        leaves, treedef = jax.tree.flatten(state)
        return treedef.unflatten(map(placed, leaves, shardings))

    def init(params: Params) -> OptState:
        if is_placeholder(params):
            return inner.init(params)
        chosen, places = plan(params)
        found = division(params, chosen)
        if found.share > MOST_UNCUT and found.left:
            warn_user(told("zero1", found, mesh, axis))
        if any(isinstance(p, Tracer) for p in jax.tree.leaves(params)):
            return put_state(inner.init(params), params)
        leaves, treedef = jax.tree.flatten(params)
        if any(isinstance(p, jax.ShapeDtypeStruct) for p in leaves):
            return made_in_place(inner.init, params, places)
        here = treedef.unflatten(_on(p, mesh, spec) for p, spec in zip(leaves, found.whole, strict=True))
        return made_in_place(inner.init, here, places)

    def run(
        whole: bool, updates: Updates, state: OptState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        if is_manual(axis):
            raise RuntimeError(
                f"zero1: this runs inside a shard_map over {axis!r}, where each device has its own program "
                "and zero1 cannot divide the state. Take the gradients inside of shard_map "
                "(sharded_value_and_grad does), and call update or step outside of it, under jit."
            )
        like = updates if params is None else params
        chosen, _ = plan(like)
        updates = put(updates, division(updates, chosen).parts)
        theirs = None if params is None else put(params, division(params, chosen).parts)
        result, state = inner.run(whole, updates, state, theirs, **extra_args)
        out = division(result, chosen)
        return put(result, out.parts, out.whole), put_state(state, like)

    def remarks(params: Params) -> list[str]:
        found = division(params, {})
        return [told("zero1", found, mesh, axis)] if found.left else []

    def placement(params: Params, shardings: PyTree) -> PyTree:
        return plan(params)[1]

    return wrapper(init, run, inside=[(tx, ())], remarks=remarks, placement=placement)


def _on(p: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    """An array on the devices of the mesh; what lies there already stays as it is."""
    if isinstance(p, jax.Array) and p.sharding.device_set == set(mesh.devices.flat):
        return p
    return jax.device_put(p, NamedSharding(mesh, spec))
