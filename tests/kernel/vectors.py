"""The JSON vectors of `tests/vectors/`, which other languages' tests read too."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "vectors"


def vectors(name: str) -> Any:
    """One file of vectors, parsed."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
