"""Groups by name: who gets what, what is frozen, what is shared, and what is said about mistakes."""

import copy
import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from arguments import down
from trees import check_close, compiled, gradients

import gradchain as gc
from gradchain.core import parts
from gradchain.tools import parse
from gradchain.transforms.group_names import names_of


def params() -> dict[str, Any]:
    """An embedding, two layers, a head."""
    rng = np.random.default_rng(0)

    def leaf(*shape: int) -> jax.Array:
        return jnp.asarray(rng.uniform(0.5, 1.5, shape), jnp.float32)

    def layer() -> dict[str, Any]:
        return {"kernel": leaf(3, 3), "bias": leaf(3)}

    return {"embed": leaf(4, 3), "layers": [layer(), layer()], "head": {"kernel": leaf(3, 2)}}


def after(tx: Any, steps: int = 3, p: Any = None) -> tuple[Any, Any]:
    """Parameters and state after some whole steps."""
    p = params() if p is None else p
    state, step = tx.init(p), jax.jit(tx.step)
    for i in range(steps):
        p, state = step(gradients(p, i), state, p)
    return p, state


def test_each_group_takes_the_steps_of_its_optimizer() -> None:
    rules = {r".*bias": gc.sgd(0.1, 0.9), r"layers/.*": gc.lion(0.01)}
    tx = gc.groups(rules, default=gc.adamw(0.02))
    labels = {"embed": "d", "layers": [{"kernel": "l", "bias": "b"}] * 2, "head": {"kernel": "d"}}
    twin = optax.partition(
        {"b": optax.sgd(0.1, 0.9), "l": optax.lion(0.01), "d": optax.adamw(0.02)}, labels
    )
    p, q = params(), params()
    state, twins = tx.init(p), twin.init(q)
    update = compiled(tx.update)
    with jax.numpy_dtype_promotion("standard"):
        for i in range(5):
            u, state = update(gradients(p, i), state, p)
            v, twins = twin.update(gradients(q, i), twins, q)
            check_close(u, v, 2e-6)
            p, q = gc.apply_updates(p, u), optax.apply_updates(q, v)
    check_close(
        jax.tree.leaves(state.inner_states["layers"]), jax.tree.leaves(twins.inner_states["l"]), 1e-6
    )


def test_the_first_match_wins_and_order_counts_in_equality() -> None:
    a, b = gc.sgd(0.1), gc.sgd(0.2)
    first = gc.groups({r".*kernel": a, r"layers.*": b}, default="freeze")
    other = gc.groups({r"layers.*": b, r".*kernel": a}, default="freeze")
    assert first != other
    grads = jax.tree.map(jnp.ones_like, params())
    for tx, expected in ((first, 0.1), (other, 0.2)):
        u, _ = tx.update(grads, tx.init(params()), params())
        np.testing.assert_allclose(u["layers"][0]["kernel"], -expected, rtol=1e-6)
        np.testing.assert_allclose(u["layers"][0]["bias"], -0.2, rtol=1e-6)
        np.testing.assert_array_equal(u["embed"], 0)


def test_names_are_those_of_every_container() -> None:
    eqx, nnx = pytest.importorskip("equinox"), pytest.importorskip("flax.nnx")

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Model:
        kernel: Any
        bias: Any

    class Module(eqx.Module):
        kernel: jax.Array
        bias: jax.Array

    class Linear(nnx.Module):
        def __init__(self, kernel: jax.Array, bias: jax.Array):
            self.kernel, self.bias = nnx.Param(kernel), nnx.Param(bias)

    kernel, bias = jnp.ones((2, 3)), jnp.ones(3)
    tx = gc.groups({r".*kernel$": gc.adam(0.1), r".*(bias|scale)$": "freeze"})
    for make in (dict, Model, Module, Linear):
        p = make(kernel=kernel, bias=bias)
        p = nnx.state(p, nnx.Param) if isinstance(p, Linear) else p
        new, state = tx.step(jax.tree.map(jnp.ones_like, p), tx.init(p), p)
        by_name = dict(zip(jax.tree.leaves(gc.tree.paths(new)), jax.tree.leaves(new), strict=True))
        np.testing.assert_allclose(by_name["kernel"], 0.9, rtol=1e-6)
        assert by_name["bias"] is bias
        assert sum(x.size for x in jax.tree.leaves(state)) == 2 * kernel.size + 1


