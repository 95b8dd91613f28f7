"""States on many devices: where each array of a state lies, and ZeRO-1."""
