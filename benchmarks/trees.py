"""The parameters that benchmarks run on, in float32."""

import math
from typing import Any

import jax
import numpy as np

Tree = dict[str, Any]


def _block(width: int) -> dict[str, tuple[int, ...]]:
    """The shapes of one of GPT-2's blocks: 12 arrays."""
    return {
        "ln_1.weight": (width,),
        "ln_1.bias": (width,),
        "attn.c_attn.weight": (width, 3 * width),
        "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width),
        "attn.c_proj.bias": (width,),
        "ln_2.weight": (width,),
        "ln_2.bias": (width,),
        "mlp.c_fc.weight": (width, 4 * width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (4 * width, width),
        "mlp.c_proj.bias": (width,),
    }


def gpt2(layers: int = 12, width: int = 768) -> Tree:
    """The shapes of GPT-2 small: 148 arrays, 124,439,808 numbers."""
    return {
        "wte": (50257, width),
        "wpe": (1024, width),
        "h": {str(i): _block(width) for i in range(layers)},
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
    }


TREES: dict[str, tuple[str, Tree]] = {
    "one-array": ("one array of 16M", {"w": (4096, 4096)}),
    "gpt2": ("GPT-2 small: 148 arrays, 124M", gpt2()),
    "500-leaves": ("500 arrays of 64x64", {f"w{i:03}": (64, 64) for i in range(500)}),
}
"""Name to what it is and its shapes."""


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple)


def abstract(shapes: Tree) -> Any:
    """The tree as shapes and dtypes only, which is all that tracing needs."""
    return jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape, np.float32), shapes, is_leaf=_is_shape)


def random(shapes: Tree, seed: int) -> Any:
    """The tree filled with normal numbers, on the default device; a large array repeats a million."""
    generator = np.random.default_rng(seed)

    def fill(shape: tuple[int, ...]) -> jax.Array:
        numbers = generator.standard_normal(min(math.prod(shape), 2**20), np.float32)
        return jax.device_put(np.resize(numbers, shape))

    return jax.tree.map(fill, shapes, is_leaf=_is_shape)


def size(shapes: Tree) -> int:
    """How many numbers the tree has."""
    return sum(math.prod(shape) for shape in jax.tree.leaves(shapes, is_leaf=_is_shape))
