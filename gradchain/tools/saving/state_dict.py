"""A state as a flat dict of named arrays, and back."""

from collections.abc import Mapping
from typing import Any

import jax

from ...core import GradientTransformation
from ...core.types import OptState, Params, PyTree
from .config import to_config
from .config_values import ConfigError
from .document import METADATA, CheckpointError, Document, Spec, document_of, spec_of, stored
from .entries import Entry, entries, parameter_entries
from .restoring import restored


def state_to_dict(tx: GradientTransformation, state: OptState) -> dict[str, Any]:
    """The state of a transformation as a flat dict of arrays with names that last.

        state_to_dict(adamw(1e-3), state)
        # {"__gradchain__": ..., "adamw/count": 3, "adamw/mu/encoder/kernel": ..., ...}

    Orbax, Flax's `msgpack`, safetensors and `np.savez` (but for float8_e5m2) take it as it is. The names do
    not depend on positions in chains, see `core.parts`. Typed random keys go as their integers; arrays
    without numbers are only described, for Orbax stores none.

    Args: tx; state, of its `init` or of a step; outside `jit`.
    Returns: the arrays, where they are (nothing is copied), and under "__gradchain__" the description: JSON
        as bytes, with the version of its schema, `to_config(tx)` and each entry's dtype and shape.
    Raises: ValueError if the state does not belong to `tx`, or holds something that is no array.
    """
    return flat("state_to_dict", tx, state)


def state_from_dict(tx: GradientTransformation, like: OptState, d: Mapping[str, Any]) -> OptState:
    """The state that `state_to_dict` wrote, in the structure, dtypes and shardings of another one.

        state = state_from_dict(tx, tx.init(params), d)

    Args:
        tx: the transformation that will use it. Its numbers may be others than those it was saved with.
        like: a state of `tx`, or `jax.eval_shape(tx.init, params)`. It stays as it is.
        d: the dict. Its arrays may be of NumPy or JAX.

    Raises: CheckpointError, which lists every entry that is missing, extra, or of another shape or dtype;
        that the dict is damaged, or of a newer schema. `migrate_state` keeps what fits by name.
    """
    document = document_of("state_from_dict", d)
    return fitted("state_from_dict", tx, like, d, document)


def flat(who: str, tx: GradientTransformation, state: OptState, params: Params = None) -> dict[str, Any]:
    """The dict of a state, and of parameters if there are any."""
    try:
        config: Any = to_config(tx)
    except ConfigError:
        config = None  # the text tells what it was
    found = entries(who, tx, state)
    beside = [] if params is None else parameter_entries(params)
    specs = {entry.name: spec_of(who, entry) for entry in (*found, *beside)}
    if len(specs) < len(found) + len(beside):
        raise ValueError(f"{who}: a transformation is called 'params', as the parameters are: rename it.")
    described = Document(
        transformation=config,
        text=repr(tx),
        entries={entry.name: specs[entry.name] for entry in found},
        params=None if params is None else {entry.name: specs[entry.name] for entry in beside},
    )
    arrays = {entry.name: stored(entry.leaf) for entry in (*found, *beside) if not specs[entry.name].empty}
    return {METADATA: described.as_array(), **arrays}


def fitted(
    who: str, tx: GradientTransformation, like: OptState, d: Mapping[str, Any], document: Document
) -> OptState:
    """The state in a dict that fits `like` in every entry."""
    wanted = entries(who, tx, like)
    wrong = differences(who, wanted, document.entries)
    if wrong:
        raise CheckpointError(
            f"{who}: the saved state is of {document.text} and does not fit {tx!r}: {wrong}. Load it with "
            "the "
            "transformation and parameters that it was saved with, or keep what fits with migrate_state."
        )
    return filled(who, like, wanted, d, document.entries)


def fitted_params(who: str, like: Params, d: Mapping[str, Any], document: Document) -> Params:
    """The parameters in a dict that fit `like` in every entry."""
    if document.params is None:
        raise CheckpointError(f"{who}: no parameters were saved with this state: leave out params.")
    wanted = parameter_entries(like)
    wrong = differences(who, wanted, document.params)
    if wrong:
        raise CheckpointError(f"{who}: the saved parameters do not fit those given: {wrong}.")
    return filled(who, like, wanted, d, document.params)


def differences(who: str, wanted: list[Entry], saved: Mapping[str, Spec]) -> str:
    """What does not fit, in words; nothing if all does."""
    specs = {entry.name: spec_of(who, entry, only_shape=True) for entry in wanted}
    both = [name for name in specs if name in saved]
    clauses = {
        "missing": [name for name in specs if name not in saved],
        "extra": [name for name in saved if name not in specs],
        "of another shape": [
            f"{name} has {saved[name].shape}, expected {specs[name].shape}"
            for name in both
            if saved[name].shape != specs[name].shape
        ],
        "of another dtype": [
            f"{name} is {saved[name].dtype}, expected {specs[name].dtype}"
            for name in both
            if saved[name].shape == specs[name].shape and saved[name].dtype != specs[name].dtype
        ],
    }
    return "; ".join(f"{what}: {listed(names)}" for what, names in clauses.items() if names)


def listed(names: list[str], most: int = 8) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def filled(
    who: str, like: PyTree, wanted: list[Entry], d: Mapping[str, Any], saved: Mapping[str, Spec]
) -> PyTree:
    """A tree like another one, with the saved arrays of these names in its places."""
    leaves = [restored(who, entry.name, entry.leaf, d, saved[entry.name]) for entry in wanted]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
