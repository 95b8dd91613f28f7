"""Several processes that do one thing after the other, or answer a question with one voice."""

import json
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


def gathered(value: Any) -> list[Any]:
    """A value of JSON from each process, in order, in every process."""
    if jax.process_count() == 1:
        return [value]
    from jax.experimental import multihost_utils

    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = np.asarray(multihost_utils.process_allgather(np.asarray(len(text)))).reshape(-1)
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(text)] = text
    texts = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(lengths), -1)
    return [json.loads(row[:n].tobytes()) for row, n in zip(texts, lengths, strict=True)]


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
