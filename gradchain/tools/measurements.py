"""Reading what a chain measured on the way."""

from typing import Any

from ..core.types import OptState


def measurements(state: OptState) -> dict[str, Any]:
    """All measures in a state, by name, in one flat dictionary that is cheap to log.

    Finds those of `logged`, `monitor` and `snapshot`, the `global_norm` of `with_global_norm`, and what
    other states tell of themselves (a dictionary, their property `measured`), anywhere in the state. They
    are arrays on the device: fetch them together, with one `jax.device_get`.

    Args: state, of any transformation, or Flax's `TrainState` or `nnx.Optimizer`.
    Raises: ValueError where two measures have one name.
    """
    found: dict[str, Any] = {}

    def add(measured: dict[str, Any]) -> None:
        for name, value in measured.items():
            if name in found:
                raise ValueError(f"measurements: two measures have the name {name!r}: rename one of them.")
            found[name] = value

    def visit(node: Any) -> None:
        if hasattr(node, "measured"):
            add(node.measured)
        children = node.values() if isinstance(node, dict) else node
        for child in children if isinstance(node, (dict, list, tuple)) else ():
            visit(child)

    visit(getattr(state, "opt_state", state))
    return found
