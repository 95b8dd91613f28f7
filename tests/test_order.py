"""Chains in which one link undoes another say so, once, with the remedy."""

import warnings

import pytest

import gradchain as gc
from gradchain.core import OrderWarning


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (lambda: (gc.scale(2.0), gc.scale_by_adam()), r"scale\(step_size=2.0\) has no effect before"),
        (lambda: (gc.scale_by_schedule(gc.constant_schedule(0.1)), gc.scale_by_adam()), "no effect"),
        (lambda: (gc.sgd(0.1), gc.scale_by_rms()), "undoes the learning rate of sgd"),
        (lambda: (gc.adam(1e-3), gc.scale_by_learning_rate(1.0)), "a second learning rate"),
        (lambda: (gc.add_decayed_weights(0.1), gc.adam(1e-3)), "use weight_decay="),
        (lambda: (gc.adam(1e-3), gc.clip_by_global_norm(1.0)), "Put it first"),
        (lambda: (gc.chain(gc.clip(1.0), gc.adamw(1e-3)), gc.clip(1.0)), "clip.* clips steps"),
    ],
    ids=["scale", "schedule", "rate-before", "two-rates", "decay", "clip-late", "nested"],
)
def test_an_order_that_undoes_a_link_warns_once(links, message) -> None:
    with pytest.warns(OrderWarning, match=message) as caught:
        gc.chain(*links())
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.chain(*links())  # the equal chain is the same object: nothing is said twice


def test_good_orders_are_silent() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.chain(gc.clip_by_global_norm(2.0), gc.adamw(2e-3))
        gc.chain(gc.scale(-1.0), gc.adam(2e-3))  # uphill: a sign is not undone
        gc.chain(gc.scale_by_adam(), gc.add_decayed_weights(0.2), gc.scale_by_learning_rate(0.2))
        gc.chain(gc.add_decayed_weights(0.2), gc.sgd(0.2, 0.9))
        gc.chain(gc.adam(1.0), gc.scale_by_schedule(gc.constant_schedule(0.2)))
        gc.adadelta(0.5, weight_decay=0.2)  # the factory's own chain is its own affair
    assert [str(warning.message) for warning in caught] == []


def test_links_say_what_they_do() -> None:
    assert {t.name for t in gc.scale_by_adam().traits} == {"RESCALES"}
    assert gc.trace(0.9).traits == frozenset()
