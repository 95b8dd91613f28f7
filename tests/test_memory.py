"""The memory of states: what is told without allocating is what a state takes."""

import jax
import jax.numpy as jnp
import pytest
from cases import CASES, Case, ids
from trees import params

import gradchain as gc


@pytest.mark.parametrize("case", **ids(CASES))
def test_the_bytes_are_those_of_a_real_state(case: Case) -> None:
    tx, p = case.make(), params()
    found = gc.memory(tx, p)
    real = sum(x.nbytes for x in jax.tree.leaves(tx.init(p)))
    assert found.total == real
    assert min(found.parts.values(), default=0) >= 0
    if tx.factory not in (gc.chain, gc.named_chain):
        assert sum(found.parts.values()) == real
    assert found == gc.memory(tx, jax.eval_shape(lambda: p))


def test_each_call_has_its_own_bytes() -> None:
    p = {"w": jnp.ones((1000, 10)), "b": jnp.ones(10, jnp.bfloat16)}
    tx = gc.chain(
        gc.clip_by_global_norm(1.0),
        gc.accumulate_gradients(
            gc.partition({"a": gc.adam(0.1), "b": gc.sgd(0.1)}, {"w": "a", "b": "b"}), 2
        ),
    )
    found = gc.memory(tx, p)
    assert found.parts == {
        "clip_by_global_norm": 0,
        "accumulate_gradients": 40_000 + 40 + 8,
        "partition": 0,
        "a.adam": 80_000 + 4,
        "b.sgd": 0,
    }
    assert found.params == 40_020
    assert str(found).splitlines()[1:3] == ["accumulate_gradients  40 kB", "partition             0 B"]
    assert str(found).splitlines()[-1] == "120 kB in all, 3.00 x the parameters"


def test_nothing_is_allocated_and_nothing_divides_by_nothing() -> None:
    huge = {"w": jax.ShapeDtypeStruct((10**6, 10**6), jnp.float32)}
    assert gc.memory(gc.adam(0.1), huge).multiple == pytest.approx(2.0)
    assert str(gc.memory(gc.adam(0.1), huge)).startswith("adam  8 TB")
    assert gc.memory(gc.adam(0.1), {}).multiple == 0.0
