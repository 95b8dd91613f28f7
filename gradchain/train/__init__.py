"""Training that survives: a loop that saves what it needs to go on."""