def test_frozen_parameters_cost_no_state_and_no_time() -> None:
    tx = gc.groups({r"embed": "freeze", r"layers.*": "freeze"}, default=gc.adam(0.1))
    p = params()
    state = tx.init(p)
    head = p["head"]["kernel"]
    assert sum(x.size for x in jax.tree.leaves(state)) == 2 * head.size + 1
    program = jax.make_jaxpr(tx.step)(p, state, p).jaxpr
    grads, states, olds = (len(jax.tree.leaves(tree)) for tree in (p, state, p))
    trained = jax.tree.leaves(gc.tree.paths(p)).index("head/kernel")
    outs, ins = program.outvars[:olds], program.invars[grads + states :]
    assert [new is old for new, old in zip(outs, ins, strict=True)] == [i != trained for i in range(olds)]
    used = {v for eqn in program.eqns for v in eqn.invars if not hasattr(v, "val")}
    assert used.isdisjoint({v for i, v in enumerate(program.invars[:grads]) if i != trained})
    updates, _ = tx.update(p, state, p)
    assert not np.any(np.asarray(updates["embed"]))
    assert np.all(np.asarray(updates["head"]["kernel"]))


def test_what_is_no_number_is_in_no_group() -> None:
    p = {"w": jnp.ones(3), "steps": jnp.int32(4), "none": None}
    tx = gc.groups({"w": gc.adam(0.1)})
    grads = {"w": jnp.ones(3), "steps": np.zeros((), jax.dtypes.float0), "none": None}
    new, _ = tx.step(grads, tx.init(p), p)
    np.testing.assert_allclose(new["w"], 0.9, rtol=1e-6)
    assert new["steps"] is p["steps"]


WRITTEN_OUT = [
    (gc.adamw(0.01, weight_decay=0.1), gc.adamw(0.001, weight_decay=0.0)),
    (gc.adamw(down, weight_decay=0.1), gc.adamw(lambda n: 0.1 * down(n), weight_decay=0.0)),
    (gc.chain(gc.clip(0.5), gc.lion(0.01)), gc.chain(gc.clip(0.5), gc.lion(0.001, weight_decay=0.0))),
    (gc.lookahead(gc.adamw(0.01), 2, 0.5), gc.lookahead(gc.adamw(0.001, weight_decay=0.0), 2, 0.5)),
    (gc.adan(0.01, weight_decay=0.1), gc.adan(0.001, weight_decay=0.0)),
]


@pytest.mark.parametrize(("base", "scaled"), WRITTEN_OUT)
def test_a_scaled_group_is_the_default_with_products(base: Any, scaled: Any) -> None:
    rules = {r".*bias": gc.scaled_group(lr=0.1, weight_decay=0)}
    p, state = after(gc.groups(rules, default=base))
    for take, alone in ((lambda q: [x["bias"] for x in q["layers"]], scaled), (lambda q: q["head"], base)):
        start = params()
        q, inner = take(start), alone.init(take(start))
        for i in range(3):
            everything = after_gradients(i)
            q, inner = alone.step(take(everything), inner, q)
        check_close(take(p), q, 1e-6)
    assert jax.tree.leaves(state)


def after_gradients(step: int) -> Any:
    """The gradients that `after` gives in a step."""
    return gradients(params(), step)


