"""Every argument is exercised away from its default."""

import inspect
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from cases import CASES, VARIANTS, Case, find, ids
from parity import error_to_optax
from trees import gradients, params


@pytest.mark.filterwarnings('ignore:.*seed"? is deprecated')
@pytest.mark.parametrize("case", **ids([case for case in VARIANTS if case.has_twin]))
def test_variants_equal_optax(case: Case) -> None:
    assert error_to_optax(case, "float64") <= case.exact
    assert error_to_optax(case, "float32") <= case.rtol


SPLIT = "test_transforms.py::TestGroups::test_extra_arguments_like_the_parameters_are_split"
ELSEWHERE = {
    ("masked", "mask_compatible_extra_args"): SPLIT,
    (
        "muon",
        "muon_weight_dimension_numbers",
    ): "test_contrib.py::test_muon_with_dimension_numbers_equals_optax",
    ("partition", "mask_compatible_extra_args"): SPLIT,
    ("sam", "batch_axis_name"): "test_contrib.py::test_sam_in_opaque_mode_averages_over_a_mapped_axis",
    ("sam", "opaque_mode"): "test_contrib.py::test_sam_in_opaque_mode_asks_for_gradients_uphill",
    ("scale_by_backtracking_linesearch", "verbose"): "test_linesearch.py::test_verbose_tells_why_it_failed",
    ("scale_by_distance_over_gradients", "param_dtype"): "test_flat_optimizers.py::"
    "test_distance_over_gradients_equals_optax_where_optax_runs",
    ("scale_by_zoom_linesearch", "verbose"): "test_linesearch.py::test_verbose_tells_why_it_failed",
    ("schedule_free_sgd", "warmup_steps"): "test_contrib.py::"
    "test_schedule_free_weighs_a_step_by_its_own_learning_rate",
    ("sophia", "print_win_rate_every_n_steps"): "test_contrib.py::test_sophia_prints_its_unclipped_share",
    ("sophia", "verbose"): "test_contrib.py::test_sophia_prints_its_unclipped_share",
}
"""Arguments that a test of their own sets."""


def differs(value: Any, default: Any) -> bool:
    """Whether an argument is not its default."""
    return value is not default and not (type(value) is type(default) and value == default)


def unexercised() -> list[tuple[str, str]]:
    """Optax's arguments that no row sets to anything but their default."""
    seen: dict[str, set[str]] = {}
    for case in [*CASES, *VARIANTS]:
        defaults = inspect.signature(case.factory).parameters
        arguments = {k for k, v in case.call.items() if differs(v, defaults[k].default)}
        seen.setdefault(case.name, set()).update(arguments)
    missing = []
    for name, names in seen.items():
        if hasattr(optax, name) or hasattr(optax.contrib, name):
            theirs = inspect.signature(find(optax, name)).parameters
            missing += [(name, p) for p in theirs if p not in names]
    return missing


def test_every_argument_of_optax_is_set_in_some_row() -> None:
    left = set(unexercised())
    assert left - set(ELSEWHERE) == set()
    assert set(ELSEWHERE) <= left, "a row sets it now"
    for test in ELSEWHERE.values():
        file, name = test.split("::")[0], test.split("::")[-1]
        assert f"def {name}(" in (Path(__file__).parent / file).read_text()


MOMENTS = [
    (case, argument)
    for case in {case.name: case for case in CASES if not case.wraps}.values()
    for argument in ("mu_dtype", "nu_dtype")
    if argument in inspect.signature(case.factory).parameters
]


@pytest.mark.parametrize(("case", "argument"), MOMENTS, ids=[f"{c.name}-{a}" for c, a in MOMENTS])
def test_moments_are_kept_in_the_dtype_asked_for(case: Case, argument: str) -> None:
    """float16 is nobody's choice: with float32 parameters it is found only where it is asked for."""
    changes = {"centered": True} if case.name == "rmsprop" else {}
    tx, p = case.make(**changes, **{argument: "float16"}), params()
    before = [x.dtype for x in jax.tree.leaves(jax.eval_shape(tx.init, p))]
    step = jax.jit(lambda g, p: tx.update(g, tx.init(p), p, **case.more(p, 0)))
    updates, state = step(gradients(p, 0), p)
    assert before.count(np.float16) > 0
    assert [x.dtype for x in jax.tree.leaves(state)] == before
    assert all(u.dtype == np.float32 and np.all(np.isfinite(u)) for u in jax.tree.leaves(updates))


def test_moments_that_have_a_field_have_their_argument() -> None:
    """But for SM3, whose mu and nu are not moments in this sense."""
    for case in CASES:
        if case.name.startswith("scale_by_") and case.name != "scale_by_sm3" and not case.wraps:
            fields = getattr(jax.eval_shape(case.make().init, params()), "_fields", ())
            for field in {"mu", "nu"} & set(fields):
                assert f"{field}_dtype" in inspect.signature(case.factory).parameters, case.name
