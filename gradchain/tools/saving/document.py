"""What a saved state says about itself."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from .entries import Entry

METADATA = "__gradchain__"
"""The entry that describes the others."""
SCHEMA = 1
"""The version of the description. It rises when older versions could not read a file any more."""


class CheckpointError(ValueError):
    """A saved state that cannot be read, or does not fit: its message says which entries, and why."""


class Spec(NamedTuple):
    """What an entry is."""

    dtype: str  # "float32"; of a random key "key<threefry2x32>"
    shape: tuple[int, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to be stored."""
        return 0 in self.shape or self.dtype == "float0"

    @property
    def key(self) -> str | None:
        """The implementation of a random key; None for other arrays."""
        return self.dtype.removeprefix("key<").removesuffix(">") if self.dtype.startswith("key<") else None


class Document(NamedTuple):
    """The description of a dict of arrays."""

    transformation: dict[str, Any] | None  # what `to_config` gives; None if the chain cannot be told so
    text: str  # its repr
    entries: dict[str, Spec]  # of the state, by name
    params: dict[str, Spec] | None = None  # of the parameters, if they are there
    crc32: int | None = None  # of all arrays in the order of their names, if they are in one file

    def as_array(self) -> np.ndarray:
        """The description as JSON in bytes, which every format takes."""
        from ... import __version__

        text = json.dumps({"schema": SCHEMA, "gradchain": __version__, **self._asdict()}, allow_nan=False)
        return np.frombuffer(text.encode(), np.uint8).copy()


def document_of(who: str, d: Mapping[str, Any]) -> Document:
    """The description in a dict of arrays.

    Raises: CheckpointError if there is none, if it is of a newer schema, or damaged.
    """
    if METADATA not in d:
        names = ", ".join(list(map(str, d))[:3]) or "nothing"
        raise CheckpointError(
            f"{who}: there is no entry {METADATA!r}, only {names}: this was not made by gradchain's save "
            "or state_to_dict. States of other libraries are restored by those libraries; see "
            "docs/saving.md."
        )
    try:
        content = json.loads(np.asarray(d[METADATA]).astype(np.uint8).tobytes())
        schema = int(content["schema"])
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(who, error) from None
    if schema > SCHEMA:
        raise CheckpointError(
            f"{who}: this was saved by gradchain {content.get('gradchain')} in schema {schema}; this "
            f"version reads schemas up to {SCHEMA}. Install a newer gradchain."
        )
    try:
        return Document(
            content["transformation"],
            content["text"],
            _specs(content["entries"]),
            None if content["params"] is None else _specs(content["params"]),
            content["crc32"],
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(who, error) from None


def spec_of(who: str, entry: Entry, only_shape: bool = False) -> Spec:
    """What an entry is.

    Raises: ValueError for what is no array, or, unless `only_shape`, has no numbers that can be saved.
    """
    leaf = entry.leaf
    dtype = getattr(leaf, "dtype", None)
    if isinstance(leaf, Tracer) and not only_shape:
        raise ValueError(f"{who}: {entry.name} is traced: save outside of jit.")
    if isinstance(leaf, jax.ShapeDtypeStruct) and not only_shape:
        raise ValueError(f"{who}: {entry.name} is only a shape: give a state of arrays.")
    if dtype is None:
        dtype = np.asarray(leaf).dtype
    if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        return Spec(f"key<{_implementation(leaf)}>", tuple(leaf.shape))
    if dtype == jax.dtypes.float0:
        return Spec("float0", tuple(leaf.shape))
    if dtype.hasobject or dtype.kind in "USMm":
        raise ValueError(f"{who}: {entry.name} is {leaf!r}: only arrays and numbers can be saved.")
    return Spec(dtype.name, tuple(np.shape(leaf)))


def stored(leaf: Any) -> Any:
    """A leaf as an array that every format takes."""
    if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    if isinstance(leaf, jax.Array):
        return leaf
    array = np.asarray(leaf)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _implementation(key: Any) -> str:
    """The name of the implementation of a typed key, which may be only a shape."""
    found: list[Any] = []
    jax.eval_shape(lambda k: found.append(jax.random.key_impl(k)), key)
    return found[0] if isinstance(found[0], str) else repr(found[0]).split("'")[1]  # before JAX 0.5: a spec


def _specs(content: Mapping[str, Any]) -> dict[str, Spec]:
    return {
        name: Spec(str(dtype), tuple(int(n) for n in shape)) for name, (dtype, shape) in content.items()
    }


def _damaged(who: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{who}: the description in {METADATA!r} is damaged ({error}). Restore an older one."
    )
