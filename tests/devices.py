"""Eight devices, wherever the tests run, meshes of them, and what they exchange."""

import math
from typing import Any

import jax

import gradchain as gc


def eight() -> list[jax.Device]:
    """Eight devices of the default platform; where it has fewer, the host's, of which there are eight."""
    found = jax.devices()
    return (found if len(found) >= 8 else jax.devices("cpu"))[:8]


def mesh_of(sizes: tuple[int, ...], *names: str, explicit: bool = False) -> Any:
    """A mesh of the first of these devices."""
    types = {}
    if hasattr(jax.sharding, "AxisType"):
        kind = jax.sharding.AxisType.Explicit if explicit else jax.sharding.AxisType.Auto
        types["axis_types"] = (kind,) * len(sizes)
    return jax.make_mesh(sizes, names, devices=eight()[: math.prod(sizes)], **types)


def exchanged(program: Any, kind: str) -> list[tuple[int, ...]]:
    """The shapes that the collectives of one kind give in a compiled program, in order of size."""
    found = [c for c in gc.collectives(program) if c.kind == kind]
    return sorted(shape for c in found for _, shape in c.arrays)
