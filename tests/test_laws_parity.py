"""Law: the numbers, and the fields of the state, are Optax's."""

import pytest
from cases import OPTIMIZERS, TWINS, Case, ids
from parity import error_to_optax


@pytest.mark.parametrize("case", **ids(TWINS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twenty_steps_equal_optax(case: Case, dtype: str) -> None:
    limit = case.rtol if dtype == "float32" else case.exact
    error = error_to_optax(case, dtype)
    assert error <= limit, f"relative difference {error:.2e} > {limit:.0e}"


ROSENBROCK = [case for case in OPTIMIZERS if case in TWINS and case.extra is None]


@pytest.mark.parametrize("case", **ids(ROSENBROCK))
def test_twenty_steps_down_rosenbrocks_valley_equal_optax(case: Case) -> None:
    assert error_to_optax(case, "float64", "rosenbrock") <= case.exact
    # In float32 the path amplifies the last digit of each step.
    limit = max(10 * case.rtol, case.exact)
    assert error_to_optax(case, "float32", "rosenbrock") <= limit
