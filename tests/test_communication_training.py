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

from benchmarks import communication
from benchmarks.collectives import Collective, collectives, sent
from benchmarks.communication import PLAIN, RECIPES, exchanges

SHAPES = {"embed": (1000, 256), "deep": {"in": (256, 512), "out": (512, 256)}, "bias": (512,)}


# What is sent


@functools.cache
def bytes_of(recipe: str) -> float:
    return sent(exchanges(recipe, SHAPES), RECIPES[recipe].every)


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
    found = collectives(step.lower(*given).compile())
    assert found
    assert all(c.conditional for c in found)


TEXT = """
%sum (a: f32[], b: f32[]) -> f32[] {
  ROOT %add = f32[] add(%a, %b)
}

%later (p: (f32[8])) -> (f32[8]) {
  %all-reduce.1 = f32[8]{0} all-reduce(%x), replica_groups=[2,4]<=[8], to_apply=%sum
}

%branch_1 (p: (f32[8])) -> (f32[8]) {
  %call = (f32[8]) call(%p), to_apply=%later
}

ENTRY %main.2 (p: f32[8]) -> f32[8] {
  %ag = (bf16[2,3]{1,0}, bf16[8,3]{1,0}) all-gather-start(%x), replica_groups={{0,1,2,3},{4,5,6,7}}
  %done = bf16[8,3]{1,0} all-gather-done(%ag)
  %rs = f32[2]{0:T(128)} reduce-scatter(%y), replica_groups={{0,1},{2,3}}, to_apply=%sum
  %a2a = (u8[1,5]{1,0}, u8[1,5]{1,0}) all-to-all(%a, %b), replica_groups={}
  %cp = (f32[4], f32[4], u32[], u32[]) collective-permute-start(%z), source_target_pairs={{0,1},{1,0}}
  %conditional.3 = (f32[8]) conditional(%i, %t, %u), branch_computations={%branch_0, %branch_1}
}
"""


def test_texts_are_read() -> None:
    assert collectives(TEXT, 2) == [
        Collective("all-reduce", ("f32[8]",), 4, True),
        Collective("all-gather", ("bf16[8,3]",), 4, False),
        Collective("reduce-scatter", ("f32[2]",), 2, False),
        Collective("all-to-all", ("u8[1,5]", "u8[1,5]"), 2, False),
        Collective("collective-permute", ("f32[4]",), 2, False),
    ]
    assert [c.sent for c in collectives(TEXT, 2)] == [2 * 3 / 4 * 32, 3 / 4 * 48, 8, 5, 16]
    assert sent(collectives(TEXT, 2), every=10) == 4.8 + 36 + 8 + 5 + 16


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
