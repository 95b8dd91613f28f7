"""What takes a finished transformation."""
