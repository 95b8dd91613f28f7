"""Low precision that is right and small: weights, states, gradients, and training that survives spikes."""

from .quantize_state import QuantizeStateState as QuantizeStateState, quantize_state as quantize_state
