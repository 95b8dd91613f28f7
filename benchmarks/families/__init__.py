"""One file per family of benchmarks; every file here is found by itself."""
