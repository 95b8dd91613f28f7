"""What communicates: how little is sent, and that as much is learned."""

import functools
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from communication import TXS, for_all, on_devices, problem

pytest.importorskip("flax")
pytest.importorskip("sklearn")
sys.path.append(str(Path(__file__).parents[1]))  # the benchmarks are not installed

import gradchain as gc
from benchmarks import communication
from benchmarks.communication import PLAIN, RECIPES, exchanges

SHAPES = {"embed": (1000, 256), "deep": {"in": (256, 512), "out": (512, 256)}, "bias": (512,)}


# What is sent


@functools.cache
def bytes_of(recipe: str) -> float:
    return gc.bytes_sent(exchanges(recipe, SHAPES), RECIPES[recipe].every)


@pytest.mark.parametrize(
    ("recipe", "least", "most"),
    [
        ("power_sgd, rank 4", 0.02, 0.023),
        ("sign_majority_vote", 1 / 16, 1 / 15.9),
        ("sign_majority_vote, errors kept", 1 / 16, 1 / 15.9),
        ("diloco, every 50", 1 / 50, 1 / 50),
        ("no exchange", 0, 0),
    ],
)
def test_less_is_sent(recipe: str, least: float, most: float) -> None:
    entries = sum(size for size in (1000 * 256, 2 * 256 * 512, 512))
    assert bytes_of(PLAIN) == 2 * 7 / 8 * 4 * entries
    assert least <= bytes_of(recipe) / bytes_of(PLAIN) <= most


@pytest.mark.parametrize("name", ["diloco", "started"])
def test_what_is_sent_now_and_then_is_in_a_branch(name: str) -> None:
    p, g = problem(steps=1)
    tx = TXS[name]
    step = on_devices(tx.step)
    given = jax.tree.map(lambda x: x[:, 0], g), for_all(tx.init(p)), for_all(p)
    found = gc.collectives(step.lower(*given).compile())
    assert found
    assert all(c.conditional for c in found)


# What is learned


@functools.cache
def accuracy(recipe: str) -> float:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # Flax adds biases
        return communication.accuracy(recipe, 1)


@pytest.mark.parametrize("recipe", ["power_sgd, rank 1", "sign_majority_vote", "diloco, every 50"])
def test_as_much_is_learned(recipe: str) -> None:
    assert accuracy(PLAIN) > 0.97
    assert accuracy(recipe) > accuracy(PLAIN) - 0.015


@pytest.mark.parametrize("recipe", ["power_sgd, rank 1, errors forgotten", "no exchange"])
def test_without_what_makes_it_work_less_is_learned(recipe: str) -> None:
    assert accuracy(recipe) < accuracy(PLAIN) - 0.03


def test_devices_must_be_there(monkeypatch: Any) -> None:
    monkeypatch.setattr(communication, "DEVICES", jax.device_count() + 1)
    with pytest.raises(RuntimeError, match="expected 9 devices, found 8"):
        communication.each_own(jnp.sum)
