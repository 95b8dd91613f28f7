"""Where a run is in its data: what is saved, so that it goes on with the next batch."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import jax

from ..core.types import PyTree


class Source(Protocol):
    """Batches, from any position."""

    def batch(self, step: int) -> PyTree:
        """The batch after `step` steps. Raises: StopIteration at the end of the data."""
        ...

    def position(self) -> Any:
        """Where the next batch is, as JSON."""
        ...

    def go_to(self, position: Any) -> None:
        """Goes to a position that was saved."""
        ...


class ByStep:
    """Batches by a function of the step, which needs no other position."""

    def __init__(self, data: Any):
        self.data = data

    def batch(self, step: int) -> PyTree:
        return self.data(step)

    def position(self) -> Any:
        return None

    def go_to(self, position: Any) -> None:
        if position is not None:
            raise ValueError(
                "fit: these checkpoints were saved with an iterator as data, whose position they hold: "
                "give such an iterator, not a function."
            )


class ByIterator:
    """Batches from an iterator that can say where it is, and go there."""

    def __init__(self, data: Iterator[Any]):
        self.data: Any = data

    def batch(self, step: int) -> PyTree:
        return next(self.data)

    def position(self) -> Any:
        return _as_json(self.data.get_state())

    def go_to(self, position: Any) -> None:
        if position is None:
            raise ValueError(
                "fit: these checkpoints were saved with a function as data and hold no position for this "
                "iterator: give data(step)."
            )
        self.data.set_state(_from_json(position))


class Once:
    """Batches of any iterable, for a run that is not saved."""

    def __init__(self, data: Iterable[Any]):
        self.data = iter(data)

    def batch(self, step: int) -> PyTree:
        return next(self.data)

    def position(self) -> Any:
        return None

    def go_to(self, position: Any) -> None:
        raise NotImplementedError("such data has no position")


def source_of(data: Any, *, saved: bool) -> Source:
    """The batches of what the user gave as data.

    Args: saved, whether the run is saved, and its data must tell their position.
    Raises: TypeError for data of another kind, or data that cannot be resumed.
    """
    if callable(data) and not hasattr(data, "__next__"):
        return ByStep(data)
    if not isinstance(data, Iterable):
        raise TypeError(
            f"fit: data must be a function data(step) -> batch or an iterator of batches, received "
            f"{type(data).__name__}."
        )
    found = data if hasattr(data, "__next__") else iter(data)
    if hasattr(found, "get_state") and hasattr(found, "set_state"):
        return ByIterator(found)  # pyright: ignore[reportArgumentType]
    if saved:
        raise TypeError(
            f"fit: data is a {type(data).__name__}, which cannot tell its position, so that a run could "
            "not be resumed. Give a function data(step) -> batch, or an iterator with get_state() and "
            "set_state(), as Grain's; or leave out directory."
        )
    return Once(data)


def _as_json(state: Any) -> Any:
    """The state of an iterator as JSON: bytes and text, or what JSON holds already."""
    if isinstance(state, bytes):
        return {"bytes": base64.b64encode(state).decode()}
    try:
        if json.loads(json.dumps(state)) == state:
            return {"json": state}
    except (TypeError, ValueError):
        pass
    raise TypeError(
        f"fit: data.get_state() gave {state!r}, which JSON does not hold as it is: give bytes, or numbers, "
        "texts, lists and dicts with texts as keys."
    )


def _from_json(position: Mapping[str, Any]) -> Any:
    return base64.b64decode(position["bytes"]) if "bytes" in position else position["json"]


def of_this_process(positions: list[Any]) -> Any:
    """The position to go on from.

    Raises: ValueError if there are others than one for each process, and they differ.
    """
    if len(positions) == jax.process_count():
        return positions[jax.process_index()]
    if all(position == positions[0] for position in positions):
        return positions[0]
    raise ValueError(
        f"fit: the data of {len(positions)} processes had positions of their own, and there are "
        f"{jax.process_count()} now: start as many, or give data(step), which needs no position."
    )
