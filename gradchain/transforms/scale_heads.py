"""Attention heads whose logits grow too large are scaled down: the hook that MuonClip needs."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformationExtraArgs,
    Leaves,
    MissingParamsError,
    cast,
    dtype_of,
    init_empty_state,
    is_absent,
    relaxed_promotion,
    transformation,
    widen,
)
from ..core.types import EmptyState, Numeric, Params, Updates
from ..tree.paths import paths
from .group_names import check_patterns, matches_of, named_patterns


def qk_clip_scales(max_logits: Any, threshold: Numeric = 100.0) -> Any:
    """What to multiply queries and keys with, so that no attention logit of a batch exceeds a threshold.

    sqrt(min(1, threshold / max_logits)), for queries and keys alike.

    Args:
        max_logits: the largest logit of each head, an array or a tree of arrays [heads].
        threshold: more than 0.

    Returns: the same shapes; for `head_scales` of `scale_heads`.
    Reference: Kimi Team, 2025, Kimi K2: Open Agentic Intelligence, section 2.1, arXiv:2507.20534.

    Example:
        >>> gc.qk_clip_scales(jnp.array([50.0, 400.0]), threshold=100.0).tolist()
        [1.0, 0.5]
    """

    def scale(logits: Any) -> jax.Array:
        x = jnp.asarray(logits, jnp.float32)
        return jnp.sqrt(jnp.where(x > threshold, threshold / jnp.where(x > threshold, x, 1), 1.0))

    return jax.tree.map(scale, max_logits)


@transformation
def scale_heads(heads: Mapping[str, int]):
    """Multiplies attention heads by numbers that each step is given, after the step.

        tx = chain(muon(0.02), scale_heads({".*/(query|key)/kernel": 1}))
        params, state = tx.step(grads, state, params, head_scales={"block_0/query/kernel": scales})

    p = s (p + u), with s for each head. The scales come from the forward pass, which an optimizer does not
    see: MuonClip's are `qk_clip_scales(max_logits)`. Without `head_scales` the updates pass unchanged.

    Args:
        heads: by pattern (a regular expression for whole names), the axis of the heads.

    Extra argument: `head_scales`, a mapping from names of parameters to arrays [heads]; parameters that it
        lacks stay as they are.
    State: `EmptyState`. Memory: none.
    Raises: ValueError without parameters; for a name that no pattern matches, or scales of another length.
    Reference: Kimi Team, 2025, Kimi K2: Open Agentic Intelligence, section 2.1, arXiv:2507.20534.

    Example:
        >>> tx, p = gc.scale_heads({"query": 0}), {"query": jnp.array([[2.0], [2.0]])}
        >>> scales = {"query": jnp.array([1.0, 0.5])}
        >>> p, _ = tx.step({"query": jnp.zeros((2, 1))}, tx.init(p), p, head_scales=scales)
        >>> p["query"].tolist()
        [[2.0], [1.0]]
    """
    if not isinstance(heads, Mapping):
        raise TypeError(f"scale_heads: heads must be a mapping from patterns to axes, received {heads!r}.")
    patterns = named_patterns("scale_heads", list(heads))
    axes = dict(zip(patterns, heads.values(), strict=True))

    def init(params: Params) -> EmptyState:
        check_patterns(patterns, matches_of(patterns, jax.tree.leaves(paths(params))), "scale_heads")
        return init_empty_state(params)

    def update(
        updates: Updates,
        state: EmptyState,
        params: Params | None = None,
        *,
        head_scales: Mapping[str, Any] | None = None,
        **extra_args: Any,
    ) -> tuple[Updates, EmptyState]:
        if head_scales is None:
            return updates, state
        if params is None:
            raise MissingParamsError("scale_heads")
        leaves = Leaves("scale_heads", updates, params)
        pairs = zip(jax.tree.leaves(paths(updates)), jax.tree.leaves(updates), strict=True)
        names = [name for name, g in pairs if not is_absent(g)]
        found = matches_of(patterns, names)
        for name in head_scales:
            if not found.get(name):
                raise ValueError(
                    f"scale_heads: head_scales has {name!r}, which is no parameter that a pattern matches."
                )

        def scaled(name: str, u: Any, p: Any) -> Any:
            if name not in head_scales:
                return u
            axis, scales = axes[found[name][0]] % p.ndim, jnp.asarray(head_scales[name])
            if scales.shape != (p.shape[axis],):
                raise ValueError(
                    f"scale_heads: the scales of {name!r} have shape {scales.shape}; expected "
                    f"({p.shape[axis]},), one for each entry of axis {axis}."
                )
            with relaxed_promotion():
                s = widen(scales).reshape([-1 if i == axis else 1 for i in range(p.ndim)])
                return cast(s * widen(u) + (s - 1) * widen(p), dtype_of(u))

        us = [scaled(*row) for row in zip(names, leaves.gs, leaves.ps, strict=True)]
        return leaves.put(us, updates), state

    return GradientTransformationExtraArgs(init, update)
