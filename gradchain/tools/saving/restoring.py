"""One saved array, in the place of a leaf."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .document import CheckpointError, Spec


def restored(who: str, name: str, like: Any, d: Mapping[str, Any], spec: Spec) -> Any:
    """The saved array of a name: of the kind, dtype and sharding of `like`.

    Raises: CheckpointError if it is lost, or not what the description says.
    """
    if spec.dtype == "float0":
        return np.zeros(spec.shape, jax.dtypes.float0)
    value = np.zeros(spec.shape, dtype_of(who, name, spec)) if spec.empty else _read(who, name, d, spec)
    if spec.key is not None:
        return placed(_key(who, name, value, spec), like)
    if isinstance(like, (bool, int, float, complex)):
        return type(like)(value.item())
    if isinstance(like, (np.ndarray, np.generic)):
        return np.array(value)
    return placed(value, like)


def _key(who: str, name: str, value: Any, spec: Spec) -> jax.Array:
    """A random key from its integers."""
    try:
        key = jax.random.wrap_key_data(jax.device_put(np.array(value)), impl=spec.key)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{who}: {name} is no random key {spec.dtype}: {error}.") from None
    if key.shape != spec.shape:
        raise CheckpointError(
            f"{who}: {name} holds keys of shape {key.shape}, but {spec.shape} were saved."
        )
    return key


def placed(value: Any, like: Any) -> jax.Array:
    """A copy of an array where another one is: on its devices, if it was put there."""
    # JAX may read a NumPy array later, or for as long as it lives: it gets one of its own.
    own = jnp.array(value) if isinstance(value, jax.Array) else np.array(value)
    sharding = getattr(like, "sharding", None)
    placed_before = sharding is not None and getattr(like, "_committed", True)
    return jax.device_put(own, sharding if placed_before else None)


def dtype_of(who: str, name: str, spec: Spec) -> np.dtype[Any]:
    """The dtype of what is stored of an entry."""
    if spec.key is not None:
        return np.dtype(np.uint32)
    try:
        return np.dtype(spec.dtype)
    except TypeError:
        raise CheckpointError(
            f"{who}: {name} has the dtype {spec.dtype!r}, which this JAX does not know."
        ) from None


def _read(who: str, name: str, d: Mapping[str, Any], spec: Spec) -> Any:
    """The array of an entry. What a format does not know, such as bfloat16, it gives as bytes."""
    if name not in d:
        raise CheckpointError(f"{who}: the array of {name} is lost: not all that was saved is there.")
    value, dtype = d[name], dtype_of(who, name, spec)
    shape = value.shape if spec.key is not None else spec.shape
    if isinstance(value, jax.Array) and value.dtype == dtype and value.shape == shape:
        return value
    value = np.asarray(value)
    if value.dtype == dtype and value.shape == shape:
        return value
    size = int(np.prod(shape)) * dtype.itemsize
    if value.nbytes != size or value.dtype.kind not in "Vu":
        raise CheckpointError(
            f"{who}: {name} is {value.dtype}{list(value.shape)}, but {dtype}{list(shape)} was saved: it "
            "was changed since."
        )
    return np.frombuffer(np.ascontiguousarray(value).tobytes(), dtype).reshape(shape)
