"""Every test runs as strictly as JAX can be set: what passes here passes anywhere."""

import itertools
import os
from collections.abc import Iterator

import pytest

os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",  # programs run for microseconds: compile them fast
    ]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import jax  # reads the environment

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All laws of a row in succession: they share its compiled programs."""
    places: dict[str, int] = {}

    def place(item: pytest.Item) -> int:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        return places.setdefault(case.id, len(places)) if hasattr(case, "id") else -1

    items.sort(key=place)


_tests_run = itertools.count(1)


@pytest.fixture(autouse=True)
def _forget_compiled_programs() -> Iterator[None]:
    """Thousands of compiled programs would fill the memory."""
    yield
    if next(_tests_run) % 100 == 0:
        jax.clear_caches()
