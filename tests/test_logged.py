"""The log: its numbers are right, the steps are not changed, and nothing is copied for it."""

import csv
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from arguments import down
from trees import check_close, gradients

import gradchain as gc

LARGE = 5.2  # some gradients are, others not
DOCS = Path(__file__).parent.parent / "docs"


def params() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "a": {"kernel": jnp.asarray(rng.normal(size=(4, 3)), jnp.float32), "bias": jnp.ones(3)},
        "b": {"kernel": jnp.asarray(rng.normal(size=(2, 3, 2)), jnp.bfloat16)},
    }


def size(tree: Any) -> float:
    leaves = [np.asarray(x, np.float64) for x in jax.tree.leaves(tree)]
    return float(np.sqrt(sum(np.sum(x * x) for x in leaves)))


@pytest.mark.parametrize("whole", [True, False])
def test_the_log_holds_what_was_measured(whole: bool) -> None:
    rules = {r".*bias": gc.scaled_group(lr=0.1)}
    inner = gc.chain(gc.clip_by_global_norm(LARGE), gc.groups(rules, default=gc.adamw(down)))
    tx = gc.logged(inner, every=2)
    p, state, plain = params(), tx.init(params()), inner.init(params())
    take, clipped, measured = jax.jit(tx.step if whole else tx.update), 0, 0
    old: dict[str, Any] = gc.measurements(state)
    assert not any(map(float, old.values()))
    for i in range(5):
        g = gradients(p, i)
        updates, plain = inner.update(g, plain, p)
        result, state = take(g, state, p)
        row = gc.measurements(state)
        if i % 2 == 0:
            clipped, measured = clipped + (size(g) > LARGE), measured + 1
            expected = {
                "step": i + 1,
                "learning_rate/default.adamw": down(i),
                "learning_rate/bias.adamw": 0.1 * down(i),
                "grad_norm": size(g),
                "grad_norm/bias": size(g["a"]["bias"]),
                "grad_norm/default": size([g["a"]["kernel"], g["b"]]),
                "param_norm": size(p),
                "param_norm/bias": size(p["a"]["bias"]),
                "param_norm/default": size([p["a"]["kernel"], p["b"]]),
                "update_norm": size(updates),
                "update_norm/bias": size(updates["a"]["bias"]),
                "update_norm/default": size([updates["a"]["kernel"], updates["b"]]),
                "update_ratio": size(updates) / size(p),
                "update_ratio/bias": size(updates["a"]["bias"]) / size(p["a"]["bias"]),
                "update_ratio/default": size([updates["a"]["kernel"], updates["b"]])
                / size([p["a"]["kernel"], p["b"]]),
                "clipped": clipped / measured,
            }
            assert row.keys() == expected.keys()
            for key, value in expected.items():
                assert float(row[key]) == pytest.approx(float(value), rel=2e-5), key
        else:
            assert row == old
        old = row
        p = result if whole else gc.apply_updates(p, updates)
    assert 0 < clipped < measured


@pytest.mark.parametrize(
    "inner", [gc.adamw(0.1), gc.muon(0.1), gc.apply_if_finite(gc.sgd(0.1, 0.9), 2)], ids=str
)
def test_the_steps_are_those_without_a_log(inner: Any) -> None:
    tx = gc.logged(inner, every=3)
    p, q = params(), params()
    state, plain = tx.init(p), inner.init(q)
    take, step = jax.jit(tx.step), jax.jit(inner.step)
    for i in range(4):
        g = gradients(params(), i)
        if i == 2:
            g["a"]["bias"] = g["a"]["bias"].at[0].set(jnp.nan)
        p, state = take(g, state, p)
        q, plain = step(g, plain, q)
        check_close(p, q, 1e-6)
        check_close(state.inner_state, plain, 1e-6)


def test_a_gradient_that_is_not_finite_is_seen() -> None:
    """A measured norm that is NaN or infinite must not hide it from the step."""
    tx = gc.logged(gc.sgd(0.1), every=1)
    p = {"w": jnp.ones(2)}
    for bad in (jnp.nan, jnp.inf):
        new, state = tx.step({"w": jnp.array([1.0, bad])}, tx.init(p), p)
        assert float(new["w"][0]) == pytest.approx(0.9)
        assert not np.isfinite(new["w"][1])
        assert not np.isfinite(state.log["grad_norm"])


