"""Laws: a transformation is a value. It prints as its code, compares, hashes, pickles, crosses jit."""

import copy
import pickle

import jax
import pytest
from cases import CASES, Case, ids
from trees import gradients, params

import gradchain as gc


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.by_value]))
def test_repr_is_the_code_that_made_it(case: Case) -> None:
    tx = case.make()
    again = eval(repr(tx), dict(vars(gc)))
    assert again == tx
    assert hash(again) == hash(tx)
    assert repr(again) == repr(tx)
    assert (again != tx) is False


@pytest.mark.parametrize("case", **ids([case for case in CASES if not case.meshed]))
def test_pickle_and_copies_are_equal(case: Case) -> None:
    tx = case.make()
    for again in (pickle.loads(pickle.dumps(tx)), copy.deepcopy(tx), copy.copy(tx), case.make()):
        assert again == tx
        assert hash(again) == hash(tx)
        assert again.arguments.keys() == tx.arguments.keys()
    assert tx.factory is case.factory
    assert tx != gc.chain(tx)


@pytest.mark.parametrize("case", **ids([case for case in CASES if not case.meshed and not case.hosted]))
def test_one_trace_for_repeated_calls_and_for_an_equal_copy(case: Case) -> None:
    traces = []

    @jax.jit
    def step(tx, g, state, p):
        traces.append(1)
        return tx.update(g, state, p, **case.more(p, 0))

    p = params()
    state = case.make().init(p)
    for tx in (case.make(), copy.deepcopy(case.make()), pickle.loads(pickle.dumps(case.make()))):
        _, state = step.eval_shape(tx, gradients(p, 0), state, p)
    assert len(traces) == 1
