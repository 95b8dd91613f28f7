"""Prints what CHANGELOG.md says of a version: `python .ci/changelog.py 0.1.0`; 1 if nothing."""

import re
import sys
from pathlib import Path

text = (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
section = re.search(
    rf"^## {re.escape(sys.argv[1])} \(\d{{4}}-\d\d-\d\d\)\n(.*?)(?=^## |\Z)", text, re.M | re.S
)
if not section:
    sys.exit(f"CHANGELOG.md has no dated section for {sys.argv[1]}")
print(section[1].strip())
