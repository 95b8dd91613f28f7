"""Laws: a state goes into a flat dict of named arrays and comes back as it was."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, Case, ids
from trees import check_close, params, signature_of

import gradchain as gc
from gradchain.core import parts
from gradchain.tools.saving.entries import entries


def filled(shapes: Any) -> Any:
    """A state of these shapes, in which no two arrays are alike."""
    leaves, treedef = jax.tree.flatten(shapes)

    def fill(i: int, like: jax.ShapeDtypeStruct) -> jax.Array:
        if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
            return jax.random.key(i)
        return jnp.asarray(np.random.default_rng(i).uniform(0, 100, like.shape), like.dtype)

    return treedef.unflatten([fill(i, leaf) for i, leaf in enumerate(leaves)])


@pytest.mark.parametrize("case", **ids(CASES))
def test_a_state_comes_back_from_its_dict(case: Case) -> None:
    tx = case.make()
    shapes = jax.eval_shape(tx.init, params())
    state = filled(shapes)
    d = gc.state_to_dict(tx, state)
    assert all(isinstance(x, (jax.Array, np.ndarray)) for x in d.values())
    shuffled = {name: np.asarray(d[name]) for name in sorted(d, reverse=True)}
    for like in (shapes, jax.tree.map(jnp.zeros_like, state)):
        again = gc.state_from_dict(tx, like, shuffled)
        assert signature_of(again) == signature_of(state)
        check_close(again, state, 0)


@pytest.mark.parametrize("case", **ids(CASES))
def test_names_are_of_parts_and_do_not_depend_on_the_place(case: Case) -> None:
    tx = case.make()
    found = entries("test", tx, jax.eval_shape(tx.init, params()))
    names = [entry.name for entry in found]
    assert len(set(names)) == len(names)
    called = {part.name for part in parts(tx)}
    for entry in found:
        assert entry.name.partition("/")[0] in called, entry.name
        assert entry.name.endswith("/" + "/".join(entry.field))
    longer = gc.chain(gc.zero_nans(), gc.apply_if_finite(gc.chain(gc.identity(), tx), 2))
    others = [e.name for e in entries("test", longer, jax.eval_shape(longer.init, params()))]
    assert set(map(uncounted, names)) <= set(map(uncounted, others))


def uncounted(name: str) -> str:
    """A name without the numbers that equal names get."""
    return re.sub(r"\[\d+\]", "", name)
