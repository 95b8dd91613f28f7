"""States of chains that have changed since: what has the same name is kept, and a report says the rest."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings, strategies as st
from trees import check_close, params

import gradchain as gc
from gradchain.tools import CheckpointError
from gradchain.tools.saving.entries import entries, parameter_entries


def saved(tx: Any, p: Any = None) -> tuple[Any, dict[str, Any]]:
    """A state after two steps, and its dict."""
    p = params() if p is None else p
    state = tx.init(p)
    for _ in range(2):
        _, state = tx.update(p, state, p)
    return state, gc.state_to_dict(tx, state)


def migrated(tx: Any, d: Any, renamed: Any = None, p: Any = None) -> tuple[Any, Any]:
    return gc.migrate_state(tx, tx.init(params() if p is None else p), d, renamed)


def test_an_equal_chain_keeps_everything() -> None:
    tx = gc.chain(gc.clip(1.0), gc.adamw(0.1))
    state, d = saved(tx)
    again, report = migrated(tx, d)
    check_close(again, state, 0)
    assert jax.tree.structure(again) == jax.tree.structure(state)
    assert len(report.kept) == 7
    assert (report.renamed, report.cast, report.anew, report.dropped) == ({}, {}, {}, ())
    assert str(report) == "7 entries kept, 0 begin anew, 0 dropped"


def test_a_link_more_and_a_link_less() -> None:
    state, d = saved(gc.chain(gc.trace(0.9), gc.scale_by_adam(), gc.scale(0.1)))
    tx = gc.chain(gc.zero_nans(), gc.apply_if_finite(gc.chain(gc.clip(1.0), gc.scale_by_adam()), 2))
    new, report = migrated(tx, d)
    check_close(new[1].inner_state[1], state[1], 0)
    assert int(new[1].total_notfinite) == 0
    assert set(report.kept) == {entry.name for entry in entries("", gc.scale_by_adam(), state[1])}
    assert report.dropped == ("trace/trace/deep/0/b", "trace/trace/deep/1/0", "trace/trace/w")
    assert set(report.anew.values()) == {"not in the saved state"}
    assert {name.partition("/")[0] for name in report.anew} == {"zero_nans", "apply_if_finite"}
    assert str(report).splitlines()[0] == "7 entries kept, 6 begin anew, 3 dropped"
    assert "anew     apply_if_finite/last_finite: not in the saved state" in str(report).splitlines()
    assert "dropped  trace/trace/w" in str(report).splitlines()


def test_a_renamed_link_and_a_renamed_parameter() -> None:
    state, d = saved(gc.adam(0.1), {"old": jnp.ones(2), "b": jnp.ones(3)})
    p = {"new": jnp.ones(2), "b": jnp.ones(3)}
    tx = gc.named_chain(("main", gc.adamw(0.1)))
    names = {"adam": "main.adamw", "adam/mu/old": "main.adamw/mu/new", "adam/nu/old": "main.adamw/nu/new"}
    expected = None
    for renamed in (names, lambda n: n.replace("adam/", "main.adamw/").replace("old", "new")):
        new, report = migrated(tx, d, renamed, p)
        check_close(new["main"][0].mu, {"new": state[0].mu["old"], "b": state[0].mu["b"]}, 0)
        check_close(new["main"][0].nu, {"new": state[0].nu["old"], "b": state[0].nu["b"]}, 0)
        assert int(new["main"][0].count) == 2
        assert report.renamed["main.adamw/mu/new"] == "adam/mu/old"
        assert len(report.kept) == len(report.renamed) == 5
        assert (report.anew, report.dropped) == ({}, ())
        assert "renamed  adam/mu/old is now main.adamw/mu/new" in str(report)
        assert expected in (None, report)
        expected = report


def test_a_schedule_and_injected_numbers_come_to_a_trained_optimizer() -> None:
    state, d = saved(gc.adam(0.1))
    tx = gc.inject_hyperparams(gc.adam)(gc.linear_schedule(0.2, 0.0, 10))
    new, report = migrated(tx, d)
    check_close(new.inner_state[0], state[0], 0)
    assert all(name.startswith("adam/injected/") for name in report.anew)
    assert len(report.kept) == 7
    back, report = migrated(gc.adam(0.1), gc.state_to_dict(tx, new))
    check_close(back[0], state[0], 0)
    assert (len(report.kept), report.anew) == (7, {})


def test_other_shapes_begin_anew_and_other_floats_are_cast() -> None:
    state, d = saved(gc.adam(0.1), {"w": jnp.ones((2, 3)), "b": jnp.ones(3)})
    tx = gc.adam(0.1, mu_dtype="bfloat16")
    new, report = migrated(tx, d, None, {"w": jnp.ones((2, 4)), "b": jnp.ones(3)})
    assert report.anew == {f"adam/{m}/w": "has shape (2, 4), saved was (2, 3)" for m in ("mu", "nu")}
    assert report.cast == {"adam/mu/b": "float32 to bfloat16"}
    assert new[0].mu["b"].dtype == jnp.bfloat16
    check_close(new[0].mu["b"], state[0].mu["b"], 4e-3)
    check_close(new[0].nu["b"], state[0].nu["b"], 0)
    check_close(new[0].nu["w"], jnp.zeros((2, 4)), 0)
    assert set(report.dropped) == {"adam/mu/w", "adam/nu/w"}


def test_parameters_that_were_saved_too_are_left_alone(tmp_path: Any) -> None:
    tx, p = gc.adam(0.1), params()
    state, _ = saved(tx)
    gc.save(tmp_path / "state.npz", tx, state, p)
    new, report = migrated(gc.adamw(0.1), gc.load_dict(tmp_path / "state.npz"), {"adam": "adamw"})
    check_close(new[0], state[0], 0)
    assert report.dropped == ()


def test_what_begins_anew_needs_a_state_of_arrays() -> None:
    _, d = saved(gc.adam(0.1))
    tx = gc.chain(gc.zero_nans(), gc.adam(0.1))
    with pytest.raises(
        CheckpointError, match=r"zero_nans/found_nan/.* begins anew .* Give tx.init\(params\)"
    ):
        gc.migrate_state(tx, jax.eval_shape(tx.init, params()), d)


@pytest.mark.parametrize(
    ("renamed", "text"),
    [
        ({"adm": "adamw"}, "nothing is called 'adm' in the saved state, which has adam/count.*'adam'"),
        ({"adam": "adamv"}, "nothing is called 'adamv' now; there are adamw/count.*Did you mean 'adamw'"),
        ({"adam": "adamw", "adam/mu": "adamw/nu"}, "would both be adamw/nu/deep/0/b: rename one of them"),
        (lambda name: "x", "adam/count and adam/mu/deep/0/b would both be x"),
        (None, r"nothing of the saved state fits. It is of adam\(.*\), with adam/count.* has adamw/count"),
    ],
    ids=["unknown", "unknown now", "twice", "function", "nothing"],
)
def test_wrong_renamings_are_told(renamed: Any, text: str) -> None:
    _, d = saved(gc.adam(0.1))
    with pytest.raises(CheckpointError, match=f"migrate_state: .*{text}"):
        migrated(gc.adamw(0.1), d, renamed)


# Names, whatever the parameters are called

WORDS = st.one_of(
    st.text(max_size=6), st.sampled_from(["a", "b", "a/b", "/", "", "a[0]", "b[1]", "\x00", "é"])
)
TREES = st.recursive(
    st.just(None),
    lambda inner: (
        st.dictionaries(WORDS, inner, min_size=1, max_size=4) | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=150)
@given(TREES)
def test_no_two_entries_have_one_name(tree: Any) -> None:
    p = jax.tree.map(lambda _: jax.ShapeDtypeStruct((2,), "float32"), tree, is_leaf=lambda x: x is None)
    tx = gc.chain(gc.adam(0.1), gc.partition({"a/mu": gc.trace(0.9), "x": gc.ema(0.9)}, lambda p: "a/mu"))
    state = jax.eval_shape(gc.chain(*tx.links).init, p)
    names = [entry.name for entry in (*entries("test", tx, state), *parameter_entries(p))]
    assert len(set(names)) == len(names)
    assert all(name.isprintable() for name in names)
    assert len(names) == len(jax.tree.leaves((state, p)))


@settings(deadline=None, max_examples=25)
@given(TREES)
def test_every_tree_comes_back_from_a_file(tmp_path_factory: Any, tree: Any) -> None:
    count = iter(range(1000))
    p = jax.tree.map(lambda _: jnp.float32(next(count)), tree, is_leaf=lambda x: x is None)
    tx = gc.trace(0.9)
    _, state = tx.update(p, tx.init(p), p)
    folder = tmp_path_factory.mktemp("names")
    for name in ("state.npz", "state.msgpack", "state.safetensors"):
        gc.save(folder / name, tx, state, p)
        again, loaded = gc.load(folder / name, tx, tx.init(p), jax.tree.map(jnp.zeros_like, p))
        check_close((again, loaded), (p, state), 0)
