"""Which array of a state is kept in which format."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Union

import jax
import jax.numpy as jnp

from ..core import Packed, dtype_of, nearest
from ..core.types import Array, OptState, Params
from ..transforms.group_names import compiled_pattern, listed
from ..transforms.masking import is_tree_fn
from ..tree.paths import paths
from .codecs import Dynamic, Float8, Linear4, Rounded
from .slot_kinds import never_negative, stays
from .state_slots import StateLeaf, state_leaves

Bits = Union[int, str, Mapping[str, Union[int, str, None]]]
"""8, 4, "float8" or "bfloat16", or by the name of a slot one of these or None."""

FORMATS = (8, 4, "float8", "bfloat16")
SIZES = {8: 1, 4: 1, "float8": 1, "bfloat16": 2}
"""Bytes of a code."""


def check_bits(bits: Bits) -> None:
    """Raises ValueError for what is no format, TypeError for names that are no text."""
    if not isinstance(bits, Mapping):
        _check_format("bits", bits, FORMATS)
        return
    for name, value in bits.items():
        if not isinstance(name, str):
            raise TypeError(
                f"quantize_state: the keys of bits must be names of slots such as 'mu', received {name!r}."
            )
        _check_format(f"bits[{name!r}]", value, (*FORMATS, None, 32))


def _check_format(what: str, value: Any, allowed: Sequence[Any]) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, str, type(None))) or value not in allowed:
        close = nearest(value, [x for x in allowed if isinstance(x, str)]) if isinstance(value, str) else ""
        raise ValueError(
            f"quantize_state: {what} must be one of {', '.join(map(repr, allowed))}, received {value!r}."
            + close
        )


def codec_of(form: Any, signed: bool, block: int | None) -> Any:
    """The codec of a format."""
    if form == "bfloat16":
        return Rounded()
    if form == 4:
        return Dynamic(4, True, block or 128) if signed else Linear4(block or 128)
    if form == 8:
        return Dynamic(8, signed, block or 256)
    return Float8(signed, block or 256)


def plan(
    inner: Any, bits: Bits, block: int | None, min_size: int, keep: Any, params: Params, state: OptState
) -> list[Any]:
    """For each leaf of a state its codec, or None.

    Raises: see `quantize_state`.
    """
    leaves = state_leaves(inner.init, params, state)
    mine = [leaf for leaf in leaves if leaf.parameter is not None and _is_real(leaf.value)]
    if isinstance(bits, Mapping):
        _check_names(bits, leaves, bool(mine))
    else:
        _check_any(bits, inner, leaves, mine, params)
    kept = kept_parameters(keep, params)

    def codec(leaf: StateLeaf) -> Any:
        form = format_of(bits, leaf)
        if form is None or leaf.parameter is None or leaf.parameter in kept:
            return None
        x = leaf.value
        if not _is_real(x) or jnp.ndim(x) == 0 or jnp.size(x) < max(min_size, 1):
            return None
        signed = not never_negative(leaf.owner, leaf.slot)
        return codec_of(form, signed, block) if dtype_of(x).itemsize > SIZES[form] else None

    return [codec(leaf) for leaf in leaves]


def format_of(bits: Bits, leaf: StateLeaf) -> Any:
    """The format of a leaf's slot, or None if it stays as it is."""
    if isinstance(bits, Mapping):
        form = bits.get(leaf.slot)
        return None if form == 32 else form
    return None if stays(leaf.owner, leaf.slot, bits == "bfloat16") else bits


def _is_real(x: Any) -> bool:
    return jnp.issubdtype(dtype_of(x), jnp.floating)


def _check_names(bits: Mapping[str, Any], leaves: list[StateLeaf], any_mine: bool) -> None:
    names = list(dict.fromkeys(leaf.slot for leaf in leaves if leaf.slot))
    for name in bits if any_mine else ():
        if name not in names:
            raise ValueError(
                f"quantize_state: bits names {name!r}, which no slot has; the slots are {listed(names)}."
                + nearest(name, names)
            )


def _check_any(
    bits: Any, inner: Any, leaves: list[StateLeaf], mine: list[StateLeaf], params: Params
) -> None:
    """Raises ValueError if there is nothing in the state that `bits` could be for."""
    has_some = any(_is_real(p) for p in jax.tree.leaves(params))
    if not has_some or any(format_of(bits, leaf) is not None for leaf in mine):
        return
    names = list(dict.fromkeys(leaf.slot for leaf in mine))
    if names:
        raise ValueError(
            f"quantize_state: nothing would change. {inner!r} keeps only {listed(names)} for each "
            "parameter: sums and copies stay exact unless they are named, as in "
            f"bits={{{names[0]!r}: {bits!r}}}."
        )
    raise ValueError(
        f"quantize_state: nothing would change, for {inner!r} keeps no arrays of the parameters' shapes. "
        "Around flatten, put it inside: flatten(quantize_state(...))."
    )


def kept_parameters(keep: Any, params: Params) -> set[str]:
    """The names of the parameters whose state stays as it is."""
    if keep is None:
        return set()
    named = paths(params)
    names = jax.tree.leaves(named)
    patterns = [keep] if isinstance(keep, str) else keep
    if isinstance(patterns, Sequence) and patterns and all(isinstance(x, str) for x in patterns):
        found: set[str] = set()
        for text in patterns:
            pattern = compiled_pattern("quantize_state: keep", text)
            matched = [name for name in names if pattern.fullmatch(name)]
            if names and not matched:
                raise ValueError(
                    f"quantize_state: keep={text!r} matches no parameter. The parameters are "
                    f"{listed(names)}. A pattern must match a whole name.{nearest(text, names)}"
                )
            found.update(matched)
        return found
    function: Any = keep
    mask = function(params) if is_tree_fn(keep) else keep
    chosen = jax.tree.map(lambda m, below: below if m else None, mask, named)
    return set(jax.tree.leaves(chosen))


@functools.partial(jax.jit, static_argnums=1)
def packed(x: Array, codec: Any, seed: Array) -> Packed:
    """An array, packed, in one program."""
    x = jax.lax.optimization_barrier(x)  # or XLA would evaluate what it knows, slowly
    return Packed.of(x, codec, seed)
