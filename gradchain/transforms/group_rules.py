"""Rules for `groups` that many want: layer-wise learning rates, no decay of biases and norms."""

import re
from collections.abc import Mapping, Sequence

import jax

from ..core import GradientTransformationExtraArgs
from ..core.types import Params
from ..tree.paths import paths
from .group_names import compiled_pattern, listed
from .scaled_group import scaled_group

NUMBER = r"(\d+)"
LAYER = r"(?:.*?/)??(?:[^/]*layers?|[^/]*blocks?|h)[_/]?(\d+)/.*"

Rules = dict[str, GradientTransformationExtraArgs]


def layerwise_decay(
    decay: float, params: Params, *, layer: str = LAYER, embeddings: str | None = r".*embed.*"
) -> Rules:
    r"""Rules for `groups` by which the learning rate falls from the last layer to the first.

        groups(layerwise_decay(0.75, params), default=adamw(1e-4, mask=decay_matrices_only()))

    The rate of depth d is multiplied by decay^(L + 1 - d): the embeddings have depth 0, the L layers in the
    order of their numbers 1 to L, and what is in neither (a head, a last norm) the full rate.

    Args:
        decay: in (0, 1]; 0.65 to 0.9 are usual for fine-tuning.
        params: arrays, or `jax.ShapeDtypeStruct`s.
        layer: a pattern for the names of parameters in layers, with `(\d+)` where their number is. By
            default 'layers/3/...', 'layer_3/...', 'encoderblock_3/...', 'h/3/...' are layers.
        embeddings: a pattern for the names of the others that have depth 0; None if there are none.

    Returns: a dict by pattern, of which each is for one layer: put other rules before or after it.
    Raises: ValueError if no parameter is in a layer, or none in the embeddings.
    Reference: Clark et al., 2020, ELECTRA, arXiv:2003.10555; the depths are those of Bao et al., 2021,
        BEiT, arXiv:2106.08254 (in ELECTRA's own code each layer has one power more).

    Example:
        >>> params = {"embed": jnp.ones(1), "layer_0": {"w": jnp.ones(1)}, "head": jnp.ones(1)}
        >>> tx = gc.groups(gc.layerwise_decay(0.5, params), default=gc.sgd(1.0))
        >>> u, _ = tx.update(params, tx.init(params), params)
        >>> print(u["embed"].tolist(), u["layer_0"]["w"].tolist(), u["head"].tolist())
        [-0.25] [-0.5] [-1.0]
    """
    if not 0 < decay <= 1:
        raise ValueError(f"layerwise_decay: decay must be in (0, 1], received {decay!r}.")
    if layer.count(NUMBER) != 1:
        raise ValueError(
            r"layerwise_decay: layer must have (\d+) once, where the number of a layer is, received "
            f"{layer!r}."
        )
    pattern, names = compiled_pattern("layerwise_decay", layer), jax.tree.leaves(paths(params))
    found = {name: match for name in names if (match := pattern.fullmatch(name))}
    if not found:
        raise ValueError(
            f"layerwise_decay: no parameter is in a layer: {layer!r} matches none of {listed(names)}. "
            r"Give the pattern of your names, such as layer=r'.*block_(\d+)/.*'."
        )
    numbers = sorted({int(match[1]) for match in found.values()})
    head = len(numbers) + 1
    rules = {}
    for depth, number in enumerate(numbers, 1):
        inside = {name: match.end(1) for name, match in found.items() if int(match[1]) == number}
        rules[_pattern_of(inside, names)] = scaled_group(learning_rate=decay ** (head - depth))
    if embeddings is not None:
        others = [name for name in names if name not in found]
        if not any(map(compiled_pattern("layerwise_decay", embeddings).fullmatch, others)):
            raise ValueError(
                f"layerwise_decay: no embeddings: {embeddings!r} matches none of those in no "
                f"layer, {listed(others)}. Give their pattern, or embeddings=None."
            )
        rules[embeddings] = scaled_group(learning_rate=decay**head)
    return rules


def no_decay(words: Sequence[str] = ("bias", "norm", "scale")) -> Rules:
    """Rules for `groups` by which biases and norms have no weight decay.

        groups(no_decay(), default=adamw(1e-3, weight_decay=0.1))

    Where other rules choose learning rates, give the optimizer a mask instead, which every group keeps:
    `adamw(1e-3, mask=decay_matrices_only())`.

    Args: words, of which one is in the name of what does not decay, in upper or lower case.
    Returns: a dict by pattern; it has one, whose group is called "no_decay".

    Example:
        >>> tx = gc.groups(gc.no_decay(), default=gc.sgd(1.0, weight_decay=0.5))
        >>> p = {"kernel": jnp.array([2.0]), "bias": jnp.array([2.0])}
        >>> p, _ = tx.step(jax.tree.map(jnp.zeros_like, p), tx.init(p), p)
        >>> print(p["kernel"].tolist(), p["bias"].tolist())
        [1.0] [2.0]
    """
    if isinstance(words, str) or not words:
        raise TypeError(f"no_decay: words must be a sequence of words, received {words!r}.")
    return {f"(?P<no_decay>(?i:.*({'|'.join(map(re.escape, words))}).*))": scaled_group(weight_decay=0)}


def _pattern_of(inside: Mapping[str, int], names: Sequence[str]) -> str:
    """The pattern of one layer.

    Args: inside, the names in it, each with where its number ends; names, all of them.
    """
    starts = sorted({name[:end] for name, end in inside.items()})
    start = re.escape(starts[0]) if len(starts) == 1 else f"({'|'.join(map(re.escape, starts))})"
    pattern = start + (
        "/.*" if all(name[end:].startswith("/") for name, end in inside.items()) else r"(?!\d).*"
    )
    for name in names:
        if (re.fullmatch(pattern, name) is not None) != (name in inside):
            raise ValueError(
                f"layerwise_decay: {name!r} begins as the names of a layer do, {starts[0]!r}, but the "
                r"pattern reads it otherwise. Give one that ends in (\d+)/.*"
            )
    return pattern
