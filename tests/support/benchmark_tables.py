"""Checks of the tables that benchmarks print."""

import io
import re

import pytest
from benchmarks.table import Row
from PIL import Image


def jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def number(text: str) -> float:
    """Return the first number in a cell."""
    found = re.search(r"-?[\d.]+", text.replace(",", ""))
    assert found, text
    return float(found[0])


def check_ratios(rows: list[Row], ours: str) -> None:
    """Assert that ratios match the costs and that missing libraries have a reason."""
    costs = {row.name: number(row.cost) for row in rows if "not installed" not in row.cost}
    for row in rows:
        if row.name not in costs:
            assert row.cost.startswith("not installed: No module named"), row
        elif row.ratio:
            assert number(row.ratio) == pytest.approx(
                costs[row.name] / costs[ours], rel=0.05, abs=0.02
            )
