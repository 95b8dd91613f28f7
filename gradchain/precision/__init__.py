"""Low precision that is right and small: weights, states, gradients, and training that survives spikes."""