def test_hyperparameters_of_groups() -> None:
    rules = {r".*bias": gc.scaled_group(lr=0.1, weight_decay=0), r"embed": "freeze"}
    tx = gc.groups(rules, default=gc.adamw(down, weight_decay=0.2))
    _, state = after(tx, 2)
    found = gc.hyperparams(tx, state)
    assert float(found["bias.adamw.learning_rate"]) == pytest.approx(0.1 * float(down(2)))
    assert (
        float(found["default.adamw.learning_rate"]) == float(gc.learning_rate(tx, state)) == float(down(2))
    )
    assert (found["bias.adamw.weight_decay"], found["default.adamw.weight_decay"]) == (0, 0.2)
    assert [part.name for part in parts(tx)] == ["groups", "bias.scaled_group", "default.adamw"]
    other = tx.replace(**{"default.adamw.learning_rate": 0.5})
    assert gc.hyperparams(other, other.init(params()))["bias.adamw.learning_rate"] == 0.05
    changed = tx.replace(**{"bias.scaled_group.multipliers": {"lr": 2}})
    assert changed.arguments["rules"][r".*bias"] == gc.scaled_group(lr=2)
    used = gc.memory(tx, params())
    assert used.parts["bias.scaled_group"] == 2 * 4 * 6 + 8  # and two counts
    plain = gc.groups({r".*bias": gc.sgd(0.1)}, default=gc.adamw(0.1))
    assert plain.replace(**{"bias.sgd.learning_rate": 1.0}) == gc.groups(
        {r".*bias": gc.sgd(1.0)}, default=gc.adamw(0.1)
    )


def test_groups_print_pickle_and_parse() -> None:
    tx = gc.groups({r".*bias": gc.scaled_group(lr=0.1), r"e\w+": "freeze"}, default=gc.adamw(1e-3))
    assert eval(repr(tx), vars(gc)) == tx == parse(repr(tx)) == pickle.loads(pickle.dumps(tx))
    schedule = gc.scaled_schedule(gc.cosine_decay_schedule(1.0, 10), 0.5)
    assert eval(repr(schedule), vars(gc)) == schedule == copy.deepcopy(schedule)
    assert float(schedule(5)) == pytest.approx(0.25)


def test_names_of_groups_are_the_words_of_their_patterns() -> None:
    patterns = {
        r".*kernel$": "kernel",
        r".*(bias|scale)$": "bias_scale",
        r"embed.*": "embed",
        r"encoder/layer_[01]/.*": "encoder_layer_01",
        r"(?P<norms>.*norm.*)": "norms",
        r"kernel": "kernel_2",
        r"(?i)h/\d+/w": "h_w",
        r"default": "default_2",
        r".*": "all",
    }
    assert names_of(list(patterns)) == patterns


def counting(traced: list[Any]) -> Any:
    @gc.transformation
    def counted(rate: gc.Hyperparameter, power: int = 1) -> Any:
        def update(g: Any, s: Any, p: Any) -> Any:
            traced.append(g.shape)
            return -rate * g**power, s

        return gc.leafwise(gc.init_empty_state, update)

    return counted


@pytest.mark.parametrize("by_name", [True, False])
def test_groups_that_differ_in_numbers_share_a_trace(by_name: bool) -> None:
    traced: list[Any] = []
    counted = counting(traced)
    rules = {f"w{i}": counted(0.1 * (i + 1)) for i in range(4)}
    rules |= {"w4": gc.masked(counted(0.5), True), "w5": counted(0.6, 2)}
    p = {name: jnp.full(3, 2.0) for name in rules}
    tx = gc.groups(rules) if by_name else gc.partition(rules, {name: name for name in rules})
    u, _ = jax.jit(tx.update)(p, tx.init(p), p)
    for i in range(5):
        np.testing.assert_allclose(u[f"w{i}"], -0.2 * (i + 1), rtol=1e-6)
    np.testing.assert_allclose(u["w5"], -2.4, rtol=1e-6)
    assert traced == [(3,), (3,)]  # another power is another rule


@pytest.mark.parametrize(
    "inner",
    [
        gc.adamw(0.1, mask={"embed": False, "layers": True, "head": {"kernel": True}}),
        gc.adamw(0.1, mask=jax.tree.map(lambda x: x.ndim > 1, params())),
        gc.partition(
            {True: gc.adamw(0.1), False: gc.sgd(0.1)}, jax.tree.map(lambda x: x.ndim > 1, params())
        ),
        gc.apply_if_finite(gc.selective_transform(gc.adam(0.1), freeze_mask=gc.decay_matrices_only), 2),
    ],
    ids=str,
)
def test_masks_of_all_parameters_fit_in_a_group(inner: Any) -> None:
    labels = {"embed": "a", "layers": "b", "head": "b"}
    expected, _ = after(gc.partition({"a": inner, "b": inner}, labels), 2)
    found, _ = after(gc.groups({"embed": inner}, default=inner), 2)
    check_close(found, expected, 1e-7)


