"""Names that Optax has deprecated: people still write them, so they resolve, with a warning.

`TABLE` says what each one is now; a module's `__getattr__` looks it up.
"""

import functools
import importlib
from typing import Any, NamedTuple

import jax

from .core import GradientTransformationExtraArgs, nearest, warn_user
from .core.types import ArrayTree, Numeric
from .second_order.flat import fisher_diag as fisher_diag, hessian_diag as hessian_diag, hvp as hvp
from .tree.norm import norm

TABLE: dict[str, dict[str, str]] = {
    "gradchain": {
        "DifferentiallyPrivateAggregateState": "contrib.DifferentiallyPrivateAggregateState",
        "InjectHyperparamsState": "schedules.InjectStatefulHyperparamsState",
        "convex_kl_divergence": "losses.generalized_kl_divergence",
        "differentially_private_aggregate": "contrib.differentially_private_aggregate",
        "dpsgd": "contrib.dpsgd",
        "global_norm": "tree.norm",
        "inject_stateful_hyperparams": "schedules.inject_hyperparams",
        "optimistic_adam": "optimizers.optimistic_adam_v2",
    },
    "gradchain.losses": {"convex_kl_divergence": "losses.generalized_kl_divergence"},
    "gradchain.schedules": {
        "InjectHyperparamsState": "schedules.InjectStatefulHyperparamsState",
        "inject_stateful_hyperparams": "schedules.inject_hyperparams",
    },
    "gradchain.second_order": {
        "fisher_diag": "second_order.empirical_fisher_diagonal",
        "hessian_diag": "second_order.hessian_diagonal",
        "hvp": "second_order.hessian_vector_product",
    },
    "gradchain.tree_utils": {
        "tree_add_scalar_mul": "tree.add_scale",
        "tree_l1_norm": "tree.norm",
        "tree_l2_norm": "tree.norm",
        "tree_linf_norm": "tree.norm",
        "tree_scalar_mul": "tree.scale",
    },
}
"""By module: the deprecated name, and the path inside gradchain of what replaces it."""

REMOVED = {"gradchain": {"monte_carlo": "Optax removed it in 0.2.7, and nothing takes its place."}}
"""By module: names that no longer exist, and why."""


def lookup(module: str, name: str) -> Any:
    """What a deprecated name stands for; AttributeError for any other name.

    Warns (DeprecationWarning) with the name to use instead.
    """
    if name in REMOVED.get(module, {}):
        raise AttributeError(f"{module}.{name} does not exist: {REMOVED[module][name]}")
    path = TABLE.get(module, {}).get(name)
    if path is None:
        known = vars(importlib.import_module(module))
        public = [word for word in known if not word.startswith("_")]
        raise AttributeError(f"{module} has no name {name!r}.{nearest(name, public)}")
    warn_user(
        f"{module}.{name} is deprecated, as it is in Optax: use gradchain.{path}.", DeprecationWarning
    )
    if name in globals():  # one that differs from what replaces it
        return globals()[name]
    folder, _, attribute = path.rpartition(".")
    return getattr(importlib.import_module(f"gradchain.{folder}"), attribute)


class InjectHyperparamsState(NamedTuple):
    """The state of `inject_hyperparams` before schedules could keep one of their own."""

    count: Any  # i32[]  steps taken
    hyperparams: dict[str, Any]  # by name: the values in use
    inner_state: Any  # the inner transformation's


tree_l1_norm = functools.partial(norm, ord=1)
tree_l2_norm = functools.partial(norm, ord=2)
tree_linf_norm = functools.partial(norm, ord="inf")


def global_norm(updates: ArrayTree) -> jax.Array:
    """`tree.norm(updates)`."""
    return norm(updates)


def optimistic_adam(
    learning_rate: Numeric,
    optimism: Numeric | None = None,
    b1: Numeric = 0.9,
    b2: Numeric = 0.999,
    eps: Numeric = 1e-8,
    eps_root: Numeric = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
) -> GradientTransformationExtraArgs:
    """`optimistic_adam_v2(1.0, alpha=learning_rate, beta=optimism, ...)`, with optimism = learning_rate.

    Raises: TypeError for a schedule as the learning rate, which `optimistic_adam_v2` takes.
    """
    from .optimizers import optimistic_adam_v2

    if callable(learning_rate):
        raise TypeError("optimistic_adam: learning_rate must be a number; see optimistic_adam_v2.")
    beta = learning_rate if optimism is None else optimism
    moments: dict[str, Any] = {"b1": b1, "b2": b2, "eps": eps, "eps_root": eps_root, "mu_dtype": mu_dtype}
    return optimistic_adam_v2(1.0, alpha=learning_rate, beta=beta, nesterov=nesterov, **moments)
