"""States on many devices: where each array of a state lies, and ZeRO-1."""

from .collectives import Collective as Collective, bytes_sent as bytes_sent, collectives as collectives
from .gradients import sharded_value_and_grad as sharded_value_and_grad
from .offload_state import offload_state as offload_state
from .state_sharding import init_sharded as init_sharded, state_sharding as state_sharding
from .zero1 import zero1 as zero1
