"""Each benchmark on a few drawn photos; the float64 reference against Pillow; the clock."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import fidelity, growth, moments, photos, prepare, reference, scaling, store, table
from benchmarks.clock import Costs, interleaved, microseconds
from benchmarks.table import Goal, Row, cost_rows, installed, show
from PIL import Image
from rich.console import Console

from alexnet.miniature.render import draw
from benchmark_tables import checked, jpeg, number


@pytest.fixture(scope="module")
def few() -> list[bytes]:
    return [jpeg(Image.fromarray(draw(0, label, 0))) for label in range(5)]


@pytest.fixture
def folder(tmp_path: Path, few: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five photos and an odd one, where ALEXNET_PHOTOS points."""
    (tmp_path / "class").mkdir()
    for n, photo in enumerate(few):
        (tmp_path / "class" / f"{n}.JPEG").write_bytes(photo)
    (tmp_path / "cut.jpg").write_bytes(few[0][:500])
    monkeypatch.setenv("ALEXNET_PHOTOS", str(tmp_path))
    return tmp_path


def test_prepare(few: list[bytes]) -> None:
    rows = prepare.rows(few, 1)
    checked(rows, "ours")
    assert {row.what for row in rows} == set(prepare.MAKERS)
    assert number(rows[0].cost) > 0
    assert all(row.goal for row in rows if row.what in prepare.GOALS and row.ratio)


def test_store(few: list[bytes]) -> None:
    rows = store.rows(few, 1)
    checked([row for row in rows if store.OURS.get(row.what, store.RAW) == store.RAW], store.RAW)
    assert {row.what for row in rows} == set(store.MAKERS)


def test_moments(few: list[bytes]) -> None:
    rows = moments.rows(few, 1)
    assert rows[1].what == "memcpy of the same bytes, from memory"
    assert len(rows) == 2 * len(moments.WAYS)
    assert min(number(row.cost) for row in rows) > 0


def test_moments_of_the_plain_way_are_ours() -> None:
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), np.uint8))
    ours, (total, products) = moments.sum_images(pictures), moments.naive(pictures)
    np.testing.assert_array_equal(ours.pixels, total)
    np.testing.assert_array_equal(ours.products, products)


def test_fidelity(few: list[bytes]) -> None:
    ours = fidelity.rows(few, 1)[0]
    assert number(ours.cost) > fidelity.LEAST
    assert ours.goal.endswith(": met; 0 of 5 below 55 dB")


@pytest.mark.slow
def test_scaling(few: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "ARITHMETIC", 1000)
    rows = scaling.rows(few, 1)
    assert [row.what for row in rows][:2] == ["resize", "moments"]
    assert "load" in rows[-1].cost


@pytest.mark.slow
def test_growth(few: list[bytes]) -> None:
    rows = growth.rows(few[:2], 1)
    assert [row.what for row in rows] == ["2 images", "4 images", "8 images"]
    assert rows[0].goal == "CPU × 1.00, memory × 1.00"


def test_photos_come_from_the_environment_and_odd_ones_are_left_out(
    folder: Path, few: list[bytes]
) -> None:
    found = photos.load(100)
    assert sorted(found.files) == sorted(few)
    assert found.odd == 1
    assert str(folder) not in str(found)
    assert len(photos.load(2).files) == 2


def test_without_photos_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_PHOTOS", str(tmp_path))
    with pytest.raises(SystemExit, match="fix: set ALEXNET_PHOTOS"):
        photos.load(1)


def test_photos_are_spread_over_all() -> None:
    assert photos.spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert photos.spread(range(3), 5) == [0, 1, 2]


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (300, 301), (90, 100), (256, 256)])
def test_reference_is_pillows_resize_in_floats(size: tuple[int, int]) -> None:
    """Pillow's mode F keeps each channel in float32, with weights in float64."""
    width, height = size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    short = min(size)
    left, top = (width - short) / 2, (height - short) / 2
    box = (left, top, left + short, top + short)
    bicubic = Image.Resampling.BICUBIC
    exact = reference.centre_square(picture, 256)
    for channel in range(3):
        plane = Image.fromarray(picture[:, :, channel].astype(np.float32))
        floats = np.asarray(plane.resize((256, 256), bicubic, box=box)).clip(0, 255)
        np.testing.assert_allclose(exact[:, :, channel], floats, atol=1e-3)


