"""Where measurements are kept: one file of JSON for each kind and device."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(folder: Path, record: Mapping[str, Any], kind: str = "") -> Path:
    """Write a record into a folder, named after its kind and device.

    Args:
        folder: made where missing.
        record: ready for JSON; `device` is the device's name.
        kind: what was measured; empty for the benchmark against other frameworks.

    Returns:
        The file.
    """
    name = re.sub(r"[^a-z0-9]+", "-", f"{kind} {record['device']}".lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path
