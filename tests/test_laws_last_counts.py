"""Law: counts of steps are held at the largest number, 2^31 - 1; training goes on there."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, Case, ids
from trees import gradients, params

from gradchain.tree.paths import path_name

TOP = 2**31 - 1
IN_A_PERIOD = {"apply_every": "count", "": "steps_since_sync"}
"""Counts that begin anew at the end of each period, by the factory, or of all."""


def counts(case: Case, state: Any) -> dict[str, jax.Array]:
    """The counts of a state that may become large, by path."""
    found = {path_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(state)}
    small = (IN_A_PERIOD[""], IN_A_PERIOD.get(case.name, IN_A_PERIOD[""]))
    large = {name: x for name, x in found.items() if not name.endswith(small)}
    return {name: x for name, x in large.items() if x.dtype == jnp.int32 and x.ndim == 0}


def with_counts(case: Case, state: Any, value: int) -> Any:
    """The state with another number at each of its counts."""
    known = counts(case, state)

    def changed(path: Any, x: Any) -> Any:
        return jnp.asarray(value, x.dtype) if path_name(path) in known else x

    return jax.tree_util.tree_map_with_path(changed, state)


@pytest.mark.parametrize("case", **ids(CASES))
def test_counts_are_held_at_the_largest_number_where_training_goes_on(case: Case) -> None:
    p = params()
    _, state, _ = case.run(p, 2)
    state = with_counts(case, state, TOP - 1)
    for t in range(2):
        updates, state = case.step(gradients(p, t), state, p, **case.more(p, t))
        for name, count in counts(case, state).items():
            assert count >= 0, (name, count)  # held, or begun anew
        assert all(np.all(np.isfinite(u)) for u in jax.tree.leaves(updates))
