"""An array in fewer bits: codes and scales, as one node of a tree."""

import sys
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ._dtypes import cast, relaxed_promotion
from .types import Array


class Codec(Protocol):
    """How arrays of float32 are written as codes and scales, and read. Codecs go by value."""

    def encode(self, x: Array, seed: Array | None) -> tuple[Array, Any]:
        """Codes and scales; entries are rounded at random from a seed, u32[], or to the nearest."""
        ...

    def decode(self, codes: Array, scales: Any, shape: tuple[int, ...]) -> Array:
        """The array, of this shape, in float32."""
        ...

    @property
    def name(self) -> str:
        """In a few words: "8-bit"."""
        ...


class Packed:
    """An array that is kept as codes and scales.

    A node of a tree: its arrays have the names "codes", "scales" and "seed", all else is static.

    Attributes:
        codes: most often of the array's shape, so that they are sharded as it is.
        scales: what the codec keeps beside them: None, an array or a tuple.
        seed: u32[], from which the next array is rounded at random, so that it is right on average. What
            moves by less than half the distance of two codes would stand still if it were rounded to the
            nearest: a second moment with a decay of 0.999.
        codec: how to read them.
        dtype: of the array.
        last: the length of its last axis, which codes that share a byte do not tell.
    """

    __slots__ = ("codec", "codes", "dtype", "last", "scales", "seed")

    def __init__(self, codes: Any, scales: Any, seed: Any, codec: Codec, dtype: Any, last: int):
        self.codes, self.scales, self.seed = codes, scales, seed
        self.codec, self.dtype, self.last = codec, np.dtype(dtype), last

    @classmethod
    def of(cls, x: Any, codec: Codec, seed: Any = 0) -> "Packed":
        """The array `x`, packed, each entry as its nearest code; the seed is for the next array."""
        return cls._made(x, codec, None, jnp.asarray(seed, jnp.uint32))

    def like(self, x: Any) -> "Packed":
        """Another array, packed as this one is, rounded at random."""
        return self._made(cast(x, self.dtype), self.codec, self.seed, self.seed + jnp.uint32(1))

    @classmethod
    def _made(cls, x: Any, codec: Codec, seed: Any, following: Any) -> "Packed":
        with relaxed_promotion():
            codes, scales = codec.encode(cast(x, jnp.float32), seed)
        return cls(codes, scales, following, codec, x.dtype, x.shape[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return (*self.codes.shape[:-1], self.last)

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of its entries."""
        return int(np.prod(self.shape))

    def unpacked(self) -> Array:
        """The array."""
        with relaxed_promotion():
            x = self.codec.decode(self.codes, self.scales, self.shape)
        return cast(x, self.dtype)

    def __repr__(self) -> str:
        return f"Packed({self.codec.name}, {self.dtype.name}{list(self.shape)})"


def is_packed(x: Any) -> bool:
    """Whether `x` is an array in fewer bits."""
    return isinstance(x, Packed)


def has_packed(tree: Any) -> bool:
    """Whether some array of a tree is in fewer bits."""
    return any(map(is_packed, jax.tree.leaves(tree, is_leaf=is_packed)))


def unpacked(tree: Any) -> Any:
    """The tree with arrays in place of those in fewer bits."""
    return jax.tree.map(lambda x: x.unpacked() if is_packed(x) else x, tree, is_leaf=is_packed)


def packed_like(tree: Any, like: Any) -> Any:
    """The tree with arrays in fewer bits where another one has such."""

    def pack(old: Any, x: Any) -> Any:
        return old.like(x) if is_packed(old) else x

    return jax.tree.map(pack, like, tree, is_leaf=is_packed)


@jax.jit
def true_after(tree: Any) -> Array:
    """True, when what is packed in a tree is there: XLA does not see that it always is."""
    kept = [x for x in jax.tree.leaves(tree, is_leaf=is_packed) if is_packed(x)]
    told = [s for x in kept for s in jax.tree.leaves(x.scales) or [x.codes]]
    seen = [jnp.max(x).astype(jnp.float32) for x in told]
    total = sum(seen[1:], seen[0])
    return (total < 1) | (total > 0) | jnp.isnan(total)


_KEYS = tuple(jax.tree_util.GetAttrKey(name) for name in ("codes", "scales", "seed"))


def _flatten_with_keys(x: Packed) -> Any:
    return tuple(zip(_KEYS, (x.codes, x.scales, x.seed), strict=True)), (x.codec, x.dtype, x.last)


def _flatten(x: Packed) -> Any:
    return (x.codes, x.scales, x.seed), (x.codec, x.dtype, x.last)


def _unflatten(static: Any, children: Any) -> Packed:
    x = object.__new__(Packed)  # children may be anything: places, specs, None
    x.codes, x.scales, x.seed = children
    x.codec, x.dtype, x.last = static
    return x


jax.tree_util.register_pytree_with_keys(Packed, _flatten_with_keys, _unflatten, _flatten)


def known_to_flax() -> None:
    """Tells Flax's serialization, if it is loaded, what is in a `Packed`."""
    flax: Any = sys.modules.get("flax.serialization")
    if flax is None or _told is flax:
        return

    def to_dict(x: Packed) -> dict[str, Any]:
        return {"codes": x.codes, "scales": flax.to_state_dict(x.scales), "seed": x.seed}

    def from_dict(x: Packed, d: dict[str, Any]) -> Packed:
        scales = flax.from_state_dict(x.scales, d["scales"])
        return _unflatten((x.codec, x.dtype, x.last), (d["codes"], scales, d["seed"]))

    flax.register_serialization_state(Packed, to_dict, from_dict, override=True)
    globals()["_told"] = flax


_told: Any = None
