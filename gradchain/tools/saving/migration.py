"""A saved state in another chain: what has the same name is kept, the rest begins anew."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ...core import GradientTransformation, nearest
from ...core.types import OptState
from .document import CheckpointError, Spec, document_of, spec_of
from .entries import entries
from .restoring import restored
from .state_dict import listed

Renames = Mapping[str, str] | Callable[[str], str]
"""From saved names to those of now: by whole names or their beginnings, or a function of each name."""


class Migration(NamedTuple):
    """What became of a saved state."""

    kept: tuple[str, ...]  # the entries that have their saved values, by the names of now
    renamed: dict[str, str]  # of these, by the name of now: the name they were saved with
    cast: dict[str, str]  # of these, by name: the dtypes, "float32 to bfloat16"
    anew: dict[str, str]  # the entries that begin anew, by name: why
    dropped: tuple[str, ...]  # the saved entries that nothing asks for

    def __str__(self) -> str:
        lines = [f"{len(self.kept)} entries kept, {len(self.anew)} begin anew, {len(self.dropped)} dropped"]
        lines += [f"renamed  {old} is now {new}" for new, old in self.renamed.items()]
        lines += [f"cast     {name}: {how}" for name, how in self.cast.items()]
        lines += [f"anew     {name}: {why}" for name, why in self.anew.items()]
        lines += [f"dropped  {name}" for name in self.dropped]
        return "\n".join(lines)


def migrate_state(
    tx: GradientTransformation, like: OptState, d: Mapping[str, Any], renamed: Renames | None = None
) -> tuple[OptState, Migration]:
    """A saved state for a transformation that is another one by now.

        state, report = migrate_state(tx, tx.init(params), load_dict("state.npz"), {"adam": "adamw"})
        print(report)

    Entries are kept by name. Those that are not in the saved state, or have another shape there, begin
    anew; floats of another dtype are cast. A schedule that is new begins at 0, see the report.

    Args:
        tx: the transformation of now.
        like: its state, of `init`: what begins anew has its values.
        d: of `state_to_dict` or `load_dict`. Parameters in it are not looked at.
        renamed: saved names and those of now. A name may be the whole of an entry's, or the beginning of
            it: `{"adam": "adamw", "adam/mu/old": "adamw/mu/new"}`; the longest one counts. Or a function of
            each saved name to the one of now.

    Returns: the state, and what became of what: `Migration(kept, renamed, cast, anew, dropped)`.
    Raises: CheckpointError for a damaged dict, for names in `renamed` that are not there, for two entries
        that would get one name, and where nothing at all could be kept.
    """
    who = "migrate_state"
    document = document_of(who, d)
    wanted = entries(who, tx, like)
    old = _old_names(who, list(document.entries), renamed, [entry.name for entry in wanted])
    kept, cast, anew, leaves = [], {}, {}, []
    for entry in wanted:
        here = spec_of(who, entry, only_shape=True)
        saved = document.entries.get(old.get(entry.name, ""))
        why = _misfit(here, saved)
        if why:
            if isinstance(entry.leaf, jax.ShapeDtypeStruct):
                raise CheckpointError(
                    f"{who}: {entry.name} begins anew ({why}), but like has only its shape. Give "
                    "tx.init(params)."
                )
            anew[entry.name] = why
            leaves.append(entry.leaf)
            continue
        assert saved is not None
        leaf = restored(who, old[entry.name], _as_saved(entry.leaf, here, saved), d, saved)
        if saved.dtype != here.dtype:
            cast[entry.name] = f"{saved.dtype} to {here.dtype}"
            leaf = restored(who, entry.name, entry.leaf, {entry.name: leaf.astype(here.dtype)}, here)
        kept.append(entry.name)
        leaves.append(leaf)
    if wanted and document.entries and not kept:
        raise CheckpointError(
            f"{who}: nothing of the saved state fits. It is of {document.text}, with "
            f"{listed(list(document.entries))}; {tx!r} has {listed([entry.name for entry in wanted])}. "
            "Say with renamed which is which."
        )
    new_names = {name: old[name] for name in kept if old[name] != name}
    dropped = tuple(name for name in document.entries if name not in {old[new] for new in kept})
    state = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return state, Migration(tuple(kept), new_names, cast, anew, dropped)


def _as_saved(like: Any, here: Spec, saved: Spec) -> Any:
    """What an array is to be like before it is cast."""
    return like if saved.dtype == here.dtype else jax.ShapeDtypeStruct(saved.shape, jnp.float32)


def _misfit(here: Spec, saved: Spec | None) -> str:
    """Why a saved entry cannot be kept; nothing if it can."""
    if saved is None:
        return "not in the saved state"
    if saved.shape != here.shape:
        return f"has shape {here.shape}, saved was {saved.shape}"
    if saved.dtype != here.dtype and not (_is_float(saved) and _is_float(here)):
        return f"is {here.dtype}, saved was {saved.dtype}"
    return ""


def _is_float(spec: Spec) -> bool:
    return spec.key is None and spec.dtype != "float0" and jnp.issubdtype(spec.dtype, jnp.floating)


def _old_names(who: str, saved: list[str], renamed: Renames | None, wanted: list[str]) -> dict[str, str]:
    """The saved name of each name of now."""
    if callable(renamed):
        new_names = {name: str(renamed(name)) for name in saved}
    else:
        new_names = _replaced(who, saved, renamed or {}, wanted)
    old: dict[str, str] = {}
    for name, new in new_names.items():
        if new in old:
            raise CheckpointError(
                f"{who}: {old[new]} and {name} would both be {new}: rename one of them otherwise."
            )
        old[new] = name
    return old


def _replaced(who: str, saved: list[str], renamed: Mapping[str, str], wanted: list[str]) -> dict[str, str]:
    """The name of now of each saved name."""
    used = set()
    new_names = {}
    for name in saved:
        fitting = [old for old in renamed if name == old or name.startswith(f"{old}/")]
        longest = max(fitting, key=len, default=None)
        new_names[name] = name if longest is None else renamed[longest] + name[len(longest) :]
        used |= {longest}
    for old, new in renamed.items():
        if old not in used:
            raise CheckpointError(
                f"{who}: nothing is called {old!r} in the saved state, which has {listed(saved)}."
                + nearest(old, [*saved, *(name.partition("/")[0] for name in saved)])
            )
        if not any(name == new or name.startswith(f"{new}/") for name in wanted):
            raise CheckpointError(
                f"{who}: nothing is called {new!r} now; there are {listed(wanted)}."
                + nearest(new, [*wanted, *(name.partition("/")[0] for name in wanted)])
            )
    return new_names
