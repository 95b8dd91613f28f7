"""Zoom: a step that decreases the loss enough and flattens its slope (the strong Wolfe conditions)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import GradientTransformationExtraArgs, compiled, relaxed_promotion, transformation
from ..core.lists import scalar_dtype
from ..core.numerics import zeros_like
from ..core.types import Numeric, Params, Updates
from ..tree import cast_like
from .line import Line
from .zoom_search import NAME, Settings, report_failure, search, step_to_take


class ZoomLinesearchInfo(NamedTuple):
    """How a zoom search went."""

    num_linesearch_steps: Any  # i32[]  evaluations of the value function and its gradient
    decrease_error: Any  # f32[]  by how much sufficient decrease is missed
    curvature_error: Any  # f32[]  by how much the slope is too steep


class ScaleByZoomLinesearchState(NamedTuple):
    """State of `scale_by_zoom_linesearch`."""

    learning_rate: Any  # f32[]  the last step's length
    value: Any  # f32[]  the loss where that step ended; inf at first
    grad: Updates  # like params, its gradient there
    info: ZoomLinesearchInfo


@transformation
def scale_by_zoom_linesearch(
    max_linesearch_steps: Numeric,
    max_learning_rate: Numeric | None = None,
    tol: Numeric = 0.0,
    increase_factor: Numeric = 2.0,
    slope_rtol: Numeric = 1e-4,
    curv_rtol: Numeric = 0.9,
    approx_dec_rtol: Numeric | None = 1e-6,
    stepsize_precision: Numeric = 1e-5,
    initial_guess_strategy: str = "keep",
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """Scales a descent direction u by a length t that satisfies the strong Wolfe conditions.

    With f(t) = loss(p + t u) they are

        f(t) <= f(0) + slope_rtol t f'(0)   (sufficient decrease)
        |f'(t)| <= curv_rtol |f'(0)|        (curvature)

    The length grows until such a t lies between two trials. Cubic interpolation then narrows that
    interval. If the search fails, the lowest trial with sufficient decrease is taken.

    `update` needs `value`, `grad` and `value_fn`, the loss as a function of all parameters. Other
    extra arguments that `value_fn` names are passed on to it.

    Args:
        max_linesearch_steps: the most trials; each evaluates the loss and its gradient.
        max_learning_rate: the largest t; None for no limit.
        tol: by how much either condition may be missed.
        increase_factor: what t is multiplied by while it grows.
        slope_rtol, curv_rtol: as above; 0 < slope_rtol < curv_rtol < 1.
        approx_dec_rtol: if the loss rises by at most this part of itself, the approximate decrease of
            Hager and Zhang is enough. It compares slopes, which rounding spoils less. None: never.
        stepsize_precision: an interval this short is searched no further.
        initial_guess_strategy: the first t: "one", or "keep" for that of the last step.
        verbose: print where a search fails.

    State: `ScaleByZoomLinesearchState(learning_rate, value, grad, info)`, scalars at least float32.
    Memory: 1 x the parameters; 2 more while searching.
    Raises: ValueError for another strategy, or without parameters; TypeError if an argument is missing.
    Reference: Nocedal and Wright, 2006, Numerical Optimization, algorithms 3.5 and 3.6; Hager and
        Zhang, 2005, A New Conjugate Gradient Method.

    Example:
        >>> loss = lambda p: jnp.sum(p**2)
        >>> tx, p = gc.scale_by_zoom_linesearch(10), jnp.array([1.0])
        >>> u, state = tx.update(-2 * p, tx.init(p), p, value=loss(p), grad=2 * p, value_fn=loss)
        >>> float(loss(p + u)) < float(loss(p))
        True
    """
    if initial_guess_strategy not in ("one", "keep"):
        raise ValueError(
            f"{NAME}: initial_guess_strategy must be 'one' or 'keep', received {initial_guess_strategy!r}."
        )
    settings = Settings(
        max_linesearch_steps,
        max_learning_rate,
        tol,
        increase_factor,
        slope_rtol,
        curv_rtol,
        approx_dec_rtol,
        stepsize_precision,
    )

    def init(params: Params) -> ScaleByZoomLinesearchState:
        dtype = scalar_dtype(params)
        # Three arrays of their own: a state that holds one array twice cannot be donated.
        value, *errors = (jnp.full((), jnp.inf, dtype) for _ in range(3))
        info = ZoomLinesearchInfo(jnp.zeros((), jnp.int32), *errors)
        one, grad = jnp.ones((), dtype), jax.tree.map(zeros_like, params)
        return ScaleByZoomLinesearchState(one, value, grad, info)

    def first_length(last_length: Any) -> Any:
        if initial_guess_strategy == "one":
            return 1.0
        return jnp.where(last_length > 0, last_length, 1.0)  # after a step of 0, begin anew

    def update(
        updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ScaleByZoomLinesearchState]:
        with relaxed_promotion():
            line = Line(NAME, updates, params, extra_args)
            end = search(line, settings, first_length(state.learning_rate))
            if verbose:
                report_failure(line, end)
            point, grads = step_to_take(end)
            info = ZoomLinesearchInfo(end.count, end.decrease_error, end.curvature_error)
            new = ScaleByZoomLinesearchState(point.t, point.value, line.put(grads, state.grad), info)
            return line.step(point.t), cast_like(new, state)

    return GradientTransformationExtraArgs(init, compiled(update))
