"""What is in a checkpoint: arrays by name, and a description that tells whether they are whole."""

import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import GradientTransformation
from ..core.types import OptState, Params
from ..tools.saving.document import CheckpointError, Spec, spec_of, stored
from ..tools.saving.entries import Entry, entries, parameter_entries
from ..tools.saving.restoring import dtype_of
from ..tools.saving.state_dict import differences
from .checksums import checksums
from .directories import SCHEMA


class Saved(NamedTuple):
    """A run after a number of steps."""

    step: int  # steps taken
    params: Params
    opt_state: OptState
    key: jax.Array  # typed key[]; each step folds its number into it
    positions: list[Any]  # of the data in each process, as JSON


def named(tx: GradientTransformation, params: Params, state: OptState) -> list[Entry]:
    """The arrays of a run, or their shapes, with the names they are saved by."""
    return [*parameter_entries(params), *entries("fit", tx, state)]


def arrays_of(found: list[Entry]) -> dict[str, Any]:
    """What Orbax saves: keys as integers, and nothing that is empty."""
    return {entry.name: stored(entry.leaf) for entry in found if not spec_of("fit", entry).empty}


def description(tx: GradientTransformation, saved: Saved, found: list[Entry]) -> dict[str, str | int]:
    """What the arrays are, their checksums, and what is no array: a text with a checksum of its own."""
    content = {
        "schema": SCHEMA,
        "step": saved.step,
        "transformation": repr(tx),
        "key": [
            spec_of("fit", Entry("key", ("key",), saved.key)).key,
            np.asarray(jax.random.key_data(saved.key)).tolist(),
        ],
        "positions": saved.positions,
        "entries": {entry.name: spec_of("fit", entry) for entry in found},
        "checksums": checksums(arrays_of(found)),
    }
    text = json.dumps(content)
    return {"crc32": zlib.crc32(text.encode()), "content": text}


def content_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """What `description` wrote.

    Raises: Damaged.
    """
    text = description["content"]
    if zlib.crc32(text.encode()) != description["crc32"]:
        raise Damaged("the checksum of its description differs")
    return json.loads(text)


class Damaged(Exception):
    """What was read is not what was written."""


def check_fits(
    tx: GradientTransformation, found: list[Entry], content: Mapping[str, Any], where: str
) -> None:
    """Compares what is saved with the run that wants to go on.

    Raises: CheckpointError, with the names of entries that differ.
    """
    if content["schema"] > SCHEMA:
        raise CheckpointError(
            f"fit: {where} is of schema {content['schema']}; this version of gradchain reads schemas up to "
            f"{SCHEMA}. Install a newer one."
        )
    specs = {name: Spec(dtype, tuple(shape)) for name, (dtype, shape) in content["entries"].items()}
    wrong = differences("fit", found, specs)
    if wrong:
        raise CheckpointError(
            f"fit: {where} does not fit these parameters and this transformation: {wrong}. It was saved "
            f"with {content['transformation']}, and this is {tx!r}. Go on with what it was saved with, or "
            "give another directory."
        )


def wanted(found: list[Entry]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes, dtypes and shardings of the arrays to be read, from shapes of a run."""

    def read(entry: Entry) -> jax.ShapeDtypeStruct:
        spec, place = spec_of("fit", entry, only_shape=True), entry.leaf.sharding
        if spec.key is None:
            return jax.ShapeDtypeStruct(spec.shape, entry.leaf.dtype, sharding=place)
        data = jax.eval_shape(jax.random.key_data, entry.leaf)
        return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=_of_key_data(place, data.ndim))

    return {e.name: read(e) for e in found if not spec_of("fit", e, only_shape=True).empty}


def _of_key_data(place: Any, ndim: int) -> Any:
    """The sharding of keys' integers, which have one axis more."""
    if not isinstance(place, jax.sharding.NamedSharding):
        return place
    parts = (*place.spec, *(None,) * (ndim - len(place.spec)))
    return jax.sharding.NamedSharding(place.mesh, jax.sharding.PartitionSpec(*parts))


def check_whole(arrays: Mapping[str, jax.Array], content: Mapping[str, Any]) -> None:
    """Compares the checksums of what was read with those of what was saved.

    Raises: Damaged.
    """
    now = checksums(arrays)
    wrong = [name for name, number in content["checksums"].items() if now[name] != number]
    if wrong:
        raise Damaged(f"the checksum of {', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''} differs")


def rebuilt(
    like: tuple[Params, OptState],
    found: list[Entry],
    arrays: Mapping[str, jax.Array],
    content: Mapping[str, Any],
) -> Saved:
    """The run that was saved, in the structure of another one."""

    def leaf(entry: Entry) -> Any:
        spec = spec_of("fit", entry, only_shape=True)
        if spec.empty:
            return jnp.zeros(spec.shape, dtype_of("fit", entry.name, spec))
        array = arrays[entry.name]
        return array if spec.key is None else jax.random.wrap_key_data(array, impl=spec.key)

    params, state = jax.tree.unflatten(jax.tree.structure(like), map(leaf, found))
    implementation, data = content["key"]
    key = jax.random.wrap_key_data(jnp.asarray(data, jnp.uint32), impl=implementation)
    return Saved(content["step"], params, state, key, content["positions"])
