"""Arguments of Optax that no row of THE TABLE sets: rows that buy parity alone."""

from typing import Any

import jax
import jax.numpy as jnp
from cases import Case, curved, matrices_only

import gradchain as gc

MASKED = {"learning_rate": 0.05, "weight_decay": 0.1}
DECAYED = {**MASKED, "mask": matrices_only}
WEIGHTS = {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4, "mu_dtype": "float32"}


def scaled_up(x: Any) -> Any:
    """Of a step, for `clip_value_fn`: a bound that grows."""
    return 0.1 * x


def flipped(tree: Any) -> Any:
    """GaLore's dimension numbers of the matrices, from their second axis to their first."""
    numbers = gc.GaLoreDimensionNumbers(1, 0)
    return jax.tree.map(lambda p: numbers if jnp.ndim(p) == 2 else None, tree)


def loud(step: Any, *, value: Any, **extra_args: Any) -> Any:
    """A condition on an extra argument."""
    del extra_args
    return (step % 2 == 0) & (value > 0)


def squared(updates: Any, params: Any) -> Any:
    """The squared gradients, for the diagonal of a Hessian."""
    return jax.tree.map(lambda g: g * g, updates)


def loss(p: Any, step: int) -> dict[str, Any]:
    """A loss that changes its sign."""
    return {"value": jnp.float32(1.0 if step % 3 else -1.0)}


VARIANTS = [
    Case("acprop", DECAYED),
    Case("adadelta", {**MASKED, "weight_decay_mask": matrices_only}),
    Case("adam", {"learning_rate": 0.05, "nesterov": True}),
    Case("adamax", {"learning_rate": 0.05, "b1": 0.8, "b2": 0.95, "eps": 1e-3}),
    Case("adamw", {"learning_rate": 0.05, **WEIGHTS}),
    Case("adaptive_grad_clip", {"clipping": 0.1, "axis": ()}),
    Case("add_noise", {"eta": 0.1, "gamma": 0.5, "seed": 3}, random=True),
    Case("ademamix", DECAYED),
    Case("adopt", {"learning_rate": 0.05, "clip_value_fn": scaled_up}, rtol=1e-4),
    Case("cocob", {"weight_decay": 0.1, "mask": matrices_only}, rtol=2e-5),
    Case("conditionally_mask", lambda m: (m.sgd(0.1, 0.9), loud, True), extra=loss),
    Case("conditionally_transform", lambda m: (m.sgd(0.1, 0.9), loud, True), extra=loss),
    Case("dog", DECAYED),
    Case("dowg", DECAYED),
    Case("galore", DECAYED | {"rank": 1}),
    Case("hutchinson_estimator_diag_hessian", lambda m: (jax.random.PRNGKey(7),), extra=curved),
    Case("galore", lambda m: (0.05, 1, 3, 0.5, m.scale_by_rms()), {"weight_dimension_numbers": flipped}),
    Case("muon", {**MASKED, "weight_decay_mask": matrices_only}),
    Case("nadam", {"learning_rate": 0.05, **WEIGHTS, "nesterov": False}),
    Case("nadamw", {"learning_rate": 0.05, "nesterov": False}),
    Case("noisy_sgd", {"learning_rate": 0.05, "seed": 3}, random=True),
    Case("rmsprop", {"learning_rate": 0.05, "bias_correction": True}),
    Case("scale_by_acprop", {"b1": 0.8, "eps": 1e-3, "eps_root": 1e-4}),
    Case("scale_by_adam", {"mu_dtype": "float32"}),
    Case("scale_by_ademamix", WEIGHTS),
    Case("scale_by_adopt", {"b2": 0.9, "b1": 0.8, "eps": 1e-3, "mu_dtype": "float32", "nesterov": True}),
    Case("scale_by_adopt", {"b2": 0.9, "use_clipping": False}),
    Case("scale_by_adopt", {"b2": 0.9, "clip_value_fn": scaled_up}),
    Case("scale_by_galore", lambda m: (1, 3, 0.5, m.scale_by_rms(), flipped)),
    Case("scale_by_madgrad", {"learning_rate": 0.1, "momentum": 0.5, "eps": 1e-3}, rtol=1e-5),
    Case("scale_by_rms", {"eps": 1e-3}),
    Case("scale_by_simplified_ademamix", {"b1": 0.8, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4}),
    Case("scale_by_stddev", {"eps_in_sqrt": False, "eps": 0.1}, rtol=1e-5),
    Case("schedule_free_adamw", {"learning_rate": 0.05, "state_dtype": "float32"}, rtol=1e-4),
    Case("schedule_free_sgd", {"learning_rate": 0.05, "state_dtype": "float32"}, rtol=1e-4),
    Case("simplified_ademamix", DECAYED),
    Case("sophia", {**MASKED, "weight_decay_mask": matrices_only}, extra=curved, rtol=2e-5),
    Case(
        "sophia",
        lambda m: (0.05,),
        {"hessian_diagonal_fn": gc.stateless(squared), "mu_dtype": "float32"},
        extra=curved,
        rtol=2e-5,
    ),
]

SPLIT = "test_transforms.py::TestGroups::test_extra_arguments_like_the_parameters_are_split"
ELSEWHERE = {
    ("masked", "mask_compatible_extra_args"): SPLIT,
    (
        "muon",
        "muon_weight_dimension_numbers",
    ): "test_contrib.py::test_muon_with_dimension_numbers_equals_optax",
    ("partition", "mask_compatible_extra_args"): SPLIT,
    ("sam", "batch_axis_name"): "test_contrib.py::test_sam_in_opaque_mode_averages_over_a_mapped_axis",
    ("sam", "opaque_mode"): "test_contrib.py::test_sam_in_opaque_mode_asks_for_gradients_uphill",
    ("scale_by_backtracking_linesearch", "verbose"): "test_linesearch.py::test_verbose_tells_why_it_failed",
    ("scale_by_distance_over_gradients", "param_dtype"): "test_flat_optimizers.py::"
    "test_distance_over_gradients_equals_optax_where_optax_runs",
    ("scale_by_zoom_linesearch", "verbose"): "test_linesearch.py::test_verbose_tells_why_it_failed",
    ("schedule_free_sgd", "warmup_steps"): "test_contrib.py::"
    "test_schedule_free_weighs_a_step_by_its_own_learning_rate",
    ("sophia", "print_win_rate_every_n_steps"): "test_contrib.py::test_sophia_prints_its_unclipped_share",
    ("sophia", "verbose"): "test_contrib.py::test_sophia_prints_its_unclipped_share",
}
"""Arguments that a test of their own sets."""
