"""The names of `optax.experimental`; each is also in its folder."""

from . import aggregating as aggregating
