"""Reading what a chain measured on the way."""

from typing import Any

from ..core.types import OptState
from ..transforms.monitoring import MonitorState, SnapshotState
from ..tree.boxes import opt_state_of
from .saving.entries import counted


def measurements(state: OptState) -> dict[str, Any]:
    """All measures in a state, by name, in one flat dictionary that is cheap to log.

    Finds those of `logged`, `monitor` and `snapshot`, the `global_norm` of `with_global_norm`, and what
    other states tell of themselves (a dictionary, their property `measured`), anywhere in the state. They
    are arrays on the device: fetch them together, with one `jax.device_get`.

    What two transformations tell by the same name is counted: "zclip_z[0]", "zclip_z[1]".

    Args: state, of any transformation, or Flax's `TrainState` or `nnx.Optimizer`.
    Raises: ValueError where a measure of `monitor` or `snapshot` has the name of another one.
    """
    found: list[tuple[str, Any]] = []
    chosen: set[str] = set()  # by the user

    def visit(node: Any) -> None:
        told = getattr(node, "measured", {})
        found.extend(told.items())
        if isinstance(node, (MonitorState, SnapshotState)):
            chosen.update(told)
        children = node.values() if isinstance(node, dict) else node
        for child in children if isinstance(node, (dict, list, tuple)) else ():
            visit(child)

    visit(opt_state_of(state))
    names = [name for name, _ in found]
    for name in chosen:
        if names.count(name) > 1:
            raise ValueError(f"measurements: two measures have the name {name!r}: rename one of them.")
    return dict(zip(counted(names), (value for _, value in found), strict=True))
