"""Configurations: what is told and how, and what is refused."""

import json
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradchain as gc
from gradchain.tools import ConfigError


@pytest.mark.parametrize(
    "tx",
    [
        gc.adam(gc.join_schedules([gc.linear_schedule(0.0, 0.1, 5), gc.constant_schedule(0.1)], [5])),
        gc.adam(1e-3, mu_dtype=jnp.bfloat16),
        gc.adamw(1e-3, mask=gc.decay_matrices_only),
        gc.adamw(1e-3, mask=gc.decay_matrices_only(exclude=("norm",))),
        gc.adamw(1e-3, mask={"w": True, "deep": ({"b": False}, [False])}),
        gc.inject_hyperparams(gc.adamw)(1e-3, b1=0.8),
        gc.inject_hyperparams(gc.adamw, static_args=("b1", "b2"), hyperparam_dtype=jnp.float32)(
            gc.cosine_decay_schedule(0.1, 5)
        ),
        gc.chain(gc.clip(math.inf), gc.inject_hyperparams(gc.sgd)(0.1)),
        gc.named_chain(("a/b", gc.clip(1.0)), ("", gc.adam(0.1))),
        gc.partition({0: gc.adam(0.1), 1: gc.set_to_zero()}, {"w": 0, "deep": 1}),
        gc.muon(0.1, muon_weight_dimension_numbers={"w": gc.MuonDimensionNumbers(1, 0), "deep": None}),
        gc.galore(0.1, rank=1, weight_dimension_numbers={"w": gc.GaLoreDimensionNumbers(1, 0), "b": None}),
        gc.chain(),
    ],
    ids=lambda tx: repr(tx)[:60],
)
def test_what_is_told_is_equal(tx: Any) -> None:
    again = gc.from_config(json.loads(json.dumps(gc.to_config(tx), allow_nan=False)))
    assert again == tx
    assert repr(again) == repr(tx)


def test_a_configuration_is_short_and_says_its_schema() -> None:
    tx = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(gc.cosine_decay_schedule(1e-3, 100)))
    decay = {"call": "cosine_decay_schedule", "kwargs": {"init_value": 0.001, "decay_steps": 100}}
    assert gc.to_config(tx) == {
        "schema": 1,
        "call": "chain",
        "args": [
            {"call": "clip_by_global_norm", "kwargs": {"max_norm": 1.0}},
            {"call": "adamw", "kwargs": {"learning_rate": decay}},
        ],
    }


@gc.transformation
def homemade(step_size: float):
    """A factory of a user's."""
    return gc.scale(step_size)


