"""The steps of other packages' optimizers, from every `references/field*.json`."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "references"
FILES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("field*.json"))
}
"""By name: versions, parameters, gradients, cases."""

NAMES: dict[str, dict[str, Any]] = {case["name"]: case for file in FILES.values() for case in file["cases"]}
REFERENCES = {case["name"]: file for file in FILES.values() for case in file["cases"]}
"""The file of each case."""

VERSIONS = {name: version for file in FILES.values() for name, version in file["versions"].items()}
