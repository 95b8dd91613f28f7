"""Law: what is built inside a trace leaves nothing behind."""

import jax
import pytest
from cases import CASES, Case, ids
from trees import gradients, params

import gradchain as gc
from gradchain.core.types import NumberType

TRACEABLE = [case for case in CASES if case.numbers]


def counts_steps(case: Case, name: str) -> bool:
    """Whether this number may be a schedule here."""
    kind = getattr(case.factory, "numbers", {}).get(name)
    if not (isinstance(kind, NumberType) and kind.scheduled):
        return False
    return not kind.resolved or any(
        hasattr(s, "count") for s in jax.tree.leaves(case.make().init(params()))
    )


@pytest.mark.parametrize("case", **ids(TRACEABLE))
def test_traced_numbers_and_schedules_leave_nothing_behind(case: Case) -> None:
    name = next(iter(case.numbers))

    def train(value):
        p = params()
        for number in (value, lambda count: value) if counts_steps(case, name) else (value,):
            tx = case.make(**{name: number})
            extra = case.extra(p, 0) if case.extra else {}
            updates, _ = tx.update(gradients(p, 0), tx.init(p), p, **extra)
            p = gc.apply_updates(p, updates)
        return p

    with jax.checking_leaks():
        jax.jit(train)(jax.numpy.float32(case.numbers[name]))
