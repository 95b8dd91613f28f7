"""Training quality: steps and time to a target loss, each optimizer at its own best rate and decay."""
