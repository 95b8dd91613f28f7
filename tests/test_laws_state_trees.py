"""Law: checkpoints of Optax fit. Paths, shapes and dtypes of every state are Optax's."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from cases import CASES, Case, find, ids, of_optax
from trees import params

import gradchain as gc

TWINS = [case for case in CASES if case.has_twin and not case.wraps]
NO_NUMBERS = {"key", "seed", "min_dim_size_to_factor", "dtype_momentum"}
"""What Optax injects and we do not: seeds, a size that shapes the state, a dtype taken for a schedule."""
OPTAX_CANNOT = {
    "galore": "its rank becomes an array",
    "scale_by_galore": "its rank becomes an array",
    "scale_by_schedule": "its schedule becomes a number",
    "snapshot": "its measure becomes a number",
}
"""What Optax cannot inject, and why."""
INJECTABLE = [case for case in TWINS if case.name not in OPTAX_CANNOT]


def is_number(case: Case, name: str) -> bool:
    """Whether an argument is a hyperparameter; Optax takes every function for a schedule."""
    given = case.call.get(name, inspect.signature(case.factory).parameters[name].default)
    return name not in NO_NUMBERS and (not callable(given) or name in case.factory.numbers)


def down(count: Any) -> Any:
    """A schedule of the JAX functions that both libraries take."""
    return 0.1 / (1.0 + jnp.asarray(count, jnp.float32))


def leaves(state: Any) -> dict[str, tuple[Any, ...]]:
    """By path: shape and dtype."""
    found = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): (jnp.shape(x), jnp.asarray(x).dtype) for path, x in found}


def both(case: Case, inject: bool, **changes: Any) -> list[dict[str, tuple[Any, ...]]]:
    """The leaves of our state and of Optax's."""
    how = (lambda module, f: module.inject_hyperparams(f)) if inject else (lambda module, f: f)
    call = case.call | changes
    ours = how(gc, case.factory)(**call)
    fixed = [name for name in inspect.signature(case.factory).parameters if not is_number(case, name)]
    with jax.numpy_dtype_promotion("standard"):
        known = inspect.signature(find(optax, case.name)).parameters
        theirs: Any = find(optax, case.name)
        if inject:
            theirs = optax.inject_hyperparams(theirs, static_args=[x for x in fixed if x in known])
        theirs = theirs(**{k: of_optax(v) for k, v in call.items()})
        return [leaves(ours.init(params())), leaves(theirs.init(params()))]


@pytest.mark.parametrize("case", **ids(TWINS))
def test_states_are_optaxs(case: Case) -> None:
    ours, theirs = both(case, inject=False)
    assert ours == theirs


@pytest.mark.parametrize("case", **ids(INJECTABLE))
def test_injected_states_are_optaxs(case: Case) -> None:
    ours, theirs = both(case, inject=True)
    assert ours == theirs


def takes_schedules(case: Case) -> bool:
    """Whether its learning rate may be a schedule."""
    numbers = getattr(case.factory, "numbers", {})
    return "learning_rate" in case.call and numbers["learning_rate"].scheduled


@pytest.mark.parametrize("case", **ids([case for case in INJECTABLE if takes_schedules(case)]))
def test_states_with_a_schedule_are_optaxs(case: Case) -> None:
    for inject in (False, True):
        ours, theirs = both(case, inject, learning_rate=down)
        assert ours == theirs


HALF = {"bfloat16", "float16"}


@pytest.mark.parametrize("case", **ids(TWINS))
def test_half_precision_states_differ_where_second_moments_are_kept(case: Case) -> None:
    p = params("bfloat16")
    ours = leaves(case.make().init(p))
    with jax.numpy_dtype_promotion("standard"):
        theirs = leaves(case.make(optax).init(p))
    assert ours.keys() == theirs.keys()
    for path, (shape, dtype) in ours.items():
        expected_shape, expected = theirs[path]
        assert shape == expected_shape
        assert dtype == expected or (str(expected) in HALF and dtype == jnp.float32), path
