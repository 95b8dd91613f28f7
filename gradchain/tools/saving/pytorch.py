"""States of PyTorch's optimizers, taken over: no torch is needed."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ...core import GradientTransformation, nearest
from ...core.types import OptState, Params
from .document import CheckpointError
from .entries import Entry, entries, joined, parameter_entries
from .pytorch_state import OURS, Source, TorchState, read_state
from .restoring import placed
from .state_dict import listed

DEBIASED = 2**30
"""A count at which 1 - b^count is 1: PyTorch's Muon does not debias its average."""


def from_pytorch(
    tx: GradientTransformation,
    params: Params,
    state_dict: Mapping[str, Any],
    names: Mapping[str, Source] | None = None,
    *,
    axes: Mapping[str, Sequence[int]] | None = None,
    steps: int | None = None,
    state: OptState | None = None,
) -> OptState:
    """The state of a transformation that goes on where an optimizer of PyTorch stopped.

        names = {"dense/kernel": "dense.weight", "dense/bias": "dense.bias"}
        saved = optimizer.state_dict()
        state = from_pytorch(adamw(1e-3), params, saved, names, axes={"dense/kernel": (1, 0)})

    Known are SGD, Adam (with `amsgrad` too), AdamW, RMSprop, Adagrad, Adadelta, NAdam, RAdam, Adamax and
    Muon. Which arguments of gradchain's take the same steps is told in docs/saving.md.

    Args:
        tx: the transformation, alone or in any chain or wrapper.
        params: the parameters, as gradchain has them.
        state_dict: what `optimizer.state_dict()` gives; its tensors may be NumPy arrays too.
        names: by the name of a parameter (`tree.paths`): its name in PyTorch, if the optimizer was made
            with `named_parameters()`, or its number. By default the same names, with "." for "/", or where
            PyTorch has none, the same order. Parameters left out begin anew.
        axes: by the name of a parameter: the axes of PyTorch's array in the order of ours. `(1, 0)` for a
            Linear's weight that is a Dense's kernel, `(2, 3, 1, 0)` for a Conv2d's.
        steps: the steps taken, where PyTorch does not count them (SGD, Muon) and a schedule asks for them.
        state: what the rest begins with, by default `tx.init(params)`. To take over a second optimizer,
            such as the AdamW beside a Muon, give the state of the first call, and in `names` only its
            parameters.

    Raises: CheckpointError if a parameter is missing on either side or has another shape there, or if `tx`
        keeps other arrays than PyTorch's optimizer.
    """
    who = "from_pytorch"
    torch = read_state(who, state_dict)
    sources = _sources(who, params, names, torch)
    _check_known(who, "axes", axes or {}, list(sources))
    like = tx.init(params) if state is None else state
    found = entries(who, tx, like)
    leaves, owners, used = [], set(), set()
    for entry in found:
        source = _source(entry, sources, torch)
        if source in torch.arrays:
            array = torch.arrays[source] * _factor(entry, torch, source)
            leaves.append(_moved(who, entry, array, (axes or {}).get(joined(entry.field[1:]))))
            owners.add(_owner(entry))
            used.add(source)
        else:
            leaves.append(entry.leaf)
    _check_complete(who, tx, torch, found, sources, owners, used)
    taken = torch.steps if steps is None else steps
    alone = {_owner(e) for e in found} - {_owner(e) for e in found if e.field != ("count",)}
    for i, entry in enumerate(found):
        count = DEBIASED if torch.is_muon and _owner(entry) in owners else taken
        if entry.field == ("count",) and _owner(entry) in owners | alone and count is not None:
            leaves[i] = placed(np.asarray(count, entry.leaf.dtype), entry.leaf)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _sources(
    who: str, params: Params, names: Mapping[str, Source] | None, torch: TorchState
) -> dict[str, int]:
    """The number in PyTorch of each parameter.

    Raises: CheckpointError if some have no counterpart.
    """
    ours = [joined(entry.field) for entry in parameter_entries(params)]
    if names is None and torch.names is None:
        if len(ours) != len(torch.numbers):
            raise CheckpointError(
                f"{who}: there are {len(ours)} parameters, but PyTorch's optimizer has "
                f"{len(torch.numbers)}: say "
                "in names which are which."
            )
        names = dict(zip(ours, torch.numbers, strict=True))
    elif names is None:
        names = {name: name.replace("/", ".") for name in ours}
    _check_known(who, "names", names, ours)
    sources = {name: torch.number(who, source) for name, source in names.items()}
    left = [torch.name(i) for i in dict.fromkeys(i for i, _ in torch.arrays) if i not in sources.values()]
    if left:
        raise CheckpointError(f"{who}: names lacks PyTorch's {listed(list(map(str, left)))}.")
    if len(set(sources.values())) < len(sources):
        raise CheckpointError(f"{who}: two parameters have the same one of PyTorch's in names.")
    return sources


