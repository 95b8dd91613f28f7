"""The file of raw results: one entry for each workload and optimizer, written as they come."""

import json
import threading
from pathlib import Path
from typing import Any

Record = dict[str, Any]
PARTS = ("training", "timing")


class Results:
    """Results by part, workload and optimizer; each `add` rewrites the file, so that a run can go on."""

    def __init__(self, file: Path, facts: Record):
        self.file, self.lock = file, threading.Lock()
        self.data: Record = {"facts": facts} | {part: {} for part in PARTS}
        if file.exists():
            self.data |= read(file)
            if self.data["facts"]["workloads"] != facts["workloads"]:
                raise ValueError(f"{file} has results of other workloads; choose another folder.")

    def has(self, part: str, workload: str, optimizer: str) -> bool:
        """Whether this is done."""
        return optimizer in self.data[part].get(workload, {})

    def add(self, part: str, workload: str, optimizer: str, record: Record) -> None:
        """Keeps a record, here and in the file."""
        with self.lock:
            self.data[part].setdefault(workload, {})[optimizer] = record
            self.file.parent.mkdir(parents=True, exist_ok=True)
            spare = self.file.with_suffix(".part")
            spare.write_text(dumps(self.data), encoding="utf-8")
            spare.replace(self.file)


def read(file: Path) -> Record:
    """The results in a file.

    Raises: FileNotFoundError; ValueError if the file holds something else.
    """
    data = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not {"facts", *PARTS} <= data.keys():
        raise ValueError(f"{file} holds no results of `python -m benchmarks quality`.")
    return data


def dumps(data: Record) -> str:
    """JSON with one line for each optimizer's record."""
    lines = ["{", f'"facts": {json.dumps(data["facts"])}']
    for part in PARTS:
        lines[-1] += ","
        lines.append(f'"{part}": {{')
        for i, (workload, rows) in enumerate(data[part].items()):
            lines.append(("," if i else "") + f'"{workload}": {{')
            lines.append(",\n".join(f'"{name}": {json.dumps(row)}' for name, row in rows.items()))
            lines.append("}")
        lines.append("}")
    return "\n".join([*lines, "}"]) + "\n"
