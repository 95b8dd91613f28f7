"""Laws of what takes a finished transformation: shown, tuned, moved and reset, on every row."""

import jax
import pytest
from cases import CASES, Case, ids
from trees import check_close, compiled, gradients, params, signature_of

import gradchain as gc
from gradchain.core import declared_numbers, parts, state_at, with_state_at
from gradchain.tools.slots import pattern_of, slots


@pytest.mark.parametrize("case", **ids(CASES))
def test_a_description_names_every_part_and_adds_up(case: Case) -> None:
    tx, p = case.make(), params()
    found = gc.describe(tx, p)
    text = str(found)
    for part in parts(tx):
        assert part.name in text
    assert found.memory is not None
    kept = {slot.place for slot in found.slots}
    assert len(kept) == len(found.slots)  # nothing is shown twice
    shapes = [x for slot in found.slots for x in jax.tree.leaves(slot.value)]
    assert sum(x.size * x.dtype.itemsize for x in shapes) == found.memory.total
    assert "<table>" in tx._repr_html_()


@pytest.mark.parametrize("case", **ids(CASES))
def test_tunable_takes_the_same_steps(case: Case) -> None:
    """In one program each; and every number of the call is in the state."""
    plain, tuned = case.make(), gc.tunable(case.make())
    p = expected = params()
    state, expected_state = tuned.init(p), plain.init(p)
    step, expected_step = compiled(tuned.step), case.full_step
    for t in range(3):
        g, before = gradients(p, t), signature_of(state)
        p, state = step(g, state, p, **case.more(p, t))
        expected, expected_state = expected_step(g, expected_state, expected, **case.more(expected, t))
        assert signature_of(state) == before
    check_close(p, expected, 2e-5)
    found = gc.hyperparams(tuned, state)
    for part in parts(plain):
        added = {name for name, kind in (declared_numbers(part.pair.factory) or {}).items() if kind.added}
        for name, value in part.arguments.items():
            if name in added or type(value) is not float or case.name == "inject_hyperparams":
                continue
            dotted = f"{part.name}.{name}"
            assert float(found[dotted]) == pytest.approx(value)
            if case.name != "tunable" and name in (declared_numbers(part.pair.factory) or {}):
                assert found[dotted] is state.hyperparams[dotted]


@pytest.mark.parametrize("case", **ids(CASES))
def test_a_state_moves_to_a_step(case: Case) -> None:
    tx, p = case.make(), params()
    state = tx.init(p)
    moved = gc.set_step(tx, state, 7)
    assert signature_of(moved) == signature_of(state)
    try:
        gc.step_count(state)
    except ValueError:
        check_close(moved, state, 0)
    else:
        assert int(gc.step_count(moved)) - int(gc.step_count(state)) == 7
    check_close(gc.set_step(tx, moved, 0), state, 0)


@pytest.mark.parametrize("case", **ids(CASES))
def test_each_part_and_each_parameter_begins_anew(case: Case) -> None:
    tx, p = case.make(), params()
    fresh = tx.init(p)
    g = gradients(p, 0)
    _, state = case.step(g, fresh, p, **case.more(p, 0))
    everything = [part.name for part in parts(tx)]
    if tx.factory not in (gc.chain, gc.named_chain):
        check_close(gc.reset(tx, state, p, where=everything), fresh, 0)
    if pattern_of(tx) is None or case.name == "flatten":
        with pytest.raises(ValueError, match="asks for parameters"):
            gc.reset(tx, state, p, where=r"deep/.*")
        return
    layer = gc.reset(tx, state, p, where=r"deep/.*")
    assert signature_of(layer) == signature_of(state)
    for part in parts(tx):
        mean = state_at(state, part.place)
        if hasattr(mean, "as_if_always"):  # an average: of the present parameters
            fresh = with_state_at(fresh, part.place, mean.as_if_always(p))
    for slot in slots(tx, state):
        old, new, first = (state_at(tree, slot.place) for tree in (state, layer, fresh))
        if slot.like_params:
            check_close(new["deep"], first["deep"], 0)
            check_close(new["w"], old["w"], 0)
        else:
            check_close(new, old, 0)