def _check_known(who: str, what: str, given: Mapping[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise CheckpointError(
                f"{who}: {what} has {name!r}, which is no parameter; there are {listed(known)}."
                + nearest(name, known)
            )


def _source(entry: Entry, sources: Mapping[str, int], torch: TorchState) -> tuple[int, str]:
    """The number and name of the array of PyTorch's that an entry stands for, if there is one."""
    field, parameter = entry.field[0] if entry.field else "", joined(entry.field[1:])
    return sources.get(parameter, -1), torch.fields.get(field, "")


def _owner(entry: Entry) -> str:
    """The transformation that keeps an entry: its name without the field."""
    return entry.name.removesuffix(joined(entry.field))


def _factor(entry: Entry, torch: TorchState, source: tuple[int, str]) -> float:
    """What PyTorch's array is multiplied by: our `rmsprop` sums steps, PyTorch's what they are made of."""
    outer = entry.name.partition("/")[0].rpartition(".")[2].partition("[")[0]
    return -torch.rates[source[0]] if outer == "rmsprop" and entry.field[0] == "trace" else 1.0


def _moved(who: str, entry: Entry, array: np.ndarray, axes: Sequence[int] | None) -> jax.Array:
    """An array of PyTorch's in the place of a leaf."""
    try:
        array = array if axes is None else array.transpose(tuple(axes))
    except ValueError as error:
        raise CheckpointError(f"{who}: axes {axes} do not fit {entry.name}: {error}.") from None
    if array.shape != np.shape(entry.leaf):
        hint = " Give axes=(1, 0) for it." if array.shape[::-1] == np.shape(entry.leaf) else ""
        raise CheckpointError(
            f"{who}: {entry.name} has shape {np.shape(entry.leaf)}, in PyTorch {array.shape}.{hint}"
        )
    return placed(array.astype(entry.leaf.dtype), entry.leaf)


def _check_complete(
    who: str,
    tx: GradientTransformation,
    torch: TorchState,
    found: list[Entry],
    sources: Mapping[str, int],
    owners: set[str],
    used: set[tuple[int, str]],
) -> None:
    """Raises CheckpointError if an array has no counterpart on the other side."""
    ours = {theirs: field for field, theirs in torch.fields.items()}
    for number, theirs in torch.arrays:
        if (number, theirs) not in used:
            raise CheckpointError(
                f"{who}: PyTorch's state has {theirs} for {torch.name(number)}, for which {tx!r} keeps no "
                f"{ours[theirs]}: it is another optimizer."
            )
    for entry in found:
        is_array = entry.field[:1] != () and entry.field[0] in OURS and joined(entry.field[1:]) in sources
        if is_array and _owner(entry) in owners and _source(entry, sources, torch) not in torch.arrays:
            known = sorted({theirs for _, theirs in torch.arrays})
            raise CheckpointError(
                f"{who}: PyTorch's state has nothing for {entry.name}, only {', '.join(known)}: it is "
                "another "
                "optimizer, or the parameter has taken no step."
            )
