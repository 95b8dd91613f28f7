"""KL-SOAP: Adam in the basis of KL-Shampoo."""

from ..core import AT_LEAST_1, FINITE, POSITIVE, UNIT, chain, transformation
from ..core.types import AddedNumber, Array, DTypeLike, MaskOrFn, ScalarOrSchedule
from ..transforms.by_matrix import adamw_links, matrices_and_rest
from ..transforms.decay import decoupled_last
from ..transforms.dimension_numbers import WeightDimNumOrFn
from ..transforms.scale_by_kl import scale_by_kl_soap
from ..transforms.scaling import scale_by_learning_rate


@transformation(
    shampoo_beta=UNIT,
    precondition_frequency=AT_LEAST_1,
    init_factor=POSITIVE,
    adam_b1=UNIT,
    adam_b2=UNIT,
    adam_weight_decay=FINITE,
    adam_learning_rate=FINITE,
)
def kl_soap(
    learning_rate: ScalarOrSchedule = 1e-4,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.98,
    shampoo_beta: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: AddedNumber = 0.01,
    precondition_frequency: int | Array = 10,
    normalize_grads: bool = False,
    init_factor: ScalarOrSchedule = 0.1,
    max_root: ScalarOrSchedule | None = 4000.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay_mask: MaskOrFn = None,
    *,
    nu_dtype: DTypeLike | None = None,
    weight_dimension_numbers: WeightDimNumOrFn | None = None,
    adam_learning_rate: ScalarOrSchedule | None = None,
    adam_b1: ScalarOrSchedule = 0.9,
    adam_b2: ScalarOrSchedule = 0.98,
    adam_eps: ScalarOrSchedule = 1e-8,
    adam_weight_decay: ScalarOrSchedule = 0.0,
):
    """KL-SOAP: p = (p - learning_rate u) (1 - learning_rate weight_decay), u Adam's in KL-Shampoo's basis.

    m and v are not bias-corrected, and the first call only measures. Matrices only: all other parameters go
    to AdamW. The authors compute in bfloat16, here it is at least float32.

    Args:
        b1, b2, eps, precondition_frequency, normalize_grads, init_factor, max_root: see
            `scale_by_kl_soap`.
        shampoo_beta: decay of the factors, in [0, 1); None for `b2`.
        weight_decay: of the matrices after their step, times the learning rate.
        weight_dimension_numbers: which parameters are matrices, and how, see `muon`; by default those with
            exactly two axes.
        adam_learning_rate: of AdamW; None for `learning_rate`.
        adam_b1, adam_b2, adam_eps, adam_weight_decay: for AdamW.

    State: `PartitionState` of "kl_soap" and "adam".
    Memory: 2 (rows^2 + columns^2) and 2 x rows columns for each matrix, 2 x the rest.
    Reference: Lin et al., 2025, Understanding and Improving Shampoo and SOAP via Kullback-Leibler
        Minimization, arXiv:2509.03378.

    Example:
        >>> tx, p = gc.kl_soap(0.5, weight_decay=0.0), jnp.array([[4.0, 0.0], [0.0, 1.0]])
        >>> state = tx.init(p)
        >>> for _ in range(2):  # the first call measures only
        ...     u, state = tx.update(p, state, p)
        ...     print(bool(jnp.any(u)))
        False
        True
    """
    rule = scale_by_kl_soap(
        b1,
        b2,
        shampoo_beta,
        eps,
        precondition_frequency,
        normalize_grads,
        init_factor,
        max_root,
        mu_dtype,
        nu_dtype=nu_dtype,
        weight_dimension_numbers=weight_dimension_numbers,
    )
    matrices = chain(
        rule,
        scale_by_learning_rate(learning_rate),
        *decoupled_last(learning_rate, weight_decay, weight_decay_mask, from_the_second=True),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    rest = adamw_links(rate, adam_b1, adam_b2, adam_eps, adam_weight_decay)
    return matrices_and_rest("kl_soap", matrices, rest, weight_dimension_numbers)