def test_functions_of_the_parameters_see_all_of_them() -> None:
    """A line search in one group evaluates the loss of the whole."""

    def loss(p: Any) -> Any:
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(p))

    p = params()
    search = gc.chain(gc.sgd(1.0), gc.scale_by_backtracking_linesearch(10))
    tx = gc.groups({"head.*": search}, default="freeze")
    value, grad = jax.value_and_grad(loss)(p)
    new, _ = tx.step(grad, tx.init(p), p, value=value, grad=grad, value_fn=loss)
    assert loss(new) < value
    assert new["embed"] is p["embed"]


@pytest.mark.parametrize(
    ("rules", "default", "error", "text"),
    [
        ({}, None, TypeError, "at least one pattern"),
        ([], None, TypeError, "must be a dict"),
        ({".*(kern": "freeze"}, None, ValueError, "missing ), unterminated subpattern at position 2"),
        ({3: "freeze"}, None, TypeError, "a pattern must be a text"),
        ({"a": "frozen"}, None, ValueError, "Did you mean 'freeze'"),
        ({"a": gc.adamw}, None, TypeError, "Call it: adamw(...)"),
        ({"a": gc.scaled_group(lr=2)}, None, TypeError, "give a transformation that remembers its call"),
        ({"a": gc.scaled_group(lr=2)}, "freeze", TypeError, "received 'freeze'"),
        ({"a": gc.scaled_group(lr=2)}, optax.sgd(0.1), TypeError, "give a transformation that remembers"),
        ({"a": gc.scaled_group(learning_rat=2)}, gc.sgd(0.1), KeyError, "Did you mean 'learning_rate'"),
        ({"a": gc.scaled_group(b1=2)}, gc.adam(0.1), ValueError, "rule 'a': adam: b1 must be in [0, 1)"),
        ({"a": gc.scaled_group(nesterov=2)}, gc.adam(0.1), TypeError, "adam.nesterov is False"),
        ({"a": gc.scaled_group(momentum=2)}, gc.sgd(0.1), TypeError, "sgd.momentum is None"),
        ({"a": gc.sgd(0.1)}, gc.scaled_group(lr=2), TypeError, "only other rules can be"),
    ],
)
def test_mistakes_are_told_at_the_call(rules: Any, default: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as caught:
        gc.groups(rules, default=default)
    assert text in str(caught.value)
    assert "groups: " in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "default", "text"),
    [
        ({".*bias": gc.sgd(0.1)}, None, "no pattern matches 'embed', 'head/kernel'"),
        ({"kernel": gc.sgd(0.1)}, "freeze", "it is a part of 'head/kernel': write .* around it"),
        (
            {"xyz": gc.sgd(0.1)},
            "freeze",
            "'xyz' matches no parameter. The parameters are 'embed', 'head/kernel'",
        ),
        ({".*": gc.sgd(0.1), "em.*": "freeze"}, None, "that the pattern 'em.*' matches go to '.*'"),
    ],
    ids=str,
)
def test_patterns_that_do_not_fit_are_told_in_init(rules: Any, default: Any, text: str) -> None:
    tx = gc.groups(rules, default=default)
    with pytest.raises(ValueError, match=re.escape(text)):
        tx.init(jax.eval_shape(params))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: gc.scaled_group(), "at least one multiplier"),
        (lambda: gc.scaled_group(lr=True), "lr must be a number"),
        (lambda: gc.scaled_group(lr="2"), "lr must be a number"),
        (lambda: gc.scaled_group(lr=float("nan")), "lr must be finite"),
        (lambda: gc.scaled_group(lr=1, learning_rate=1), "two names of one argument"),
        (lambda: gc.scaled_group(lr=1).init(params()), "only among its rules"),
    ],
)
def test_multipliers_are_checked(make: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match="scaled_group: .*" + text):
        make()


