"""Other libraries' classes that take gradchain's whole step, one module per library."""
