"""AdaMuon: Muon with Adam's second moments after the orthogonalization."""

from typing import Any

from ..core import FINITE, UNIT, chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms.by_matrix import adamw_links, matrices_and_rest
from ..transforms.decay import decoupled
from ..transforms.dimension_numbers import WeightDimNumOrFn
from ..transforms.polynomials import STANDARD, preset
from ..transforms.scale_by_muon import scale_by_muon
from ..transforms.scale_by_normuon import scale_by_adamuon
from ..transforms.scaling import scale_by_learning_rate


@transformation(beta=UNIT, adam_b1=UNIT, adam_b2=UNIT, adam_weight_decay=FINITE, adam_learning_rate=FINITE)
def adamuon(
    learning_rate: ScalarOrSchedule = 1e-3,
    beta: ScalarOrSchedule = 0.95,
    b2: ScalarOrSchedule = 0.95,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: AddedNumber = 0.1,
    weight_decay_mask: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    rms: ScalarOrSchedule = 0.2,
    sign: bool = True,
    correct_bias: bool = False,
    ns_coeffs: Any = STANDARD,
    ns_steps: Numeric = 5,
    ns_dtype: DTypeLike | None = None,
    low_precision: bool = False,
    nesterov: bool = True,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    adam_learning_rate: ScalarOrSchedule | None = None,
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.95,
    adam_eps: ScalarOrSchedule = 1e-8,
    adam_weight_decay: ScalarOrSchedule = 0.0,
):
    """AdaMuon: p = p - learning_rate (rms sqrt(rows columns) w / |w| + weight_decay p) for matrices.

    w = o / (sqrt(v) + eps), o = NS(sign(m)) orthogonalized, v the average of |o|^2, m the momentum.

    Args:
        beta: decay of the momentum, in [0, 1).
        b2, eps, rms, correct_bias: see `scale_by_adamuon`.
        sign: False orthogonalizes m itself, as the first version of the paper did.
        ns_coeffs, ns_steps, ns_dtype, low_precision, nesterov: see `scale_by_muon`. The momentum is not
            debiased.
        weight_decay, weight_decay_mask: decoupled weight decay of the matrices.
        weight_dimension_numbers: which parameters are matrices, and how, see `muon`; by default those with
            exactly two axes.
        adam_learning_rate: of AdamW, on all other parameters; None for `learning_rate`.
        adam_b1, adam_b2, adam_eps, adam_weight_decay: for AdamW.

    State: `PartitionState` of "adamuon" and "adam". Memory: 2 x the parameters.
    Raises: ValueError for unknown names.
    Reference: Si, Zhang and Shen, 2025, AdaMuon: Adaptive Muon Optimizer, arXiv:2507.11005.

    Example:
        >>> tx, p = gc.adamuon(0.5, weight_decay=0.0, rms=0.5), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[9.0, -1.0], [3.0, 2.0]]), tx.init(p), p)
        >>> [[round(x, 2) for x in row] for row in p.tolist()]  # 0.5 times rms 0.5
        [[-0.25, 0.25], [-0.25, -0.25]]
    """
    preset("adamuon", ns_coeffs)
    numbers = weight_dimension_numbers
    matrices = chain(
        scale_by_muon(
            ns_coeffs,
            ns_steps,
            beta,
            1e-7,
            mu_dtype,
            nesterov=nesterov,
            debias=False,
            sign=sign,
            ns_dtype=ns_dtype,
            low_precision=low_precision,
            weight_dimension_numbers=numbers,
        ),
        scale_by_adamuon(b2, eps, rms, correct_bias, weight_dimension_numbers=numbers),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    rest = adamw_links(rate, adam_b1, adam_b2, adam_eps, adam_weight_decay)
    return matrices_and_rest("adamuon", matrices, rest, numbers)
