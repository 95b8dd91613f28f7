"""Adam-mini: Adam with one second moment for each block of a parameter."""

from collections.abc import Sequence

from ..core import Trait, chain, transformation, treewise
from ..core.lists import each, each_with
from ..core.numerics import abs_sq, accumulator_like, debias, ema, ratio, sqrt, zeros_like
from ..core.types import AddedNumber, Array, DTypeLike, Hyperparameter, MaskOrFn, ScalarOrSchedule
from ..transforms import ScaleByAdamState, decay_matrices_only, scale_by_learning_rate
from ..transforms.decay import decoupled
from ..transforms.mean_blocks import BlockView, MeanBlocksOrFn, adam_mini_blocks, block_views

NO_BIAS_NO_NORM = decay_matrices_only(exclude=("norm", "bias"))
"""Where the authors decay."""


@transformation
def scale_by_adam_mini(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    blocks: MeanBlocksOrFn = adam_mini_blocks,
    mu_dtype: DTypeLike | None = None,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Divides averaged gradients by the root mean square of their block.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) mean of |g|^2 over the block;  u = m' / (sqrt(v') + eps).

    m' and v' are debiased, see `scale_by_adam`. Where the Hessian is dense within blocks and small between
    them, one number for a block is enough.

    Args:
        blocks: which entries share one v: a `MeanBlocks` for all arrays, a tree of them (or a prefix of
            one), or a function from the parameters to one; None in place of one gives every entry its own
            v, as in Adam. The default goes by names and ranks: see `adam_mini_blocks`, which also takes the
            size of a head.
        nu_dtype: dtype of v, by default real and at least float32.

    State: `ScaleByAdamState(count, mu, nu)`; nu keeps averaged axes, with size 1, or that of the heads.
    Memory: 1 x the parameters, and a number for each block.
    Raises: ValueError for blocks that do not fit an array.
    Reference: Zhang et al., 2024, arXiv:2406.16793.

    Example:
        >>> tx, g = gc.scale_by_adam_mini(), {"norm": jnp.array([1.0, 7.0]), "bias": jnp.array([1.0, 7.0])}
        >>> u, _ = tx.update(g, tx.init(g))
        >>> print({name: [round(x, 2) for x in a.tolist()] for name, a in u.items()})  # a norm is one block
        {'bias': [1.0, 1.0], 'norm': [0.2, 1.4]}
    """
    views = block_views("scale_by_adam_mini", blocks)

    def init(ps: list[Array], *, settings: Sequence[BlockView]) -> ScaleByAdamState:
        # Sums, not new zeros: sums keep the sharding of the axes that stay.
        nu = [view.sum(accumulator_like(p, nu_dtype)) for view, p in zip(settings, ps, strict=True)]
        return ScaleByAdamState(count=0, mu=[zeros_like(p, mu_dtype) for p in ps], nu=nu)

    def update(
        g: list[Array], s: ScaleByAdamState, p: list[Array], *, settings: Sequence[BlockView]
    ) -> tuple[list[Array], ScaleByAdamState]:
        def step(view: BlockView, mu: Array, nu: Array) -> Array:
            root = sqrt(debias(nu, b2, s.count)) + eps
            return ratio(debias(mu, b1, s.count), view.spread(root))

        mu = each(lambda g, mu: ema(g, mu, b1), g, s.mu)
        nu = each_with(lambda view, g, nu: ema(view.mean(abs_sq(g)), nu, b2), settings, g, s.nu)
        return each_with(step, settings, mu, nu), s._replace(mu=mu, nu=nu)

    return treewise(
        init, update, needs_params=False, like_params=False, settings=views, traits=[Trait.RESCALES]
    )


@transformation
def adam_mini(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    blocks: MeanBlocksOrFn = adam_mini_blocks,
    mu_dtype: DTypeLike | None = None,
    weight_decay: AddedNumber = 0.0,
    weight_decay_mask: MaskOrFn = NO_BIAS_NO_NORM,
    *,
    nu_dtype: DTypeLike | None = None,
):
    """Adam-mini: p = p - learning_rate (m' / (sqrt(v') + eps) + weight_decay p), one v for each block.

        adam_mini(3e-4, b2=0.95, blocks=adam_mini_blocks(head_dim=64), weight_decay=0.1)

    Args:
        learning_rate: as for AdamW.
        b1, b2, eps, blocks, nu_dtype: see `scale_by_adam_mini`.
        weight_decay_mask: where to decay, by default not in norms, biases and other vectors.

    State: a chain's: `ScaleByAdamState`, the learning rate's.
    Memory: 1 x the parameters, and a number for each block.
    Raises: ValueError for blocks that do not fit an array.
    Reference: Zhang et al., 2024, Adam-mini: Use Fewer Learning Rates To Gain More, arXiv:2406.16793.

    Example:
        >>> tx, p = gc.adam_mini(0.5, weight_decay=0.0), jnp.array([[0.0, 0.0], [0.0, 0.0]])
        >>> p, state = tx.step(jnp.array([[4.0, 1.0], [4.0, 7.0]]), tx.init(p), p)
        >>> [[round(x, 3) for x in row] for row in p.tolist()]  # one v for each column: 16, and 25
        [[-0.5, -0.1], [-0.5, -0.7]]
    """
    return chain(
        scale_by_adam_mini(b1, b2, eps, blocks, mu_dtype, nu_dtype=nu_dtype),
        *decoupled(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
