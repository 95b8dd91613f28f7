"""Averages of the parameters of any length, after the run."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ..core import cast, dtype_of, is_inexact, relaxed_promotion, widen
from ..core.types import OptState, Params
from ..transforms.power_ema import PowerEmaParamsState, power_of


class EmaSnapshot(NamedTuple):
    """An average of the parameters in the course of a run: what `posthoc_ema` combines."""

    step: int  # steps taken
    sigma_rel: float  # width of its profile, in parts of these steps
    params: Params  # the average


def ema_snapshots(state: OptState, params: Params) -> list[EmaSnapshot]:
    """The averages that `power_ema_params` keeps now, found in the state of any transformation.

    Args: state, outside of `jit`, after at least one step; params, those in training.
    Returns: one `EmaSnapshot` for each width. Store them now and then: twenty to fifty in a run will do.
    Raises: ValueError where no state of `power_ema_params` is, or before the first step.
    """

    def keeps(node: Any) -> bool:
        return isinstance(node, PowerEmaParamsState)

    found = [s for s in jax.tree.leaves(state, is_leaf=keeps) if keeps(s)]
    if not found:
        raise ValueError(
            "ema_snapshots: expected the state of a transformation with power_ema_params in it, received "
            f"{type(state).__name__}. Put power_ema_params last in the chain."
        )
    if any(int(s.count) < 1 for s in found):
        raise ValueError("ema_snapshots: there is no average before the first step.")
    return [
        EmaSnapshot(int(s.count), _decimal(width), s.at(i, params))
        for s in found
        for i, width in enumerate(np.asarray(s.sigma_rel))
    ]


def _decimal(width: np.ndarray) -> float:
    """The shortest decimal that float32 rounds to this: the number that the user wrote."""
    return float(str(np.float32(width)))


def posthoc_ema(snapshots: Sequence[EmaSnapshot], sigma_rel: float, step: int | None = None) -> Params:
    """An average of the parameters of another length, from stored ones: the nearest that their sum can be.

    A snapshot at step T with the power g weighs the parameters of step t by (g + 1) t^g / T^(g + 1). Least
    squares over t give the coefficients of the snapshots that come nearest to the profile asked for.

    Args:
        snapshots: of `ema_snapshots`, or triples (step, sigma_rel, params); of one run, in any order.
        sigma_rel: the width to make, in (0, 1 / sqrt(12)].
        step: the step at which the profile ends, by default the last of the snapshots; later ones are
            left out.

    Returns: parameters like those of the snapshots, computed in at least float32.
    Raises: ValueError for a width out of range, or without a snapshot up to `step`.
    Reference: Karras et al., 2023, Analyzing and Improving the Training Dynamics of Diffusion Models,
        section 3.2, arXiv:2312.02696.
    """
    end = max((s[0] for s in snapshots), default=0) if step is None else step
    used = [EmaSnapshot(*s) for s in snapshots if 0 < s[0] <= end]
    target = power_of("posthoc_ema", sigma_rel)
    if not used:
        raise ValueError(
            f"posthoc_ema: at least one snapshot of a step in [1, {end}] is needed, received "
            f"{len(snapshots)} snapshots, of the steps {sorted({s[0] for s in snapshots})}."
        )
    steps = np.array([s.step for s in used], float)
    powers = np.array([power_of("posthoc_ema", s.sigma_rel) for s in used])
    gram = _product(steps[:, None], powers[:, None], steps, powers)
    size = np.sqrt(np.diag(gram))  # profiles of length 1: sharp and late ones are large
    aims = _product(steps, powers, np.asarray(end, float), np.asarray(target)) / size
    weights = np.linalg.lstsq(gram / np.outer(size, size), aims, rcond=1e-13)[0] / size

    def combined(*leaves: Any) -> Any:
        if not is_inexact(leaves[-1]):
            return leaves[-1]
        with relaxed_promotion():
            parts = [float(w) * widen(x) for w, x in zip(weights, leaves, strict=True)]
            return cast(sum(parts[1:], start=parts[0]), dtype_of(leaves[-1]))

    return jax.tree.map(combined, *(s.params for s in used))


def _product(t_a: Any, g_a: Any, t_b: Any, g_b: Any) -> np.ndarray:
    """The integral over time of two profiles: a power of each up to its own last step."""
    first, last = np.minimum(t_a, t_b), np.maximum(t_a, t_b)
    g = np.where(t_a < t_b, g_b, g_a)  # the power of the one that ends last
    return (g_a + 1) * (g_b + 1) / (g_a + g_b + 1) * (first / last) ** g / last