def test_shares_of_skipped_and_clipped_steps() -> None:
    tx = gc.logged(gc.apply_if_finite(gc.chain(gc.clip_by_global_norm(1.0), gc.sgd(0.1)), 9), every=1)
    p = {"w": jnp.ones(2)}
    state, step = tx.init(p), jax.jit(tx.step)
    for i, g in enumerate([0.1, jnp.nan, 5.0, jnp.nan, 0.1]):
        p, state = step({"w": jnp.full(2, g)}, state, p)
        row = gc.measurements(state)
        assert float(row["skipped"]) == pytest.approx([0, 1, 1, 2, 2][i] / (i + 1))
        assert float(row["clipped"]) == pytest.approx([0, 0, 1, 1, 1][i] / (i + 1))
    assert float(row["learning_rate"]) == pytest.approx(0.1)
    later = gc.logged(gc.chain(gc.scale(2.0), gc.clip_by_global_norm(1.0), gc.sgd(0.1)))
    assert "clipped" not in later.init(p).log  # what it clips is not the gradient


def test_groups_of_the_log() -> None:
    p = params()
    tx = gc.logged(gc.adam(0.1), every=1, groups=[r"a/.*", r".*bias"])
    _, state = tx.step(p, tx.init(p), p)
    assert float(state.log["grad_norm/a"]) == pytest.approx(size(p["a"]), rel=1e-6)
    assert float(state.log["grad_norm/bias"]) == 0  # the first match wins
    assert float(state.log["grad_norm/default"]) == pytest.approx(size(p["b"]), rel=1e-6)
    foreign = gc.logged(optax.sgd(0.5), every=1)
    updates, state = foreign.update(p, foreign.init(p), p)
    assert float(state.log["update_norm"]) == pytest.approx(size(updates), rel=1e-6)
    assert "learning_rate" not in state.log  # Optax's do not remember theirs


def test_states_of_flax_have_their_log() -> None:
    from flax import nnx
    from flax.training.train_state import TrainState

    tx = gc.logged(gc.adam(0.1), every=1)
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
    state = TrainState.create(apply_fn=None, params=params(), tx=tx).apply_gradients(grads=params())
    assert float(gc.measurements(optimizer)["grad_norm"]) == pytest.approx(3.0)
    assert float(gc.measurements(state)["grad_norm"]) == pytest.approx(size(params()), rel=1e-6)


def test_nothing_is_copied_for_the_log() -> None:
    """Between measurements a step is as it was: parameters and moments are overwritten in place."""
    p = {f"w{i}": jax.ShapeDtypeStruct((128, 128), jnp.float32) for i in range(4)}
    tx = gc.logged(gc.adamw(0.1), every=10)
    state = jax.eval_shape(tx.init, p)

    def step(params: Any, state: Any, grads: Any) -> Any:
        return tx.step(grads, state, params)

    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(p, state, p).compile()
    entry = compiled.as_text().partition("ENTRY")[2]
    assert entry.count(" fusion(") + entry.count(" call(") >= 3 * len(p)
    assert not re.findall(r"= f32\[128,128\]\S* copy", entry)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"every": 0}, "every must be an integer of at least 1, received 0"),
        ({"every": 2.5}, "every must be an integer of at least 1, received 2.5"),
        ({"groups": ["(a"]}, r"logged: the pattern '\(a' is no regular expression"),
    ],
)
def test_mistakes_are_told_at_the_call(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        gc.logged(gc.adam(0.1), **call)


def test_the_page_on_logging_runs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "logging.md").read_text(), re.S)
    space: dict[str, Any] = {}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for block in blocks:
            exec(block, space)
    rows, figure = space["rows"], space["figure"]
    assert [int(row["step"]) for row in rows] == list(range(1, 301, 10))
    assert float(rows[-1]["loss"]) < 0.1 * float(rows[0]["loss"])
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["loss", "learning rate", "norms", "|update| / |parameters|", "clipped"]
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[2].lines}
    np.testing.assert_allclose(drawn["grad_norm"], [row["grad_norm"] for row in rows], rtol=1e-6)
    figure.savefig(tmp_path / "log.png")
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "log.csv", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader(), table.writerows(rows)
    with open(tmp_path / "log.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert float(read[-1]["grad_norm"]) == pytest.approx(float(rows[-1]["grad_norm"]), rel=1e-6)


def test_a_picture_of_nothing_is_an_error() -> None:
    pytest.importorskip("matplotlib")
    for rows in ([], [{"loss": 1.0}]):
        with pytest.raises(ValueError, match="plot_log: every row must have the key 'step'"):
            gc.plot_log(rows)
