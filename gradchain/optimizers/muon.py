"""Muon: orthogonalized momentum for matrices, AdamW for the rest."""

from typing import Any

import jax

from ..core import FINITE, UNIT, chain, transformation
from ..core.types import DTypeLike, MaskOrFn, Numeric, Params, PyTree, ScalarOrSchedule
from ..transforms import (
    add_decayed_weights,
    partition,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_muon,
)
from ..transforms.newton_schulz import Preconditioning
from ..transforms.scale_by_muon import DION, STANDARD, WeightDimNumOrFn, dimension_numbers, scale_by_fans

PRESETS = {"standard": STANDARD, "dion": DION}


@transformation(beta=UNIT, adam_b1=UNIT, adam_b2=UNIT, adam_weight_decay=FINITE, adam_learning_rate=FINITE)
def muon(
    learning_rate: ScalarOrSchedule,
    ns_coeffs: Any = STANDARD,
    ns_steps: Numeric = 5,
    beta: ScalarOrSchedule = 0.95,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: Preconditioning = "frobenius",
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.999,
    adam_eps_root: ScalarOrSchedule = 0.0,
    adam_weight_decay: ScalarOrSchedule = 0.0,
    adam_learning_rate: ScalarOrSchedule | None = None,
    muon_weight_dimension_numbers: WeightDimNumOrFn | None = None,
    consistent_rms: Numeric | None = None,
    nu_dtype: DTypeLike | None = None,
    ns_dtype: DTypeLike | None = None,
):
    """Muon: p = p - learning_rate (sqrt(max(1, columns / rows)) NS(m) + weight_decay p) for matrices.

    Args:
        ns_coeffs: "standard", "dion", or as in `scale_by_muon`.
        ns_steps, beta, eps, adaptive, preconditioning, ns_dtype: see `scale_by_muon`.
        weight_decay, weight_decay_mask: decoupled weight decay of the matrices.
        adam_b1, adam_b2, adam_eps_root, adam_weight_decay, nu_dtype: for AdamW, on the other parameters.
        adam_learning_rate: learning rate of AdamW, by default `learning_rate`.
        muon_weight_dimension_numbers: a tree of `MuonDimensionNumbers` for matrices and None for other
            parameters, or a function from the parameters to one. By default, parameters with exactly
            two axes are matrices.
        consistent_rms: this times sqrt(max(rows, columns)) replaces the factor above; 0.2 is as in Adam.

    State: `PartitionState` of "muon" and "adam". Memory: 1 x the matrices, 2 x the rest.
    Raises: ValueError for unknown names.
    Reference: Jordan et al., 2024, Muon: An optimizer for hidden layers in neural networks; Liu et al.,
        2025, Muon is Scalable for LLM Training, arXiv:2502.16982.
    """
    if isinstance(ns_coeffs, str):
        if ns_coeffs not in PRESETS:
            raise ValueError(
                f"muon: ns_coeffs must be one of {', '.join(PRESETS)}, received {ns_coeffs!r}."
            )
        ns_coeffs = PRESETS[ns_coeffs]

    def labels(params: Params) -> PyTree:
        numbers = dimension_numbers(muon_weight_dimension_numbers, params)
        return jax.tree.map(lambda p, d: "adam" if d is None else "muon", params, numbers)

    matrices = chain(
        scale_by_muon(
            ns_coeffs,
            ns_steps,
            beta,
            eps,
            mu_dtype,
            nesterov=nesterov,
            adaptive=adaptive,
            preconditioning=preconditioning,
            weight_dimension_numbers=muon_weight_dimension_numbers,
            ns_dtype=ns_dtype,
        ),
        scale_by_fans(muon_weight_dimension_numbers, consistent_rms),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rest = chain(
        scale_by_adam(adam_b1, adam_b2, eps, adam_eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        add_decayed_weights(adam_weight_decay),
        scale_by_learning_rate(learning_rate if adam_learning_rate is None else adam_learning_rate),
    )
    return partition({"muon": matrices, "adam": rest}, labels)
