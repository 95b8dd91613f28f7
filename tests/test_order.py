"""Chains in which one link undoes another say so, once, with the remedy."""

import warnings
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import pytest
from cases import CASES, Case, ids

import gradchain as gc
from gradchain.core import OrderWarning, conflicts, with_extra_args_support


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (lambda: (gc.scale(2.25), gc.scale_by_adam()), r"scale\(step_size=2.25\) has no effect before"),
        (lambda: (gc.scale_by_schedule(gc.constant_schedule(0.1)), gc.scale_by_adam()), "no effect"),
        (lambda: (gc.sgd(0.1), gc.scale_by_rms()), "undoes the learning rate of sgd"),
        (lambda: (gc.adam(1e-3), gc.scale_by_learning_rate(1.0)), "a second learning rate"),
        (lambda: (gc.add_decayed_weights(0.1), gc.adam(1e-3)), "use weight_decay="),
        (
            lambda: (gc.sgd(0.1), gc.add_decayed_weights(0.1)),
            r"add_decayed_weights.* goes uphill after sgd",
        ),
        (lambda: (gc.adam(0.1), gc.add_cautious_decay(0.1)), "add_independent_decay"),
        (lambda: (gc.adam(1e-3), gc.clip_by_global_norm(1.0)), "Put it first"),
        (lambda: (gc.chain(gc.clip(1.0), gc.adamw(1e-3)), gc.clip(1.0)), "clip.* clips steps"),
    ],
    ids=[
        "scale",
        "schedule",
        "rate-before",
        "two-rates",
        "decay",
        "uphill",
        "uphill-cautious",
        "clip-late",
        "nested",
    ],
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
        gc.chain(gc.sgd(0.3), gc.add_decayed_weights(-0.2))  # by hand what add_independent_decay does
        gc.chain(gc.sgd(0.3), gc.add_independent_decay(0.2))
        gc.chain(gc.clip(0.3), gc.soap(0.3, weight_decay=0.2))
        gc.adadelta(0.5, weight_decay=0.2)  # the factory's own chain is its own affair
    assert [str(warning.message) for warning in caught] == []


def test_a_decay_after_the_learning_rate_goes_uphill() -> None:
    """What the warning says is so: of no gradient, parameters grow."""
    with pytest.warns(OrderWarning, match="makes parameters grow"):
        tx = gc.chain(gc.sgd(0.11), gc.add_decayed_weights(0.11))
    updates, _ = tx.update(jnp.zeros(()), tx.init(jnp.ones(())), jnp.ones(()))
    assert float(updates) > 0


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.optimizer]))
def test_no_optimizer_is_in_a_bad_order_itself(case: Case) -> None:
    """The package's own chains are not warned of, so that they are looked at here."""

    def links_of(tx: Any) -> Iterator[Any]:
        pair = with_extra_args_support(tx)
        yield pair.links
        for inner, _ in pair.inside:
            yield from links_of(inner)

    found = [text for links in links_of(case.make()) for text in conflicts(links) if "uphill" in text]
    if case.name in ("adafactor", "fromage"):  # a function of the learning rate, which is negative
        assert all("weight_decay=<lambda>" in text for text in found)
    else:
        assert found == []


def test_links_say_what_they_do() -> None:
    assert {t.name for t in gc.scale_by_adam().traits} == {"RESCALES"}
    assert gc.trace(0.9).traits == frozenset()