@pytest.mark.parametrize(
    ("tx", "text"),
    [
        (gc.adam(lambda count: 0.1), r"adam\.learning_rate is <lambda> \(function\)"),
        (gc.chain(gc.clip(1.0), gc.adam(jnp.sin)), r"chain\.args\[1\]\.learning_rate is sin"),
        (gc.adamw(0.1, mask={"w": np.array([True])}), r"adamw\.mask\['w'\] is .*ndarray"),
        (gc.chain(optax.adam(0.1)), r"chain\.args\[0\] is .*GradientTransformationExtraArgs"),
        (
            gc.chain(homemade(0.1)),
            r"chain\.args\[0\] is made by homemade, which is no function of gradchain's",
        ),
        (gc.inject_hyperparams(homemade)(0.1), "is made by homemade"),
        (optax.adam(0.1), "does not remember a call"),
        (gc.GradientTransformationExtraArgs(*gc.adam(0.1)), "does not remember a call"),
    ],
    ids=lambda x: x[:30] if isinstance(x, str) else "",
)
def test_what_cannot_be_told_is_named(tx: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        gc.to_config(tx)


ADAM = {"call": "adam", "kwargs": {"learning_rate": 0.1}}


def adam(value: Any) -> dict[str, Any]:
    return {"schema": 1, "call": "chain", "args": [{"call": "adam", "kwargs": {"learning_rate": value}}]}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (json.dumps(ADAM), r"expected a dict, received str\. Give json\.loads\(text\)"),
        (None, "expected a dict, received NoneType"),
        (ADAM, "has no schema"),
        ({"schema": "1", **ADAM}, "has no schema"),
        ({"schema": 2, **ADAM}, "has schema 2; this version reads schemas up to 1. Install a newer"),
        ({"schema": 1}, "expected an object with one of call"),
        ({"schema": 1, "call": "adamm"}, "no transformation or schedule 'adamm'. Did you mean 'adam'"),
        ({"schema": 1, "call": "adam"}, "missing a required argument: 'learning_rate'"),
        ({"schema": 1, "call": "adam", "kwargs": {"lr": 0.1}}, "unexpected keyword argument 'lr'|missing"),
        ({"schema": 1, **ADAM, "kwarg": {}}, "a call has no 'kwarg'. Did you mean 'kwargs'"),
        ({"schema": 1, "call": ["adam"]}, "expected the name of a function"),
        ({"schema": 1, "call": "adam", "args": {"learning_rate": 0.1}}, "args as a list"),
        ({"schema": 1, "call": "constant_schedule", "args": [0.1]}, "expected a transformation, found"),
        (
            {"schema": 1, "call": "load", "args": ["x.npz"]},
            "does not make a transformation|no transformation",
        ),
        ({"schema": 1, "call": "__import__", "args": ["os"]}, "no transformation or schedule '__import__'"),
        ({"schema": 1, "call": "_importlib", "args": ["os"]}, "no transformation or schedule '_importlib'"),
        ({"schema": 1, "call": "minimize"}, "does not make a transformation|no transformation"),
        ({"schema": 1, "inject": "eval", "args": ["1"]}, "no transformation or schedule 'eval'"),
        ({"schema": 1, "inject": "adam", "static_args": ["b9"], "args": [0.1]}, "static_args"),
        (adam("0.1"), r"chain\.args\[0\]\.adam: adam: learning_rate must be"),
        (
            adam({"flot": "inf"}),
            r"args\[0\]\.adam\.learning_rate: .*found \['flot'\]. Did you mean 'float'",
        ),
        (adam({"float": "1e9"}), "expected 'inf', '-inf' or 'nan', found '1e9'"),
        (adam({"complex": [1]}), "'complex' has a wrong content"),
        (adam({"dtype": "object"}), "is no dtype of arrays"),
        (adam({"dtype": "bfloat17"}), "'dtype' has a wrong content"),
        (adam({"function": "eval"}), "there is no function 'eval'"),
        (adam({"tuple": "ab"}), "expected a list, found 'ab'"),
        (adam({"dict": [[[1], 2]]}), "'dict' has a wrong content"),
        (adam({"dict": [1]}), "'dict' has a wrong content"),
        (adam(jnp.ones(())), "expected JSON, found ArrayImpl"),
        (adam({"call": "linear_schedule", "kwargs": {"init_value": 1}}), "linear_schedule: .*missing"),
        ({"schema": 1, "call": "adam", "kwargs": {"learning_rate": 0.1, "b1": 1.5}}, "b1 must be in"),
    ],
    ids=lambda x: x[:40] if isinstance(x, str) else "",
)
def test_wrong_configurations_are_refused_with_the_place(config: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        gc.from_config(config)


def test_a_configuration_nested_without_end_is_refused() -> None:
    config: Any = ADAM
    for _ in range(3000):
        config = {"call": "chain", "args": [config]}
    with pytest.raises(ConfigError, match="nested too deeply"):
        gc.from_config({"schema": 1, **config})


def test_a_number_from_an_array_is_told_as_a_number() -> None:
    tx = gc.adam(jnp.float32(0.1), b1=np.float64(0.8))
    assert gc.to_config(tx)["kwargs"] == {"learning_rate": 0.1, "b1": 0.8}
