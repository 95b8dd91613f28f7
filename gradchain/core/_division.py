"""Stacks of matrices divided over the devices of a mesh, so that each device has whole matrices."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec


def devices_in_use() -> tuple[tuple[str, ...], int]:
    """The axes of the mesh that `jax.set_mesh` put in use, and the number of its devices; 1 without one.

    Axes that the user places explicitly, or that `shard_map` has taken, are left alone.
    """
    if not hasattr(jax.sharding, "get_abstract_mesh"):
        return (), 1
    mesh: Any = jax.sharding.get_abstract_mesh()
    if mesh.empty or any(kind != jax.sharding.AxisType.Auto for kind in mesh.axis_types):
        return (), 1
    return mesh.axis_names, math.prod(mesh.axis_sizes)


def one_by_one() -> bool:
    """Whether stacks are best left apart: a CPU gains nothing from batches, and copies cost it time."""
    return jax.default_backend() == "cpu" and devices_in_use()[1] == 1


def padding(count: int) -> int:
    """How many matrices to add to a stack so that every device has as many as the others."""
    _, devices = devices_in_use()
    return -count % devices


def divided(stack: Any) -> Any:
    """A stack (or a tree of stacks) whose matrices are divided over the devices in use.

    Each product of matrices then needs no other device. Without a mesh the stack is as it was.
    """
    axes, devices = devices_in_use()
    if devices == 1:
        return stack
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, PartitionSpec(axes)), stack)


def padded(x: Any) -> Any:
    """A stack with copies of its first matrices at the end, so that it can be divided."""
    more = padding(len(x))
    return x[jnp.arange(len(x) + more) % len(x)] if more else x
