"""The learning rate of a finished transformation: which it is, and the same with another."""

from collections.abc import Mapping
from typing import Any

import gradchain as gc

from ..core import GradientTransformation

# Half decades from 1e-4 to 31.6. AdaDelta needs far larger rates than the others.
GRID: tuple[float, ...] = tuple(round(10 ** (k / 2), 7) for k in range(-8, 4))


def learning_rate(tx: Any) -> Any:
    """The learning rate of the last link that has one; None if none has.

    Of a wrapper of two transformations, such as `sam`, the first one's counts.
    """
    if isinstance(tx, GradientTransformation):
        arguments = getattr(tx, "arguments", None) or {}
        if "learning_rate" in arguments:
            return arguments["learning_rate"]
        found = map(learning_rate, arguments.values())
    elif isinstance(tx, tuple | list):
        found = map(learning_rate, reversed(tx))
    else:
        return None
    return next((rate for rate in found if rate is not None), None)


def with_learning_rate(tx: Any, rate: Any) -> Any:
    """The same transformation with the learning rate that `learning_rate` finds replaced.

    None if no link has a learning rate.
    """
    if isinstance(tx, GradientTransformation):
        arguments = getattr(tx, "arguments", None) or {}
        if "learning_rate" in arguments:
            return tx.replace(**_inside(tx, arguments, rate), learning_rate=rate)  # type: ignore[attr-defined]
        for name, value in arguments.items():
            if (changed := with_learning_rate(value, rate)) is not None:
                return tx.replace(**{name: changed})  # type: ignore[attr-defined]
    elif isinstance(tx, tuple | list):
        for i in reversed(range(len(tx))):
            if (changed := with_learning_rate(tx[i], rate)) is not None:
                return type(tx)((*tx[:i], changed, *tx[i + 1 :]))
    return None


def _inside(tx: Any, arguments: Mapping[str, Any], rate: Any) -> dict[str, Any]:
    """The rate of the optimizer in `schedule_free`, whose own rate only weighs what that one does."""
    if tx.factory is not gc.schedule_free:
        return {}
    base = with_learning_rate(arguments["base_optimizer"], rate)
    return {} if base is None else {"base_optimizer": base}
