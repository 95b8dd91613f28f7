"""Signs decided by a majority of devices, which send two bits for each entry."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    Axis,
    GradientTransformationExtraArgs,
    LeafError,
    Trait,
    check_axis,
    check_own_gradients,
    devices_along,
    exchanged,
    gathered,
    means_at_once,
    path_of_leaf,
    place,
    sums_at_once,
    transformation,
    treewise,
    typed_as,
    varying,
)
from ..core.lists import each
from ..core.numerics import accumulator_like
from ..core.types import Array, Params, Updates

PER_BYTE = 4
MORE, LESS, INVALID = 1, 2, 3
"""What two bits say beside 0, which is 0: the sign, or that it is no number."""


class SignMajorityVoteState(NamedTuple):
    """State of `sign_majority_vote`; () without error feedback."""

    error: Params = ()  # like params, at least float32; this device's own; what its signs left
    verdict_error: Params = ()  # the same of the verdicts that it reaches; 0 elsewhere


@transformation
def sign_majority_vote(axis: Axis = "data", *, error_feedback: bool = False):
    """Replaces every entry by the sign that most devices have: takes each device's own, gives all the same.

    u = sign(sum of sign(g)). An entry that is 0 abstains; a tie gives 0; NaN on any device gives NaN.

        tx = chain(trace(0.9), sign_majority_vote(), scale_by_learning_rate(1e-3))  # Signum

    Every device reaches the verdicts of its share of the entries. With two bits for each entry it sends a
    quarter of a byte for the votes, another for the verdicts; a float32 mean takes 8 bytes.

    With `error_feedback`, for each array: a = g + e;  s = the mean of |a| where a is not 0, and of that the
    mean over devices;  e = a - s sign(a);  v = s mean of sign(a) + f;  u = (mean of |v| where it is not 0)
    sign(v);  f = v - u. So the sum of all u, plus f and the mean of e, is that of the mean gradients.

    Args:
        axis: the axis, or axes, of devices; None for one device, where nothing is sent.
        error_feedback: whether what was not applied is kept and added to the next gradients.

    State: `SignMajorityVoteState(error, verdict_error)`, which differs from device to device.
    Memory: none; with error feedback 2 x the parameters in float32.
    Raises: ValueError outside of the axis, for gradients that are summed already, and for complex ones.
    Reference: Bernstein et al., 2018, signSGD, arXiv:1802.04434; Karimireddy et al., 2019, Error Feedback
        Fixes SignSGD, arXiv:1901.09847; Zheng et al., 2019, Communication-Efficient Distributed Blockwise
        Momentum SGD with Error-Feedback, arXiv:1905.10936, whose errors of both ways these are.

    Example:
        >>> tx, g = gc.sign_majority_vote(), jnp.array([[1.0, -1.0], [9.0, -9.0], [-3.0, 3.0]])
        >>> state = jax.vmap(tx.init, axis_name="data")(g)
        >>> u, _ = jax.vmap(tx.update, axis_name="data")(g, state)
        >>> u[0].tolist()  # two of three devices against one
        [1.0, -1.0]
    """
    check_axis("sign_majority_vote", axis)

    def init(p: list[Any]) -> SignMajorityVoteState:
        if not error_feedback:
            return SignMajorityVoteState()
        return SignMajorityVoteState([*map(accumulator_like, p)], [*map(accumulator_like, p)])

    def update(
        g: list[Array], s: SignMajorityVoteState, p: list[Any]
    ) -> tuple[list[Array], SignMajorityVoteState]:
        n = devices_along(axis)
        if not g:
            return g, s
        if axis is None:
            return _alone(g, s, error_feedback)
        if not error_feedback:
            tallies = _tallies(axis, n, g)
            return _agreed(axis, [*map(jnp.sign, tallies)], g), s
        a = each(jnp.add, g, s.error)
        scale = means_at_once(axis, each(_mean_size, a))
        error = each(lambda a, scale: a - scale * jnp.sign(a), a, scale)
        here = place(axis)
        before = [_shares(x, n)[here] for x in s.verdict_error]
        v = [size * t / n + f for size, t, f in zip(scale, _tallies(axis, n, a), before, strict=True)]
        parts = sums_at_once(axis, [x for pair in each(_size_and_count, v) for x in pair])
        found = [*map(_mean, parts[::2], parts[1::2])]
        u = [size * x for size, x in zip(found, _agreed(axis, [*map(jnp.sign, v)], g), strict=True)]
        left = [x - size * jnp.sign(x) for size, x in zip(found, v, strict=True)]
        kept = [_placed(x, here, n, like) for x, like in zip(left, g, strict=True)]
        return u, s._replace(error=typed_as(error, s.error), verdict_error=typed_as(kept, s.verdict_error))

    traits = [] if error_feedback else [Trait.RESCALES]
    rule = treewise(init, update, needs_params=False)

    def init_here(params: Params) -> SignMajorityVoteState:
        return varying(rule.init(params), axis, params)

    def update_here(
        updates: Updates, state: SignMajorityVoteState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, SignMajorityVoteState]:
        check_own_gradients("sign_majority_vote", updates, axis)
        for i, g in enumerate(jax.tree.leaves(updates, is_leaf=lambda x: x is None)):
            if jnp.iscomplexobj(g):
                raise LeafError(
                    "sign_majority_vote",
                    "gradient {leaf} is complex and has no sign; expected real numbers. Put "
                    "split_real_and_imaginary around the transformation.",
                ).at(path_of_leaf(updates, i))
        return rule.update(updates, state, params, **extra_args)  # type: ignore[return-value]

    return GradientTransformationExtraArgs(init_here, update_here, traits=traits)


def _alone(
    g: list[Array], s: SignMajorityVoteState, error_feedback: bool
) -> tuple[list[Array], SignMajorityVoteState]:
    """What one device decides: its verdicts are its own signs, and leave nothing more."""
    if not error_feedback:
        return each(jnp.sign, g), s
    a = each(jnp.add, g, s.error)
    u = each(lambda a: _mean_size(a) * jnp.sign(a), a)
    return u, s._replace(error=each(jnp.subtract, a, u))


def _size_and_count(x: Array) -> tuple[Array, Array]:
    return jnp.sum(jnp.abs(x)), jnp.sum(x != 0, dtype=x.dtype)


def _mean(size: Array, count: Array) -> Array:
    return size / jnp.maximum(count, 1)


def _mean_size(x: Array) -> Array:
    """The mean absolute value of the entries that are not 0."""
    return _mean(*_size_and_count(x))


def _shares(x: Array, n: int) -> Array:
    """(n, 4, m): the entries of an array in `n` shares, filled up with zeros."""
    flat = x.reshape(-1)
    return jnp.pad(flat, (0, -flat.size % (PER_BYTE * n))).reshape(n, PER_BYTE, -1)


def _whole(shares: Array, like: Array) -> Array:
    """The array of its shares."""
    return shares.reshape(-1)[: like.size].reshape(like.shape)


def _placed(share: Array, here: Any, n: int, like: Array) -> Array:
    """An array that is 0 but for one of its `n` shares."""
    own = (jnp.arange(n) == here)[:, None, None]
    return _whole(jnp.where(own, share[None], 0), like)


def _packed(x: Array) -> Array:
    """(..., m) bytes: the signs of (..., 4, m)."""
    codes = jnp.where(x > 0, MORE, jnp.where(x < 0, LESS, jnp.where(x == 0, 0, INVALID)))
    codes = codes.astype(jnp.uint8)
    parts = [codes[..., i, :] << jnp.uint8(2 * i) for i in range(PER_BYTE)]
    return parts[0] | parts[1] | parts[2] | parts[3]


def _codes(packed: Array) -> Array:
    """(..., 4, m): the codes in (..., m) bytes."""
    parts = [(packed >> jnp.uint8(2 * i)) & jnp.uint8(3) for i in range(PER_BYTE)]
    return jnp.stack(parts, axis=-2)


def _split(x: Array, sizes: Sequence[int]) -> list[Array]:
    """An array cut along its last axis."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [jax.lax.slice_in_dim(x, at, at + size, axis=-1) for at, size in zip(starts, sizes, strict=True)]