def test_psnr_of_rounding() -> None:
    """An error uniform in ±½ has the mean square 1/12: 58.9 dB."""
    exact = np.random.default_rng(0).uniform(0, 255, (256, 256, 3))
    assert reference.psnr(exact.round(), exact) == pytest.approx(58.92, abs=0.01)
    assert reference.psnr(exact, exact) == float("inf")


ROOT = Path(__file__).parents[2]
CPU_TIMES = """
import subprocess, sys, time
from benchmarks.clock import cpu_seconds
before = cpu_seconds()
time.sleep(0.5)
slept = cpu_seconds()
subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
print(slept - before, cpu_seconds() - slept)
"""


def test_cpu_time_counts_work_and_children_and_not_sleep() -> None:
    """In a process of its own: in this one other tests' threads and children may still work."""
    command = [sys.executable, "-c", CPU_TIMES]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    slept, worked = map(float, said.split())
    assert slept < 0.1
    assert worked > 0.01


def test_each_way_meets_each_unit_once_a_round_in_changing_order() -> None:
    met: list[tuple[str, int]] = []
    ways = {name: lambda unit, name=name: met.append((name, unit)) for name in "abc"}
    interleaved(ways, range(20), 2)
    first, counted = met[:3], met[3:]
    assert first == [("a", 0), ("b", 0), ("c", 0)]  # not counted
    assert sorted(counted) == sorted((n, u) for n in "abc" for u in range(20) for _ in range(2))
    assert len({tuple(counted[n : n + 3]) for n in range(0, 120, 3)}) > 20


def test_costs_are_of_the_clock_and_leave_out_what_comes_after() -> None:
    ticks = [0.0]
    ways = {
        "one": lambda unit: ticks.__setitem__(0, ticks[0] + unit),
        "two": lambda unit: ticks.__setitem__(0, ticks[0] + 2 * unit),
    }
    clock, after = (lambda: ticks[0]), (lambda: ticks.__setitem__(0, ticks[0] + 100))
    costs = interleaved(ways, [1.0, 3.0], 3, clock, after)
    np.testing.assert_array_equal(costs["one"], [4, 4, 4])
    np.testing.assert_array_equal(costs["two"], [8, 8, 8])
    assert microseconds(costs, "two", 2) == 4e6


def test_ratios_are_medians_of_rounds_with_the_goals() -> None:
    costs: Costs = {
        "ours": np.array([1.0, 2.0, 4.0]),
        "slow": np.array([3.0, 4.0, 8.0]),
        "part": np.array([0.5, 1.6, 2.0]),
    }
    goals = {"slow": Goal(at_least=2.5), "part": Goal(at_most=2.0)}
    ours, slow, part = cost_rows(costs, 10, {"": "ours"}, goals)
    assert ours == Row("ours", "200,000.0 µs")
    assert slow == Row("slow", "400,000.0 µs", "2.00 (2.00–3.00)", "≥ 2.5: missed")
    assert part.ratio == "0.50 (0.50–0.80)"
    assert part.goal == "ours ≤ 2 × this: 2.00, met"


def test_what_is_not_installed_is_named() -> None:
    def absent() -> str:
        raise ModuleNotFoundError("No module named 'nowhere'")

    made, missing = installed({"here": lambda: "made", "gone": absent})
    assert made == {"here": "made"}
    assert table.absent_rows(missing) == [Row("gone", "not installed: No module named 'nowhere'")]


def test_table_shows_every_cell() -> None:
    console = Console(file=io.StringIO(), width=200)
    show("title", [Row("what", "1 µs", "2.00", "≥ 1: met")], console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(cell in text for cell in ("title", "what", "1 µs", "2.00", "≥ 1: met"))
