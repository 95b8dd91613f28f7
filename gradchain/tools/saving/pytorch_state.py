"""What a `state_dict` of one of PyTorch's optimizers holds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...core import nearest, warn_user
from .document import CheckpointError

Source = str | int
"""A parameter in PyTorch: by its name, or by its number among the parameters of the optimizer."""

KINDS = (
    ("exp_inf", {"exp_avg": "mu", "exp_inf": "nu"}),  # Adamax
    ("exp_avg", {"exp_avg": "mu", "exp_avg_sq": "nu", "max_exp_avg_sq": "nu_max"}),  # the other Adams
    ("acc_delta", {"square_avg": "e_g", "acc_delta": "e_x"}),  # Adadelta
    ("square_avg", {"square_avg": "nu", "grad_avg": "mu", "momentum_buffer": "trace"}),  # RMSprop
    ("sum", {"sum": "sum_of_squares"}),  # Adagrad
)
"""The names of PyTorch's arrays and ours, by an array that tells the optimizer, in this order."""
MUON = {"momentum_buffer": "mu"}
SGD = {"momentum_buffer": "trace"}
OURS = {field for names in (*(names for _, names in KINDS), MUON, SGD) for field in names.values()}
"""Our fields that have a counterpart in PyTorch."""
COUNTERS = ("step", "mu_product")
"""What PyTorch's states have beside arrays like the parameters."""


class TorchState(NamedTuple):
    """The state of one of PyTorch's optimizers."""

    arrays: dict[tuple[int, str], np.ndarray]  # by the number of the parameter, and PyTorch's name
    fields: dict[str, str]  # PyTorch's name of an array, by ours
    names: list[str] | None  # of the parameters, if PyTorch knows them
    numbers: list[int]  # of the parameters
    rates: dict[int, float]  # the learning rate of each parameter
    steps: int | None  # taken, if PyTorch counts them

    @property
    def is_muon(self) -> bool:
        """Whether it is Muon's, whose average is not debiased."""
        return self.fields == {ours: theirs for theirs, ours in MUON.items()}

    def number(self, who: str, source: Source) -> int:
        """The number of a parameter.

        Raises: CheckpointError, with the nearest name, if there is none.
        """
        if isinstance(source, str) and self.names is None:
            raise CheckpointError(
                f"{who}: PyTorch's state has no names, only the numbers 0 to {len(self.numbers) - 1}: give "
                "the "
                f"number of {source!r}, or make the optimizer with named_parameters()."
            )
        known = self.numbers if isinstance(source, int) else self.names or []
        if source not in known:
            near = nearest(source, self.names or []) if isinstance(source, str) else ""
            raise CheckpointError(f"{who}: PyTorch's optimizer has no parameter {source!r}.{near}")
        return self.numbers[known.index(source)]  # type: ignore[arg-type]

    def name(self, number: int) -> Source:
        """What PyTorch calls a parameter."""
        return number if self.names is None else self.names[self.numbers.index(number)]


def read_state(who: str, state_dict: Mapping[str, Any]) -> TorchState:
    """The content of a `state_dict`.

    Raises: CheckpointError if it is none, or of an optimizer that is not known, or its parameters have
        taken different numbers of steps. Warns of settings that gradchain lacks.
    """
    try:
        groups = list(state_dict["param_groups"])
        state = {int(i): dict(entry) for i, entry in state_dict["state"].items()}
        numbers = [int(i) for group in groups for i in group["params"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(
            f"{who}: this is no state_dict of an optimizer: expected state and param_groups. Give what "
            "optimizer.state_dict() returns."
        ) from None
    arrays = {
        (i, name): _as_array(value)
        for i, entry in state.items()
        for name, value in entry.items()
        if name not in COUNTERS and value is not None
    }
    counts = {int(_as_array(entry["step"])) for entry in state.values() if "step" in entry}
    if len(counts) > 1:
        raise CheckpointError(
            f"{who}: PyTorch counts steps for each parameter, here {', '.join(map(str, sorted(counts)))}; "
            "gradchain counts them once. Take over those with other counts by a call of their own."
        )
    fields = _fields(who, {name for _, name in arrays}, groups)
    named = [name for group in groups for name in group.get("param_names", ())]
    steps = counts.pop() if counts else None
    _warn_of_differences(who, groups, state, steps)
    return TorchState(
        arrays,
        {ours: theirs for theirs, ours in fields.items()},
        named if len(named) == len(numbers) else None,
        numbers,
        {int(i): float(group["lr"]) for group in groups for i in group["params"]},
        steps,
    )


def _fields(who: str, found: set[str], groups: list[Any]) -> dict[str, str]:
    """Our names of PyTorch's arrays."""
    fields = next((names for tell, names in KINDS if tell in found), None)
    if fields is None:
        fields = MUON if any("ns_steps" in group for group in groups) else SGD
    unknown = sorted(found - set(fields))
    if unknown:
        raise CheckpointError(
            f"{who}: PyTorch's state has {', '.join(unknown)}, which is of none of SGD, Adam, AdamW, "
            "RMSprop, "
            "Adagrad, Adadelta, NAdam, RAdam, Adamax and Muon."
        )
    return fields


def _warn_of_differences(who: str, groups: list[Any], state: dict[int, Any], steps: int | None) -> None:
    """Warns of settings with which PyTorch's further steps would be others than ours."""
    for group in groups:
        products = [float(_as_array(s["mu_product"])) for s in state.values() if "mu_product" in s]
        constant = float(group.get("betas", (1.0,))[0]) ** (steps or 0)
        if products and not np.allclose(products, constant, rtol=1e-3, atol=1e-30):
            warn_user(
                f"{who}: PyTorch's NAdam warms its momentum up (momentum_decay {group['momentum_decay']}), "
                "gradchain's holds b1: the moments are taken over, but further steps differ."
            )
        if group.get("dampening"):
            warn_user(
                f"{who}: PyTorch's SGD has dampening {group['dampening']}, which gradchain's trace lacks: "
                "the "
                "momentum is taken over, but further steps differ."
            )
        if group.get("maximize"):
            warn_user(
                f"{who}: PyTorch's optimizer has maximize=True: give gradchain the negative gradients."
            )


def _as_array(value: Any) -> np.ndarray:
    """A tensor, or anything like an array, as NumPy's."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
    return np.asarray(value)