def _tallies(axis: Axis, n: int, xs: list[Array]) -> list[Array]:
    """For each array (4, m): the sum of all devices' signs of this device's share. NaN if one is none."""
    packed = [_packed(_shares(x, n)) for x in xs]
    codes = _codes(exchanged(axis, jnp.concatenate(packed, axis=-1)))
    votes = jnp.sum(codes == MORE, 0, dtype=jnp.int32) - jnp.sum(codes == LESS, 0, dtype=jnp.int32)
    invalid = jnp.any(codes == INVALID, axis=0)
    tally = jnp.where(invalid, jnp.nan, votes.astype(jnp.float32))
    return [
        part.astype(x.dtype)
        for part, x in zip(_split(tally, [x.shape[-1] for x in packed]), xs, strict=True)
    ]


def _agreed(axis: Axis, verdicts: list[Array], like: list[Array]) -> list[Array]:
    """The verdicts on all shares, put together."""
    packed = [*map(_packed, verdicts)]
    codes = _codes(gathered(axis, jnp.concatenate(packed, axis=-1)))
    signs = jnp.asarray([0, 1, -1, jnp.nan], jnp.float32)[codes]
    return [
        _whole(part, x).astype(x.dtype)
        for part, x in zip(_split(signs, [x.shape[-1] for x in packed]), like, strict=True)
    ]
