"""Schedules given for the numbers of a rule: read once before each update, at the steps taken."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._conditional import wrapper
from ._leafwise import lifted
from ._pair import GradientTransformationExtraArgs
from ._rule import Rule, values_of
from .types import OptState, Params, Schedule, Updates, counter_of


def scheduled(
    name: str, body: Callable[..., Any], schedules: Mapping[str, Schedule]
) -> GradientTransformationExtraArgs:
    """The pair of a factory some of whose numbers are schedules.

    Args: name, of the factory; body, makes its pair from values of these arguments; schedules, by argument.
    Raises: TypeError, in `init`, if the state counts no steps.
    """

    def at(count: Any) -> Any:
        return body(**values_of(schedules, count))

    def checked(state: OptState) -> OptState:
        if counter_of(state) is None:
            raise TypeError(
                f"{name}: {', '.join(schedules)} cannot be a schedule, since its state counts no steps. "
                f"Schedule it with inject_hyperparams({name})."
            )
        return state

    # Whatever the numbers, the factory makes a pair of this kind.
    first = body(**dict.fromkeys(schedules, np.float32(0.5)))
    if isinstance(first.rule, Rule):

        def remake(**numbers: Any) -> Rule:
            return body(**numbers).rule

        rule = first.rule.with_schedules(schedules, remake)
        pair = lifted(rule, first.traits)
        return GradientTransformationExtraArgs(
            lambda params: checked(pair[0](params)), pair[1], step=pair.step, rule=rule, traits=first.traits
        )

    def now(state: OptState) -> GradientTransformationExtraArgs:
        return at(getattr(checked(state), counter_of(state) or "count"))

    def run(
        whole: bool, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        pair = now(state)
        return pair.run(whole, updates, state, params, **extra_args)

    def init(params: Params) -> OptState:
        return checked(at(jnp.zeros([], jnp.int32)).init(params))

    return wrapper(init, run, one_program=True, traits=first.traits)