def test_layerwise_decay_is_that_of_the_paper() -> None:
    tx = gc.groups(gc.layerwise_decay(0.5, params()), default=gc.adamw(1.0))
    found = gc.hyperparams(tx, tx.init(params()))
    depths = {"embed": 0, "layers_0": 1, "layers_1": 2, "default": 3}
    assert {name: found[f"{name}.adamw.learning_rate"] for name in depths} == {
        name: 0.5 ** (3 - depth) for name, depth in depths.items()
    }


@pytest.mark.parametrize(
    ("names", "layer", "expected"),
    [
        (["h/0/w", "h/11/w", "h/1/w"], {}, [r"h/0/.*", r"h/1/.*", r"h/11/.*"]),
        (["encoder/layer_0/w", "encoder/layer_1/w"], {}, ["encoder/layer_0/.*", "encoder/layer_1/.*"]),
        (
            ["T/encoderblock_2/w", "T/encoderblock_10/w"],
            {},
            ["T/encoderblock_2/.*", "T/encoderblock_10/.*"],
        ),
        (["a/layers/0/w", "b/layers/0/w"], {}, ["(a/layers/0|b/layers/0)/.*"]),
        (["layers/1/layers/0/w", "layers/0/w"], {}, ["layers/0/.*", "layers/1/.*"]),
        (["w1", "w12"], {"layer": r"w(\d+).*"}, [r"w1(?!\d).*", r"w12(?!\d).*"]),
    ],
)
def test_layers_are_found_by_their_names(names: list[str], layer: Any, expected: list[str]) -> None:
    tree: dict[str, Any] = {}
    for name in names:
        *above, last = name.split("/")
        node = tree
        for word in above:
            node = node.setdefault(word, {})
        node[last] = jnp.ones(2)
    rules = gc.layerwise_decay(0.5, tree, embeddings=None, **layer)
    assert list(rules) == expected
    gc.groups(rules, default=gc.sgd(0.1)).init(tree)  # each pattern has its parameters


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"decay": 1.5}, r"decay must be in \(0, 1\], received 1.5"),
        ({"layer": "abc"}, r"must have \(\\d\+\) once"),
        ({"layer": r"(abc(\d+)"}, "no regular expression"),
        ({"layer": r"block_(\d+)"}, "matches none of 'embed', 'head/kernel'"),
        ({"embeddings": "wte"}, "no embeddings: 'wte' matches none of those in no layer, 'embed'"),
    ],
)
def test_layers_that_are_not_found_are_told(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match="layerwise_decay: .*" + text):
        gc.layerwise_decay(**({"decay": 0.5, "params": params()} | call))


def test_no_decay_leaves_biases_and_norms() -> None:
    p = {"BatchNorm": {"w": jnp.ones(2)}, "dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
    tx = gc.groups(gc.no_decay(), default=gc.adamw(0.1, weight_decay=0.5))
    updates, state = tx.update(jax.tree.map(jnp.zeros_like, p), tx.init(p), p)
    expected = {"BatchNorm": {"w": 0.0}, "dense": {"kernel": -0.05, "bias": 0.0}}
    check_close(updates, jax.tree.map(lambda x, e: jnp.full_like(x, e), p, expected), 1e-6)
    assert set(state.inner_states) == {"no_decay", "default"}
    with pytest.raises(TypeError, match="no_decay: words"):
        gc.no_decay("bias")


def test_the_page_on_groups_runs() -> None:
    page = (Path(__file__).parent.parent / "docs" / "groups.md").read_text()
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(block, space)
    assert float(space["rates"]["bias_scale.adamw.learning_rate"]) == pytest.approx(5e-4)
    changed = gc.hyperparams(space["tx"], space["state"])
    assert (changed["default.adamw.weight_decay"], changed["head.lion.b1"]) == (0.05, 0.95)
    assert float(changed["bias_scale.adamw.learning_rate"]) == pytest.approx(1e-3)
    assert space["rules"]["encoder/layer_3/.*"] == gc.scaled_group(learning_rate=0.75)
    state = space["fine_tuning"].init(space["params"])
    assert "embed" in state.inner_states
