"""Names of parameters: one spelling for every kind of container."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn, nnx

import gradchain as gc

X = jnp.ones((2, 2))


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    kernel: Any
    value: Any


class Block(eqx.Module):
    kernel: Any
    value: Any


def boxed(x: Any) -> Any:
    return nn.Partitioned(x, names=(None, None))


@pytest.mark.parametrize(
    "layer",
    [
        {"kernel": X, "value": X},
        Layer(X, X),
        Block(X, X),
        nnx.State({"kernel": nnx.Param(X), "value": nnx.Param(X)}),
        {"kernel": boxed(X), "value": boxed(X)},
    ],
    ids=["dict", "dataclass", "equinox", "nnx.State", "nn.Partitioned"],
)
def test_all_containers_spell_alike(layer: Any) -> None:
    tree = {"layers": [layer, None]}
    named = gc.tree.paths(tree)
    assert jax.tree.leaves(named) == ["layers/0/kernel", "layers/0/value"]
    assert jax.tree.structure(named) == jax.tree.structure(tree)


def test_an_array_alone_has_the_empty_name() -> None:
    assert gc.tree.paths(X) == ""
