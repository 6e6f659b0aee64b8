"""Packages are installed by hash from lock files; builds are reproducible byte for byte."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = [
    "bootstrap.lock",
    "requirements.lock",
    "benchmarks/requirements.lock",
    "benchmarks/ffcv.lock",
]
PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+")
SUFFIXES = {"wheel": "*.whl", "sdist": "*.tar.gz"}
RUN_FILES = ("data/x", "raw/x", ".scratch/x", ".dvc/cache/x", ".dvc/config.local")  # ignored


def logical_lines(path: Path) -> list[str]:
    """Return the lines of a file, continuation lines joined."""
    return re.sub(r"\s*\\\n\s*", " ", path.read_text()).splitlines()


def requirements(lock: Path) -> list[str]:
    return [line for line in logical_lines(lock) if not re.match(r"\s*(#|$)", line)]


def tracked_files(*patterns: str) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return [name for name in names if (ROOT / name).exists()]


def test_every_lock_file_is_tested() -> None:
    locks = [name for name in tracked_files("*.lock") if Path(name).name != "dvc.lock"]
    assert sorted(locks) == sorted(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_by_hash_without_urls(lock: str) -> None:
    lines = requirements(ROOT / lock)
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
    assert "://" not in (ROOT / lock).read_text()


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.4.6",
        "numpy>=2 --hash=sha256:" + "0" * 64,
        "numpy @ https://example.org/numpy.whl --hash=sha256:" + "0" * 64,
        "--index-url https://example.org",
        "-e .",
        "numpy==2.4.6 --hash=md5:" + "0" * 32,
    ],
)
def test_unpinned_requirements_are_recognised(line: str) -> None:
    assert not PINNED.fullmatch(line)


def test_make_installs_every_download_by_hash() -> None:
    installs = [
        line for line in logical_lines(ROOT / "Makefile") if re.search(r"pip (sync|install)", line)
    ]
    for line in installs:
        downloads = not re.search(r"--no-deps --no-build-isolation --editable \.$", line)
        assert ("--require-hashes" in line) is downloads, line
    commands = " ".join(installs)
    assert [lock for lock in LOCKS if not re.search(rf"\b{re.escape(lock)}\b", commands)] == []


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copy the project twice, with other times and permissions; one also has files of runs."""
    folders = []
    for turn, name in enumerate(("first", "second")):
        folder = tmp_path_factory.mktemp(name) / "checkout"
        for file in tracked_files():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
        for file in RUN_FILES[: len(RUN_FILES) * turn]:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("password = a remote's")
        for path in folder.rglob("*"):
            os.utime(path, (1e9 + 1e6 * turn,) * 2)
            path.chmod(0o755 if path.is_dir() else (0o600, 0o644)[turn])
        folders.append(folder)
    return folders


Build = Callable[[str], list[Path]]


@pytest.fixture(scope="module")
def build(copies: list[Path]) -> Build:
    """Build a kind of package from each copy, in different time zones and hash seeds."""

    def build_both(kind: str) -> list[Path]:
        for folder, zone in zip(copies, ("UTC", "Asia/Tokyo"), strict=True):
            env = os.environ | {"TZ": zone, "PYTHONHASHSEED": str(len(zone))}
            env.pop("SOURCE_DATE_EPOCH", None)
            command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", "out"]
            subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        return [next((folder / "out").glob(SUFFIXES[kind])) for folder in copies]

    return build_both


def test_wheels_are_reproducible(build: Build) -> None:
    first, second = (path.read_bytes() for path in build("wheel"))
    assert len(first) > 100_000
    assert first == second


def test_the_wheel_contains_only_the_package(build: Build) -> None:
    with zipfile.ZipFile(build("wheel")[1]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        assert sorted(names) == sorted(
            name.removeprefix("src/") for name in tracked_files("src/alexnet")
        )
        for name in names:
            assert wheel.read(name) == (ROOT / "src" / name).read_bytes()


def test_source_distributions_are_reproducible(build: Build) -> None:
    """They contain neither DVC's cache nor passwords, which only .dvc/.gitignore excludes."""
    first, second = build("sdist")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(second) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    expected = {".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names == expected | set(tracked_files("src/alexnet"))
