"""States of any transformation in 8 or 4 bits, float8 or bfloat16."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import jax

from ..core import (
    AT_LEAST_1,
    NON_NEGATIVE,
    GradientTransformation,
    Path,
    is_packed,
    known_to_flax,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.numerics import key_of
from ..core.rounding import seed_of
from ..core.types import Array, OptState, Params, PyTree, Updates
from ..tree.placeholder import is_placeholder
from .formats import Bits, check_bits, packed, plan
from .leaf_by_leaf import rule_places, staying


class QuantizeStateState(NamedTuple):
    """State of `quantize_state`."""

    inner_state: OptState  # the inner transformation's, with codes, scales and a seed in place of arrays


@transformation(block=AT_LEAST_1, min_size=NON_NEGATIVE)
def quantize_state(
    tx: GradientTransformation,
    bits: Bits = 8,
    block: int | None = None,
    *,
    min_size: int = 4096,
    keep: Union[str, Sequence[str], PyTree, Callable[[Params], PyTree], None] = None,
    key: Union[int, Array] = 0,
):
    """Keeps what `tx` remembers for each parameter in few bits: 2.03 bytes for AdamW, in place of 8.

    s = decode(c);  u, s = tx(g, s);  c = encode(s), array by array, in one program. Every block has a
    scale, its entry of the largest size. Entries are rounded at random to a code beside them, right on
    average: the nearest codes of second moments would stand still. Signs and 0 stay, second moments above 0
    do not become 0, NaN and infinity show.

    Left alone: copies and averages of parameters, sums, bases and factors, numbers, integers,
    complex arrays. Name them in `bits` to have them too. Jitted, `init` too holds no whole float32 state.

    Args:
        tx: any transformation, of any library; around `flatten`, it finds nothing.
        bits: 8, dynamic maps; 4, those and for second moments 16 equal steps, where 0 becomes 1/16;
            "float8" (e4m3); "bfloat16", sums too. Or by slot, others stay:
            `{"mu": 8, "nu": "bfloat16"}`.
        block: entries with one scale, at least 1; None for 256, with 4 bits 128.
        min_size: arrays of fewer entries stay, at least 0.
        keep: parameters whose state stays (embeddings, say): a regular expression for whole names such as
            "embed/.*", several, or a mask: a tree of booleans or a function from the parameters to one.
        key: an integer or a random key.

    State: `QuantizeStateState(inner_state)`. Memory: 1 + 4 / block bytes for an entry of 4.
    Raises: at `init`, ValueError for a name that no slot has, and if no slot is like the parameters.
    Reference: Dettmers et al., 2021, 8-bit Optimizers via Block-wise Quantization, arXiv:2110.02861.

    Example:
        >>> plain, small = gc.adam(0.5), gc.quantize_state(gc.adam(0.5))
        >>> for tx in (plain, small):  # bytes for each of 4096 parameters
        ...     arrays = jax.tree.leaves(jax.eval_shape(tx.init, jnp.zeros(4096)))
        ...     print(round(sum(x.size * x.dtype.itemsize for x in arrays) / 4096))
        8
        2
    """
    check_bits(bits)
    inner = with_extra_args_support(tx)

    @functools.cache
    def places() -> list[Path]:
        return list(rule_places(tx))

    def init(params: Params) -> QuantizeStateState:
        state = inner.init(params)
        if not is_placeholder(params):
            known_to_flax()
            codecs = plan(tx, bits, block, min_size, keep, params, state)
            leaves, treedef = jax.tree.flatten(state)
            del state  # each array goes when its codes are there
            first = key_of(key)
            for i, codec in enumerate(codecs):
                if codec is not None:
                    leaves[i] = packed(leaves[i], codec, seed_of(jax.random.fold_in(first, i)))
            state = treedef.unflatten(leaves)
        return QuantizeStateState(state)

    def run(
        whole: bool, updates: Updates, state: QuantizeStateState, params: Any = None, **extra_args: Any
    ) -> tuple[Any, QuantizeStateState]:
        known_to_flax()
        kept, treedef = jax.tree.flatten(state.inner_state, is_leaf=_stops)
        stay = staying(places(), state.inner_state)
        ready = [x.unpacked() if is_packed(x) and id(x) not in stay else x for x in kept]
        inner_state = treedef.unflatten(ready)
        result, inner_state = inner.run(whole, updates, inner_state, params, **extra_args)
        news = treedef.flatten_up_to(inner_state)
        for i, old in enumerate(kept):
            if is_packed(old) and not is_packed(news[i]):
                news[i] = old.like(news[i])
        return result, QuantizeStateState(treedef.unflatten(news))

    return wrapper(init, run, one_program=True, inside=[(tx, ("inner_state",))])


def _stops(x: Any) -> bool:
    """Whether the walk through a state ends here: what another `quantize_state` keeps is its own."""
    return is_packed(x) or isinstance(x, QuantizeStateState)
