"""Law: the numbers, and the fields of the state, are Optax's."""

import pytest
from cases import TWINS, Case, ids
from parity import error_to_optax


@pytest.mark.parametrize("case", **ids(TWINS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twenty_steps_equal_optax(case: Case, dtype: str) -> None:
    limit = case.rtol if dtype == "float32" else 1e-6
    error = error_to_optax(case, dtype)
    assert error <= limit, f"relative difference {error:.2e} > {limit:.0e}"
