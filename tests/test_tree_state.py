"""Reading and writing states by name, as Optax does, with errors that help."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

import gradchain as gc
from gradchain import tree as gt

PARAMS = {"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}
ADAM = gc.chain(gc.clip_by_global_norm(1.0), gc.adam(gc.schedules.linear_schedule(1e-3, 0.0, 10)))
STATE = ADAM.init(PARAMS)
THEIRS = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.linear_schedule(1e-3, 0.0, 10))).init(
    PARAMS
)


class Box(NamedTuple):
    dog: int
    box: object


NESTED = {"dog": 1, "cat": [Box(2, {"dog": 3}), (4, {5: Box(6, None)})]}


def as_texts(found):
    return sorted((tuple(map(str, path)), str(value)) for path, value in found)


@pytest.mark.parametrize("key", ["dog", "box", "Box", "cat", 5, "none"])
def test_all_are_found_with_the_paths_of_optax(key):
    ours, theirs = gt.get_all_with_path(NESTED, key), optax.tree.get_all_with_path(NESTED, key)
    assert as_texts(ours) == as_texts(theirs)


@pytest.mark.parametrize("key", ["mu", "nu", "count", "ScaleByAdamState", "w"])
@pytest.mark.parametrize("state", [STATE, THEIRS], ids=["ours", "theirs"])
def test_states_of_either_library_are_searched_alike(state, key):
    ours, theirs = gt.get_all_with_path(state, key), optax.tree.get_all_with_path(state, key)
    assert as_texts(ours) == as_texts(theirs)


def test_get_finds_the_one():
    assert gt.get(STATE, "mu") is STATE[1][0].mu
    assert gt.get(STATE, "ScaleByAdamState") is STATE[1][0]
    assert gt.get(STATE, "learning_rate") is None
    assert gt.get(STATE, "learning_rate", 0.5) == 0.5
    found = gt.get(STATE, "count", filtering=lambda path, _: path[-1].tuple_name[:8] == "ScaleByA")
    assert found is STATE[1][0].count


def test_an_ambiguous_name_tells_the_places():
    with pytest.raises(KeyError, match=r"'count' is in the tree 2 times, at \[1\]\[0\]\.count, "):
        gt.get(STATE, "count")


def test_set_replaces_everything_of_the_name():
    new = gt.set(STATE, count=jnp.int32(7))
    assert [int(c) for _, c in gt.get_all_with_path(new, "count")] == [7, 7]
    assert jax.tree.structure(new) == jax.tree.structure(STATE)
    same = jax.tree.map(lambda x, y: x is y, gt.get(new, "mu"), gt.get(STATE, "mu"))
    assert all(jax.tree.leaves(same))
    one = gt.set(STATE, lambda path, _: path[-1].tuple_name == "ScaleByAdamState", count=9)
    assert [int(c) for _, c in gt.get_all_with_path(one, "count")] == [9, 0]


@pytest.mark.parametrize("kwargs", [{"Box": 9}, {"box": 9}, {"cat": 9}])
def test_set_gives_what_optax_gives(kwargs):
    assert gt.set(NESTED, **kwargs) == optax.tree.set(NESTED, **kwargs)


def test_set_reaches_what_lies_below_a_list():
    new = gt.set(NESTED, dog=9)  # Optax replaces the first of the four
    assert [value for _, value in gt.get_all_with_path(new, "dog")] == [9, 9, 9, 9]
    assert new["cat"][1][0] == 4


def test_set_of_an_absent_name_tells_what_there_is():
    with pytest.raises(KeyError, match=r"no 'nuu' in the tree; it has .*mu, .* 'nu'\?"):
        gt.set(STATE, nuu=1)
    with pytest.raises(KeyError, match="the filter rejects every 'mu', at "):
        gt.set(STATE, lambda *_: False, mu=1)


def test_a_key_reads_as_the_field_of_its_class():
    path, _ = gt.get_all_with_path(STATE, "mu")[0]
    assert path[-1] == gt.NamedTupleKey("ScaleByAdamState", "mu")
    assert str(path[-1]) == "ScaleByAdamState.mu"
