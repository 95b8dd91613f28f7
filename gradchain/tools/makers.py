"""What a text or a configuration may name: makers of transformations and schedules, and a few more."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..core import GradientTransformation, nearest
from ..core.types import Schedule
from ..optimizers import GaLoreDimensionNumbers
from ..transforms import (
    MeanBlocks,
    MuonDimensionNumbers,
    adam_mini_blocks,
    decay_matrices_only,
    matrix_dimension_numbers,
    matrix_labels,
    spatial_blocks,
)

CLASSES: dict[str, Any] = {
    c.__name__: c for c in (GaLoreDimensionNumbers, MeanBlocks, MuonDimensionNumbers)
}
"""Classes of arguments, by name."""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        adam_mini_blocks,
        decay_matrices_only,
        matrix_dimension_numbers,
        matrix_labels,
        spatial_blocks,
    )
}
"""Functions that are arguments themselves, by name."""


def maker(name: str) -> Callable[..., Any]:
    """The public function of this name, if it makes transformations or schedules.

    Raises: LookupError, which says why not, with the nearest name.
    """
    import gradchain as namespace  # here, for it exports this module's functions itself

    contrib = namespace.contrib  # some of its names are deprecated in the flat namespace
    home = contrib if hasattr(contrib, name) else namespace
    found = None if name.startswith("_") else getattr(home, name, None)
    if found is None:
        near = nearest(name, makers(namespace))
        raise LookupError(f"gradchain has no transformation or schedule {name!r}.{near}")
    if not _makes(found):
        raise LookupError(f"gradchain.{name} does not make a transformation or a schedule.")
    return found


def makers(namespace: ModuleType) -> list[str]:
    """The public names that make a transformation or a schedule."""
    return [n for n in dir(namespace) if n[0] != "_" and _makes(getattr(namespace, n))]


def _makes(value: Any) -> bool:
    """Whether this is a function annotated to return a transformation or a schedule.

    The annotation decides and not the result: nothing may be called only to see what it returns.
    """
    if not inspect.isroutine(value):
        return False
    if value.__module__.startswith("gradchain.tools.") and not hasattr(value, "numbers"):
        return False  # tools take finished transformations, some of them from files; `logged` is a wrapper
    returns = inspect.signature(value).return_annotation
    if isinstance(returns, type):
        return issubclass(returns, GradientTransformation)
    return returns == Schedule
