"""What a compiled program's devices send is read from its text."""

import jax
import jax.numpy as jnp
import pytest
from devices import mesh_of
from jax.sharding import NamedSharding, PartitionSpec as P

import gradchain as gc

TEXT = """HloModule jit_step, num_partitions=2
%sum (a: f32[], b: f32[]) -> f32[] {
  ROOT %add = f32[] add(%a, %b)
}

%later (p: (f32[8])) -> (f32[8]) {
  %all-reduce.1 = f32[8]{0} all-reduce(%x), replica_groups=[2,4]<=[8], to_apply=%sum
}

%branch_1 (p: (f32[8])) -> (f32[8]) {
  %call = (f32[8]) call(%p), to_apply=%later
}

ENTRY %main.2 (p: f32[8]) -> f32[8] {
  %ag = (bf16[2,3]{1,0}, bf16[8,3]{1,0}) all-gather-start(%x), replica_groups={{0,1,2,3},{4,5,6,7}}
  %done = bf16[8,3]{1,0} all-gather-done(%ag)
  %rs = f32[2]{0:T(128)} reduce-scatter(%y), replica_groups={{0,1},{2,3}}, to_apply=%sum
  %a2a = (u8[1,5]{1,0}, u8[1,5]{1,0}) all-to-all(%a, %b), replica_groups={}
  %ar = (f32[2], s8[6]) all-reduce(%c, %d), replica_groups=mesh['a'=4,'b'=2] {'b'}, to_apply=%sum
  %cp = (f32[4], f32[4], u32[], u32[]) collective-permute-start(%z), source_target_pairs={{0,1},{1,0}}
  %conditional.3 = (f32[8]) conditional(%i, %t, %u), branch_computations={%branch_0, %branch_1}
}
"""


def test_texts_are_read() -> None:
    found = gc.collectives(TEXT)
    assert found == [
        gc.Collective("all-reduce", (("f32", (8,)),), 4, True),
        gc.Collective("all-gather", (("bf16", (8, 3)),), 4, False),
        gc.Collective("reduce-scatter", (("f32", (2,)),), 2, False),
        gc.Collective("all-to-all", (("u8", (1, 5)), ("u8", (1, 5))), 2, False),
        gc.Collective("all-reduce", (("f32", (2,)), ("s8", (6,))), 2, False),
        gc.Collective("collective-permute", (("f32", (4,)),), 2, False),
    ]
    assert [c.sent for c in found] == [2 * 3 / 4 * 32, 3 / 4 * 48, 8, 5, 14, 16]
    assert gc.bytes_sent(TEXT, every=10) == gc.bytes_sent(found, every=10) == 4.8 + 36 + 8 + 5 + 14 + 16


@pytest.mark.parametrize(("axis", "devices"), [("data", 4), ("model", 2)])
def test_programs_are_read(axis: str, devices: int) -> None:
    mesh = mesh_of((4, 2), "data", "model")
    x = jax.device_put(jnp.ones((8, 6)), NamedSharding(mesh, P(axis)))
    whole = NamedSharding(mesh, P())
    program = (
        jax.jit(lambda x: (x + 1, jnp.sum(x, axis=0)), out_shardings=(whole, whole)).lower(x).compile()
    )
    found = {c.kind: c for c in gc.collectives(program)}
    assert found["all-gather"] == gc.Collective("all-gather", (("f32", (8, 6)),), devices, False)
    assert found["all-reduce"] == gc.Collective("all-reduce", (("f32", (6,)),), devices, False)
    share = (devices - 1) / devices
    assert gc.bytes_sent(program) == share * (8 * 6 * 4 + 2 * 6 * 4)
