"""States that wait in the host's memory from one step to the next."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..core import GradientTransformation, transformation, with_extra_args_support, wrapper
from ..core.types import OptState, Params, PyTree, Updates
from ..tree.placeholder import is_placeholder
from ._compat import memories_in_programs, to_memory
from .laying import laid, with_memory


@transformation
def offload_state(tx: GradientTransformation, memory_kind: str = "pinned_host"):
    """Keeps the arrays of the state of `tx` in the host's memory between steps.

    A step brings them to the device and back, in the same program; scalars stay on the device. It is worth
    it where the state does not fit, for every step moves it twice over the bus. Around `zero1`, each
    device's host keeps its part.

        tx = offload_state(adamw(1e-3))

    Args:
        tx: any transformation, of any library.
        memory_kind: of the memory, of which a device has those in `device.addressable_memories()`.

    State: that of `tx`. Memory: none on the device between steps, but for scalars.
    Raises: ValueError, at `init`, where the devices have no such memory.
    Reference: Ren et al., 2021, ZeRO-Offload: Democratizing Billion-Scale Model Training, arXiv:2101.06840.

    Example:
        >>> gc.offload_state(gc.adamw(1e-3))
        offload_state(tx=adamw(learning_rate=0.001))
    """
    inner = with_extra_args_support(tx)
    if not isinstance(memory_kind, str):
        raise TypeError(f"offload_state: memory_kind must be a string, received {memory_kind!r}.")

    def moved(state: OptState, kind: str | None) -> OptState:
        return jax.tree.map(lambda x: to_memory(x, kind) if jnp.ndim(x) else x, state)

    def init(params: Params) -> OptState:
        if is_placeholder(params):
            return inner.init(params)
        check_memory(memory_kind, params)
        return moved(inner.init(params), memory_kind)

    def run(
        whole: bool, updates: Updates, state: OptState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        result, state = inner.run(whole, updates, moved(state, None), params, **extra_args)
        return result, moved(state, memory_kind)

    def placement(params: Params, shardings: PyTree) -> PyTree:
        treedef = jax.tree.structure(params)
        shapes = jax.eval_shape(inner.init, params)
        found = laid(inner, params, treedef.flatten_up_to(shardings), shapes)
        return jax.tree.map(lambda x, s: with_memory(s, x, memory_kind), shapes, found)

    return wrapper(init, run, one_program=True, inside=[(tx, ())], placement=placement)


def check_memory(kind: str, params: Params) -> None:
    """Raises ValueError where the devices have no memory of this kind."""
    arrays = [p for p in jax.tree.leaves(params) if isinstance(p, jax.Array)]
    here = [p for p in arrays if not isinstance(p, Tracer)]
    device = next(iter(here[0].sharding.device_set)) if here else jax.devices()[0]
    kinds = memories_in_programs(device)
    if kind not in kinds:
        raise ValueError(
            f"offload_state: {device.platform} devices have no memory {kind!r} to which a program can move "
            f"arrays; they have {', '.join(map(repr, kinds))}."
        )
