"""Every test runs as strictly as JAX can be set: what passes here passes anywhere."""

import gc
import os
from typing import Any

import pytest
import xla

os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=8", *xla.fast_compilation()]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_PLATFORMS"] += "" if "cpu" in os.environ["JAX_PLATFORMS"] else ",cpu"  # the host's eight
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads hang where devices decompose at once

import jax  # reads the environment

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
if not os.environ["JAX_PLATFORMS"].startswith("cpu"):
    jax.config.update("jax_default_matmul_precision", "highest")  # accelerators multiply in fewer bits


def row_of(item: pytest.Item) -> str | None:
    """The row of THE TABLE that a test is about."""
    case = getattr(item, "callspec", None) and item.callspec.params.get("case")
    return getattr(case, "id", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All laws of a row in succession: they share its compiled programs."""
    places: dict[str, int] = {}

    def place(item: pytest.Item) -> int:
        row = row_of(item)
        return -1 if row is None else places.setdefault(row, len(places))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


_since: dict[str, Any] = {"tests": 0, "row": None}
TESTS_BETWEEN_CLEARINGS = 1000
"""Fewer, and small programs such as a sum's are compiled again and again; more, and memory fills."""


@pytest.fixture(autouse=True)
def _forget_compiled_programs(request: pytest.FixtureRequest) -> None:
    """Thousands of compiled programs would fill the memory: they go now and then, between two rows."""
    row = row_of(request.node)
    if _since["tests"] >= TESTS_BETWEEN_CLEARINGS and (row is None or row != _since["row"]):
        gc.unfreeze()  # what was frozen since may be garbage by now
        jax.clear_caches()
        pytest_collection_finish()
        _since["tests"] = 0
    _since.update(tests=_since["tests"] + 1, row=row)
