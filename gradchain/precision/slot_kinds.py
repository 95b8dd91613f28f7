"""What the slots of states hold: which are never negative, which must keep what a few bits would lose.

A name stands for the slot in every state; with the state's class before it, for that state's alone.
"""

NON_NEGATIVE = frozenset(
    [
        "ScaleByAdanState.n",
        "ScaleBySimplifiedAdEMAMixState.n",
        "FtrlState.n",
        "b",
        "e_g",
        "e_x",
        "exp_avg_sq",
        "grad_sum_of_squares",
        "grad_sum_sq",
        "largest",
        "max_dist",
        "norm",
        "norm_sq",
        "nu",
        "nu_max",
        "res_col",
        "res_row",
        "reward",
        "scale",
        "step_sizes",
        "subgradients",
        "sum_of_squares",
        "v_col",
        "v_row",
        "FactoredState.v",
        "ScaleByCameState.v",
    ]
)
"""Slots that are never negative."""

SIGNED = frozenset(["ScaleBySM3State.nu", "SophiaState.nu"])
"""Those that may be, though states of other classes have the name for what is not."""

PARAMETERS = frozenset(
    [
        "average",
        "averages",
        "ax",
        "cache",
        "checkpoints",
        "init_params",
        "init_particles",
        "params",
        "params0",
        "slow_params",
        "start",
        "x0",
        "z",
    ]
)
"""Parameters, or averages of them: a step is less than what a few bits tell apart."""

SUMS = frozenset(
    [
        "FtrlState.n",
        "acc_grads",
        "cumulative_gradients",
        "grad_acc",
        "grad_sum",
        "grad_sum_sq",
        "reward",
        "MadgradState.s",
        "subgradients",
        "sum_of_squares",
    ]
)
"""Sums: what is added is soon less than what a few bits tell apart."""

EXACT = frozenset(
    [
        "bases",
        "basis",
        "diff_params_memory",
        "diff_updates_memory",
        "factors",
        "grad",
        "projector",
        "roots",
        "updates",
    ]
)
"""Bases, factors and roots of matrices; gradients that are used again, or differences of which are."""


def is_in(kinds: frozenset[str], owner: str, name: str) -> bool:
    """Whether a slot is of a kind. Args: owner, the class of its state; name, the field."""
    return name in kinds or f"{owner}.{name}" in kinds


def never_negative(owner: str, name: str) -> bool:
    """Whether the slot's entries are at least 0."""
    return is_in(NON_NEGATIVE, owner, name) and not is_in(SIGNED, owner, name)


def stays(owner: str, name: str, rounds_at_random: bool) -> bool:
    """Whether the slot is left as it is unless it is asked for by name."""
    lost = is_in(SUMS, owner, name) and not rounds_at_random
    return lost or is_in(PARAMETERS, owner, name) or is_in(EXACT, owner, name)
