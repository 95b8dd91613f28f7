"""Laws: any tree will do, and init needs no more than shapes."""

import jax
import jax.numpy as jnp
import pytest
from cases import CASES, Case, ids
from trees import check_close, gradients, params, signature_of

import gradchain as gc

ANY_TREE = [case for case in CASES if case.any_tree]
ABSENT = [case for case in ANY_TREE if case.absent]


@pytest.mark.parametrize("case", **ids(CASES))
def test_init_from_shapes(case: Case) -> None:
    tx, p = case.make(), params()
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), p)
    assert signature_of(tx.init(shapes)) == signature_of(tx.init(p))


@pytest.mark.parametrize("case", **ids(ANY_TREE))
@pytest.mark.parametrize("tree", [{}, (), {"a": None}, 1.5], ids=["dict", "tuple", "None", "scalar"])
def test_empty_trees_and_scalars(case: Case, tree) -> None:
    p = jax.tree.map(jnp.float32, tree)
    tx = case.make()
    extra = case.more(p, 0)
    updates, state = tx.update(gradients(p, 0), tx.init(p), p, **extra)
    assert jax.tree.structure(updates) == jax.tree.structure(p)
    assert jax.tree.structure(state) == jax.tree.structure(tx.init(p))


@pytest.mark.parametrize("case", **ids(ABSENT))
@pytest.mark.parametrize("absent", [None, gc.MaskedNode()], ids=["None", "MaskedNode"])
def test_absent_leaves_change_nothing_for_the_others(case: Case, absent) -> None:
    tx, p = case.make(), {"w": params()["w"]}
    with_hole = {"a": absent, "w": p["w"], "z": (absent,)}
    g = gradients(p, 0)
    extra = case.more(p, 0)
    hole_extra = case.more(with_hole, 0)
    alone, alone_state = tx.update(g, tx.init(p), p, **extra)
    updates, state = tx.update(
        {"a": absent, "w": g["w"], "z": (absent,)}, tx.init(with_hole), with_hole, **hole_extra
    )
    assert updates["a"] is absent or updates["a"] == absent
    check_close(updates["w"], alone["w"], 1e-7)
    check_close(state, alone_state, 1e-7)


@pytest.mark.parametrize("case", **ids(ABSENT))
def test_a_missing_gradient_keeps_that_leafs_state(case: Case) -> None:
    tx, p = case.make(), {"a": params()["w"] * 2, "w": params()["w"]}
    state = tx.init(p)
    extra = case.more(p, 0)
    updates, new_state = tx.update({"a": None, "w": gradients(p, 0)["w"]}, state, p, **extra)
    assert updates["a"] is None
    assert signature_of(new_state) == signature_of(state)
    assert jnp.array_equal(gc.apply_updates(p, updates)["a"], p["a"])
