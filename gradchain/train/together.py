"""Several processes that do one thing after the other, or answer a question with one voice."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def all_agree(answer: bool) -> bool:
    """Whether the answer is yes in every process."""
    if jax.process_count() == 1:
        return answer
    from jax.experimental import multihost_utils

    return bool(np.all(multihost_utils.process_allgather(np.asarray(answer))))


def first_alone(do: Callable[[], Any]) -> None:
    """Does something in process 0 while the others wait; where it fails, it fails in all.

    Raises: what it raised in process 0; RuntimeError in the others.
    """
    error: Exception | None = None
    if jax.process_index() == 0:
        try:
            do()
        except Exception as raised:
            error = raised
    agreed = all_agree(error is None)
    if error is not None:
        raise error
    if not agreed:
        raise RuntimeError("fit: process 0 has failed; its error says why.")
