"""NorMuon: Muon with steps of equal length for every neuron."""

from typing import Any

from ..core import FINITE, UNIT, chain, transformation
from ..core.types import AddedNumber, DTypeLike, MaskOrFn, Numeric, ScalarOrSchedule
from ..transforms.by_matrix import adamw_links, matrices_and_rest
from ..transforms.decay import decoupled
from ..transforms.dimension_numbers import WeightDimNumOrFn
from ..transforms.polynomials import STANDARD, preset
from ..transforms.scale_by_muon import Scaling, check_scaling, scale_by_fans, scale_by_muon
from ..transforms.scale_by_normuon import scale_by_normuon
from ..transforms.scaling import scale_by_learning_rate


@transformation(beta=UNIT, adam_b1=UNIT, adam_b2=UNIT, adam_weight_decay=FINITE, adam_learning_rate=FINITE)
def normuon(
    learning_rate: ScalarOrSchedule = 0.02,
    beta: ScalarOrSchedule = 0.95,
    b2: ScalarOrSchedule = 0.95,
    eps: ScalarOrSchedule = 1e-10,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = None,
    mu_dtype: DTypeLike | None = None,
    *,
    ns_coeffs: Any = STANDARD,
    ns_steps: Numeric = 5,
    ns_dtype: DTypeLike | None = None,
    low_precision: bool = False,
    nesterov: bool = True,
    scaling: Scaling = "original",
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    adam_learning_rate: ScalarOrSchedule = 3e-4,
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.95,
    adam_eps: ScalarOrSchedule = 1e-10,
    adam_weight_decay: ScalarOrSchedule = 0.0,
):
    """NorMuon: p = p - learning_rate (sqrt(max(1, columns / rows)) w + weight_decay p) for matrices.

    w is Muon's orthogonalized momentum divided by the root mean squares of its columns, with its norm kept.

    Args:
        beta: decay of the momentum, in [0, 1).
        b2, eps: see `scale_by_normuon`.
        ns_coeffs, ns_steps, ns_dtype, low_precision, nesterov: see `scale_by_muon`. The momentum is not
            debiased.
        scaling: see `muon`.
        weight_decay, weight_decay_mask: decoupled weight decay of the matrices.
        weight_dimension_numbers: which parameters are matrices, and how, see `muon`; by default those with
            exactly two axes.
        adam_learning_rate, adam_b1, adam_b2, adam_eps, adam_weight_decay: for AdamW, on all others.

    State: `PartitionState` of "normuon" and "adam". Memory: 1 x the matrices, 2 x the rest.
    Raises: ValueError for unknown names.
    Reference: Li et al., 2025, NorMuon: Making Muon more efficient and scalable, arXiv:2510.05491.

    Example:
        >>> tx, p = gc.normuon(1.0), jnp.zeros((2, 2))
        >>> p, _ = tx.step(jnp.array([[-9.0, 1.0], [3.0, 2.0]]), tx.init(p), p)
        >>> lengths = jnp.linalg.norm(p, axis=0)
        >>> round(float(lengths[0] / lengths[1]), 3)  # all outputs move equally far
        1.0
    """
    check_scaling("normuon", scaling)
    preset("normuon", ns_coeffs)
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
            ns_dtype=ns_dtype,
            low_precision=low_precision,
            weight_dimension_numbers=numbers,
        ),
        scale_by_normuon(b2, eps, weight_dimension_numbers=numbers),
        scale_by_fans(numbers, None, scaling),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rest = adamw_links(adam_learning_rate, adam_b1, adam_b2, adam_eps, adam_weight_decay)
    return matrices_and_rest("normuon", matrices, rest, numbers)
