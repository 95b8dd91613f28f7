"""Many runs at once, and what they tell of hyperparameters."""
