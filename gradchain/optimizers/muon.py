"""Muon: orthogonalized momentum for matrices, AdamW for the rest."""

from typing import Any

from ..core import FINITE, UNIT, chain, transformation
from ..core.types import DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms.by_matrix import matrices_and_rest
from ..transforms.decay import add_decayed_weights
from ..transforms.dimension_numbers import WeightDimNumOrFn
from ..transforms.newton_schulz import Preconditioning
from ..transforms.polynomials import STANDARD, preset
from ..transforms.scale_by_adam import scale_by_adam
from ..transforms.scale_by_muon import Scaling, check_scaling, scale_by_fans, scale_by_muon
from ..transforms.scaling import scale_by_learning_rate


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
    low_precision: bool = False,
    debias: bool = True,
    heavy_ball: bool = False,
    gram: bool = False,
    scaling: Scaling = "original",
):
    """Muon: p = p - learning_rate (sqrt(max(1, columns / rows)) NS(m) + weight_decay p) for matrices.

    PyTorch's and Jordan's steps: `debias=False`; Moonlight's: `heavy_ball=True, scaling="match_rms_adamw"`.

    Args:
        ns_coeffs, ns_steps, beta, eps, adaptive, preconditioning, ns_dtype: see `scale_by_muon`.
        low_precision, debias, heavy_ball, gram: see `scale_by_muon`.
        weight_decay, weight_decay_mask: decoupled weight decay of the matrices.
        adam_b1, adam_b2, adam_eps_root, adam_weight_decay, nu_dtype: for AdamW, on the other parameters.
        adam_learning_rate: learning rate of AdamW, by default `learning_rate`.
        muon_weight_dimension_numbers: a tree of `MuonDimensionNumbers` for matrices and None for other
            parameters, or a function from the parameters to one, as `matrix_dimension_numbers` gives. By
            default, parameters with exactly two axes are matrices.
        consistent_rms: this times sqrt(max(rows, columns)) replaces the factor above; 0.2 is as in Adam.
        scaling: "original", the factor above; "match_rms_adamw", 0.2 sqrt(max(rows, columns)); "spectral",
            sqrt(columns / rows). Rows are the inputs.

    State: `PartitionState` of "muon" and "adam". Memory: 1 x the matrices, 2 x the rest.
    Raises: ValueError for unknown names.
    Reference: Jordan et al., 2024, Muon: An optimizer for hidden layers in neural networks; Liu et al.,
        2025, Muon is Scalable for LLM Training, arXiv:2502.16982.

    Example:
        >>> tx, p = gc.muon(1.0), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[-9.0, 0.0], [0.0, -2.0]]), tx.init(p), p)
        >>> [[round(x) for x in row] for row in p.tolist()]  # 9 and 2 both become about 1
        [[1, 0], [0, 1]]
    """
    check_scaling("muon", scaling)
    preset("muon", ns_coeffs)
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
            low_precision=low_precision,
            debias=debias,
            heavy_ball=heavy_ball,
            gram=gram,
        ),
        scale_by_fans(muon_weight_dimension_numbers, consistent_rms, scaling),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rest = chain(
        scale_by_adam(adam_b1, adam_b2, eps, adam_eps_root, mu_dtype, nesterov=nesterov, nu_dtype=nu_dtype),
        add_decayed_weights(adam_weight_decay),
        scale_by_learning_rate(learning_rate if adam_learning_rate is None else adam_learning_rate),
    )
    return matrices_and_rest("muon", matrices, rest, muon_weight_dimension_numbers)
