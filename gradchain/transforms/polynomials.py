"""The polynomials of Newton-Schulz iterations, by name."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.core import Tracer

from ..core import nearest
from ..core.types import Array, Numeric

STANDARD = (3.4445, -4.7750, 2.0315)
DION = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
CLASSICAL = (1.875, -1.25, 0.375)
"""15/8, -10/8, 3/8: the quintic that is flattest at 1."""
POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    CLASSICAL,
)
POLAR_EXPRESS_REFIT = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
"""Found anew for five steps and a margin of 1.02."""
CANS = (
    (8.4703, -25.1081, 18.6293),
    (4.1828, -3.1087, 0.5806),
    (3.9619, -2.9541, 0.5630),
    (3.2866, -2.4647, 0.5074),
    (2.2737, -1.6447, 0.4162),
)


class Polynomials(NamedTuple):
    """The polynomials of an iteration, one row for each step; the last is repeated."""

    rows: Any  # [steps, 3], or [3]
    steps: int | None = None  # its own number of steps; None takes what is asked for
    margin: float = 1.0  # the norm is multiplied by this, so that rounding leaves no singular value above 1
    optax: bool = False  # a name of Optax, where the last rows are taken


def _with_margin(rows: Any, margin: float) -> Polynomials:
    """The rows for singular values of up to `margin`, but the last, which is repeated."""
    scaled = [(a / margin, b / margin**3, c / margin**5) for a, b, c in rows[:-1]]
    return Polynomials((*scaled, rows[-1]), margin=margin)


PRESETS: dict[str, Polynomials] = {
    "standard": Polynomials(STANDARD, optax=True),
    "dion": Polynomials(DION, optax=True),
    "polar_express": Polynomials(POLAR_EXPRESS),
    "polar_express_safe": _with_margin(POLAR_EXPRESS, 1.01),
    "polar_express_refit": Polynomials(POLAR_EXPRESS_REFIT, margin=1.02),
    "cans": Polynomials(CANS),
    "twelve": Polynomials(((2.0, -1.5, 0.5),), 12),
    "exact": Polynomials(POLAR_EXPRESS, 28, 1.01),
}


def preset(name: str, of: Any) -> Polynomials | None:
    """The polynomials of a name; None where coefficients were given.

    Args: name, of the factory, for errors; of, what the user gave.
    Raises: ValueError for an unknown name, with the nearest one.
    """
    if not isinstance(of, str):
        return None
    if of not in PRESETS:
        raise ValueError(
            f"{name}: ns_coeffs must be one of {', '.join(PRESETS)}, received {of!r}.{nearest(of, PRESETS)}"
        )
    return PRESETS[of]


def coefficients(name: str, ns_coeffs: Any, ns_steps: Numeric) -> Array:
    """The coefficients as an array, (3,) or (steps, 3).

    Of a preset the first `ns_steps` rows, the last repeated (all of them, where the steps are traced); of
    other rows the last ones, as in Optax.
    """
    known = preset(name, ns_coeffs)
    if known is not None and not known.optax:
        steps = known.steps or ns_steps
        if isinstance(steps, Tracer):
            return jnp.asarray(known.rows, dtype=float)
        rows = [known.rows[min(i, len(known.rows) - 1)] for i in range(int(steps))]
        return jnp.asarray(rows, dtype=float)
    given = jnp.asarray(ns_coeffs if known is None else known.rows, dtype=float)
    if given.ndim not in (1, 2) or given.shape[-1] != 3:
        raise ValueError(f"{name}: ns_coeffs must have shape (3,) or (n, 3), received {given.shape}.")
    if given.ndim == 1 or isinstance(ns_steps, Tracer):
        return given
    if len(given) < ns_steps:
        raise ValueError(f"{name}: {ns_steps} steps need as many rows of ns_coeffs, received {len(given)}.")
    return given[-ns_steps:]
