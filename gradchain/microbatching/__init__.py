"""Large batches in the memory of small ones."""

from .accumulators import AccumulationType as AccumulationType, Accumulator as Accumulator
from .batches import reshape_batch_axis as reshape_batch_axis
from .micro_grad import micro_grad as micro_grad
from .micro_vmap import micro_vmap as micro_vmap
from .microbatch import microbatch as microbatch
