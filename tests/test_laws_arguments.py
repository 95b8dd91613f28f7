"""Laws of arguments: extras are accepted, missing parameters are named, mistakes are explained."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from cases import CASES, Case, ids
from trees import check_close, gradients, params


@pytest.mark.parametrize("case", **ids(CASES))
def test_extra_arguments_are_accepted(case: Case) -> None:
    tx, p = case.make(), params()
    g, extra = gradients(p, 0), case.more(p, 0)
    plain = tx.update(g, tx.init(p), p, **extra)
    more = tx.update(g, tx.init(p), p, **extra, nobody_reads_this="at all")
    check_close(more, plain, 0)


def complaint(tx: Any, extra: dict[str, Any]) -> Exception | None:
    """What `update` raises without parameters; None where it does without."""
    p = params()
    try:
        with jax.numpy_dtype_promotion("standard"):
            jax.eval_shape(lambda: tx.update(gradients(p, 0), tx.init(p), **extra))
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("case", **ids(CASES))
def test_missing_params_are_named(case: Case) -> None:
    """Or nothing changes without them, and so it is where Optax needs none."""
    tx, p = case.make(), params()
    extra = case.more(p, 0)
    error = complaint(tx, extra)
    if error is None:
        without, _ = case.step(gradients(p, 0), tx.init(p), **extra)
        given, _ = case.step(gradients(p, 0), tx.init(p), p, **extra)
        check_close(without, given, 1e-7)
        return
    assert isinstance(error, ValueError)
    assert "needs the parameters: call update(grads, state, params)" in str(error)
    if not case.wraps:  # a wrapper's complaint has the name of what it wraps
        assert str(error).startswith(case.name)
    assert not case.has_twin or complaint(case.make(optax), extra) is not None


CHECKING = [case for case in CASES if case.checks_leaves]


@pytest.mark.parametrize("case", **ids(CHECKING))
def test_a_gradient_of_another_shape_is_named(case: Case) -> None:
    tx, p = case.make(), params()
    g = gradients(p, 0) | {"w": jnp.ones((2, 2))}
    extra = case.more(p, 0)
    with pytest.raises(ValueError, match=r"\['w'\].*\(2, 2\).*\(3, 2\)"):
        tx.update(g, tx.init(p), p, **extra)


@pytest.mark.parametrize("case", **ids(CHECKING))
def test_a_gradient_of_another_structure_is_named(case: Case) -> None:
    tx, p = case.make(), params()
    g = gradients(p, 0)
    g["extra_leaf"] = g.pop("w")
    extra = case.more(p, 0)
    with pytest.raises(ValueError, match=r"\['extra_leaf'\]|\['w'\]"):
        tx.update(g, tx.init(p), p, **extra)
