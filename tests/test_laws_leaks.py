"""Law: what is built inside a trace leaves nothing behind."""

import gc as garbage

import jax
import pytest
from cases import TYPICAL, Case, ids
from trees import gradients, params

import gradchain as gc
from gradchain.core.types import NumberType

TRACEABLE = [case for case in TYPICAL if case.numbers]


def only_new_objects_are_searched() -> None:
    """JAX looks for who holds a tracer among all objects, at each inner trace: seconds in a large program.

    Who holds one is younger than it. The others are set aside until `conftest.py` clears the caches.
    """
    garbage.freeze()


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

    only_new_objects_are_searched()
    with jax.checking_leaks():
        jax.jit(train)(jax.numpy.float32(case.numbers[name]))


def test_what_is_left_behind_is_found() -> None:
    kept, holder = [], type("Holder", (), {"x": None})()

    @jax.jit
    def inner(x):
        kept.append(x)
        return x + 1

    def outer(x):
        holder.x = x
        return x * 2

    only_new_objects_are_searched()
    for leaking in (lambda x: inner(x) * 2, outer):
        with jax.checking_leaks(), pytest.raises(Exception, match=r"[Ll]eaked"):
            jax.jit(leaking)(jax.numpy.float32(1.0))
