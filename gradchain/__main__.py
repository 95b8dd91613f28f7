"""`python -m gradchain compare` is `gradchain compare`."""

from .compare.cli import main

if __name__ == "__main__":
    main()
