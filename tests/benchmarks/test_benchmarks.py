"""Every benchmark on five drawn photos, the float64 reference, the clock and the tables."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import fidelity, growth, moments, photos, prepare, reference, scaling, store, table
from benchmarks.clock import Costs, measure_interleaved, median_microseconds
from benchmarks.table import Goal, Row, cost_rows, make_installed, show
from PIL import Image
from rich.console import Console

from alexnet.miniature.render import draw
from benchmark_tables import check_ratios, jpeg, number


@pytest.fixture(scope="module")
def photo_files() -> list[bytes]:
    return [jpeg(Image.fromarray(draw(0, label, 0))) for label in range(5)]


@pytest.fixture
def folder(tmp_path: Path, photo_files: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set ALEXNET_PHOTOS to a folder of five photos and a truncated one."""
    (tmp_path / "class").mkdir()
    for n, photo in enumerate(photo_files):
        (tmp_path / "class" / f"{n}.JPEG").write_bytes(photo)
    (tmp_path / "cut.jpg").write_bytes(photo_files[0][:500])
    monkeypatch.setenv("ALEXNET_PHOTOS", str(tmp_path))
    return tmp_path


def test_prepare_measures_all_ways(photo_files: list[bytes]) -> None:
    rows = prepare.rows(photo_files, 1)
    check_ratios(rows, "ours")
    assert {row.name for row in rows} == set(prepare.MAKERS)
    assert number(rows[0].cost) > 0
    assert all(row.goal for row in rows if row.name in prepare.GOALS and row.ratio)


def test_store_measures_all_writers(photo_files: list[bytes]) -> None:
    rows = store.rows(photo_files, 1)
    check_ratios(
        [row for row in rows if store.COMPARED_WITH.get(row.name, store.RAW) == store.RAW],
        store.RAW,
    )
    assert {row.name for row in rows} == set(store.MAKERS)


def test_moments_measures_all_ways_from_memory_and_cache(photo_files: list[bytes]) -> None:
    rows = moments.rows(photo_files, 1)
    assert rows[1].name == "memcpy of the same bytes, from memory"
    assert len(rows) == 2 * len(moments.WAYS)
    assert min(number(row.cost) for row in rows) > 0


def test_naive_moments_equal_ours() -> None:
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), np.uint8))
    ours, (total, products) = moments.sum_images(pictures), moments.naive(pictures)
    np.testing.assert_array_equal(ours.pixels, total)
    np.testing.assert_array_equal(ours.products, products)


def test_our_fidelity_meets_its_goal(photo_files: list[bytes]) -> None:
    ours = fidelity.rows(photo_files, 1)[0]
    assert number(ours.cost) > fidelity.MIN_DB
    assert ours.goal.endswith(": met; 0 of 5 below 55 dB")


@pytest.mark.slow
def test_scaling_measures_resize_and_moments(
    photo_files: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "ARITHMETIC", 1000)
    rows = scaling.rows(photo_files, 1)
    assert [row.name for row in rows][:2] == ["resize", "moments"]
    assert "load" in rows[-1].cost


@pytest.mark.slow
def test_growth_measures_three_sizes(photo_files: list[bytes]) -> None:
    rows = growth.rows(photo_files[:2], 1)
    assert [row.name for row in rows] == ["2 images", "4 images", "8 images"]
    assert rows[0].goal == "CPU × 1.00, memory × 1.00"


def test_photos_come_from_the_environment_without_odd_files(
    folder: Path, photo_files: list[bytes]
) -> None:
    found = photos.load(100)
    assert sorted(found.files) == sorted(photo_files)
    assert found.odd == 1
    assert str(folder) not in str(found)
    assert len(photos.load(2).files) == 2


def test_folder_without_photos_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_PHOTOS", str(tmp_path))
    with pytest.raises(SystemExit, match="fix: set ALEXNET_PHOTOS"):
        photos.load(1)


def test_photos_are_picked_at_even_distances() -> None:
    assert photos.pick_evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert photos.pick_evenly(range(3), 5) == [0, 1, 2]


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (300, 301), (90, 100), (256, 256)])
def test_reference_equals_pillows_resize_in_float32(size: tuple[int, int]) -> None:
    """Pillow's mode F computes each channel in float32, with weights in float64."""
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


def test_psnr_of_rounding_is_58_9_db() -> None:
    """An error uniform in ±½ has a mean square of 1/12."""
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


def test_cpu_time_counts_children_but_not_sleep() -> None:
    """Runs in its own process: here threads and children of other tests may be busy."""
    command = [sys.executable, "-c", CPU_TIMES]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    slept, worked = map(float, output.split())
    assert slept < 0.1
    assert worked > 0.01


def test_every_way_runs_every_unit_once_per_round_in_random_order() -> None:
    calls: list[tuple[str, int]] = []
    ways = {name: lambda unit, name=name: calls.append((name, unit)) for name in "abc"}
    measure_interleaved(ways, range(20), 2)
    first, counted = calls[:3], calls[3:]
    assert first == [("a", 0), ("b", 0), ("c", 0)]  # not counted
    assert sorted(counted) == sorted((n, u) for n in "abc" for u in range(20) for _ in range(2))
    assert len({tuple(counted[n : n + 3]) for n in range(0, 120, 3)}) > 20


def test_costs_use_the_clock_and_exclude_the_cleanup() -> None:
    ticks = [0.0]
    ways = {
        "one": lambda unit: ticks.__setitem__(0, ticks[0] + unit),
        "two": lambda unit: ticks.__setitem__(0, ticks[0] + 2 * unit),
    }
    clock, after = (lambda: ticks[0]), (lambda: ticks.__setitem__(0, ticks[0] + 100))
    costs = measure_interleaved(ways, [1.0, 3.0], 3, clock, after)
    np.testing.assert_array_equal(costs["one"], [4, 4, 4])
    np.testing.assert_array_equal(costs["two"], [8, 8, 8])
    assert median_microseconds(costs, "two", 2) == 4e6


def test_ratios_are_medians_over_rounds_with_goals() -> None:
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


def test_missing_library_is_reported() -> None:
    def fail() -> str:
        raise ModuleNotFoundError("No module named 'nowhere'")

    made, missing = make_installed({"present": lambda: "made", "gone": fail})
    assert made == {"present": "made"}
    assert table.missing_rows(missing) == [Row("gone", "not installed: No module named 'nowhere'")]


def test_table_contains_every_cell() -> None:
    console = Console(file=io.StringIO(), width=200)
    show("title", [Row("name", "1 µs", "2.00", "≥ 1: met")], console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(cell in text for cell in ("title", "name", "1 µs", "2.00", "≥ 1: met"))
