"""Optax and gradchain side by side: `python -m benchmarks`."""
