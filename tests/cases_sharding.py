"""Rows of what decides where a state lies, on a mesh of one device: small trees cannot be cut."""

import jax
from table import ADAM, LR, opt, row

import gradchain as gc

ONE = jax.sharding.Mesh(jax.devices()[:1], ("data",))
KINDS = [memory.kind for memory in jax.devices()[0].addressable_memories()]
HOST = "pinned_host" if "pinned_host" in KINDS else KINDS[0]
HOSTED = {"twin": False, "hosted": True, "squares": ()}

# fmt: off
CASES = [
    opt("offload_state", gc.adam(LR), HOST).but(**HOSTED),
    row("offload_state", gc.chain(gc.clip(1.0), gc.adafactor(LR)), HOST).but(**HOSTED),
    opt("zero1", gc.adamw(LR, **ADAM), ONE).but(twin=False),
]
# fmt: on
