"""ZClip: clipping of what stands out among the gradient's last norms."""

from typing import NamedTuple

import jax.numpy as jnp

from ..core import CLOSED_UNIT, NON_NEGATIVE, POSITIVE, Trait, nearest, transformation, treewise
from ..core.lists import each, scalar_dtype
from ..core.norms import norms
from ..core.numerics import ema, ratio, safe_increment, sqrt
from ..core.types import Array, Numeric

OPTIONS = ("adaptive_scaling", "mean", "percentile")


class ZClipState(NamedTuple):
    """State of `zclip`."""

    seen: Array  # i32[]  norms that have entered mean and variance
    mean: Array  # f32[]  average of the norms
    var: Array  # f32[]  average of their squared deviations
    z: Array  # f32[]  deviations by which the last norm was above the mean; 0 in the warm-up
    factor: Array  # f32[]  what the last gradient was multiplied by

    @property
    def measured(self) -> dict[str, Array]:
        """What `measurements` finds here."""
        return {"zclip_z": self.z, "zclip_factor": self.factor, "zclip_mean": self.mean}


@transformation(alpha=CLOSED_UNIT, z_thresh=POSITIVE, max_grad_norm=POSITIVE, eps=NON_NEGATIVE)
def zclip(
    alpha: Numeric = 0.97,
    z_thresh: Numeric = 2.5,
    max_grad_norm: Numeric | None = None,
    eps: Numeric = 1e-6,
    warmup_steps: int = 25,
    clip_option: str = "adaptive_scaling",
    clip_factor: Numeric = 1.0,
    skip_update_on_spike: bool = False,
):
    """Shrinks gradients whose global norm n stands out: z = (n - mean) / (std + eps) > z_thresh.

    u = g min(1, c / n), with c = (mean + z_thresh^2 / z std) clip_factor for "adaptive_scaling" (the larger
    the spike, the nearer to the mean), mean for "mean", mean + z_thresh std for "percentile".
    mean = alpha mean + (1 - alpha) n, then var = alpha var + (1 - alpha) (n - mean)^2, where a spike enters
    as c. Both begin as those of the first warmup_steps norms, which are not compared.

    A gradient with a NaN or an infinity passes unchanged, and enters nothing.

    Args:
        alpha: decay of the averages, in [0, 1].
        z_thresh: deviations above the mean that are allowed.
        max_grad_norm: a bound for c and in the warm-up; what enters is not bounded by it. None for none.
        warmup_steps: at least 1.
        clip_option: which c.
        clip_factor: a factor of c, of "adaptive_scaling" alone; the authors take 0.3 to 0.7 to clip more.
        skip_update_on_spike: True lets spikes enter nothing.

    State: `ZClipState(seen, mean, var, z, factor)`, scalars; `measured`: zclip_z, zclip_factor, zclip_mean.
        Inside `with_global_norm`, n is the norm that the wrapper computed.
    Raises: ValueError for another clip_option, or no warm-up.
    Reference: Kumar et al., 2025, ZClip: Adaptive Spike Mitigation for LLM Pre-Training, arXiv:2504.02507.

    Example:
        >>> tx = gc.zclip(warmup_steps=2, clip_option="mean")
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 2.0, 100.0):  # the mean of the norms before is 1.5
        ...     u, state = tx.update(jnp.array([g]), state)
        ...     print([round(x, 3) for x in u.tolist()])
        [1.0]
        [2.0]
        [1.5]
    """
    if clip_option not in OPTIONS:
        raise ValueError(
            f"zclip: clip_option must be one of {', '.join(OPTIONS)}, received {clip_option!r}."
            + nearest(str(clip_option), OPTIONS)
        )
    if warmup_steps < 1:
        raise ValueError(f"zclip: warmup_steps must be at least 1, received {warmup_steps!r}.")

    def init(ps: list[Array]) -> ZClipState:
        dtype = scalar_dtype(ps)
        mean, var, z = (jnp.zeros([], dtype) for _ in range(3))
        return ZClipState(jnp.zeros([], jnp.int32), mean, var, z, jnp.ones([], dtype))

    def most(s: ZClipState, z: Array) -> Array:
        if clip_option == "mean":
            return s.mean
        if clip_option == "percentile":
            return s.mean + z_thresh * sqrt(s.var)
        return (s.mean + z_thresh**2 / jnp.where(z > 0, z, 1) * sqrt(s.var)) * clip_factor

    def entered(s: ZClipState, n: Array, warm: Array) -> ZClipState:
        first = s.seen + 1
        change = n - s.mean
        mean = jnp.where(warm, ema(n, s.mean, alpha), s.mean + change / first)
        square = (n - mean) * jnp.where(warm, n - mean, change)  # of the first norms: Welford's sums
        var = jnp.where(warm, ema(square, s.var, alpha), s.var + (square - s.var) / first)
        ok = jnp.isfinite(var)  # a norm whose square is not would blind it for good
        return s._replace(
            seen=jnp.where(ok, safe_increment(s.seen), s.seen),
            mean=jnp.where(ok, mean, s.mean),
            var=jnp.where(ok, var, s.var),
        )

    def update(
        g: list[Array], s: ZClipState, p: list[Array], *, global_norm: Array | None = None
    ) -> tuple[list[Array], ZClipState]:
        n = global_norm
        if n is None:
            n = norms(g) if g else jnp.zeros([], s.mean.dtype)
        finite, warm = jnp.isfinite(n), s.seen >= warmup_steps
        z = jnp.where(warm & finite, ratio(n - s.mean, sqrt(s.var) + eps), 0)
        spike = n > most(s, z) if clip_option == "percentile" else z > z_thresh
        spike = spike & warm & finite
        bound = jnp.where(spike, most(s, z), n)
        limit = bound if max_grad_norm is None else jnp.minimum(bound, max_grad_norm)
        shrink = finite & (n > limit)
        factor = jnp.where(shrink, limit / jnp.where(shrink, n, 1), 1)
        enters = finite & ~spike if skip_update_on_spike else finite
        new = entered(s, jnp.where(finite, bound, 0), warm)
        seen, mean, var = (jnp.where(enters, a, b) for a, b in zip(new[:3], s[:3], strict=True))
        return each(lambda x: x * factor, g), ZClipState(seen, mean, var, z, factor)

    return treewise(init, update, needs_params=False, told=["global_norm"], traits=[Trait.CLIPS])
