"""What is installed, by locks with hashes; what is built, to the same bytes anywhere and always."""

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
LEFT = ("data/x", "raw/x", ".scratch/x", ".dvc/cache/x", ".dvc/config.local")  # by runs, ignored


def joined(path: Path) -> list[str]:
    """A file's lines, those that go on made one."""
    return re.sub(r"\s*\\\n\s*", " ", path.read_text()).splitlines()


def requirements(lock: Path) -> list[str]:
    return [line for line in joined(lock) if not re.match(r"\s*(#|$)", line)]


def of_git(*patterns: str) -> list[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.check_output(listed, cwd=ROOT, text=True).splitlines()
    return [name for name in names if (ROOT / name).exists()]


def test_these_are_all_the_locks() -> None:
    locks = [name for name in of_git("*.lock") if Path(name).name != "dvc.lock"]
    assert sorted(locks) == sorted(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_place(lock: str) -> None:
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
def test_a_line_that_pins_nothing_would_be_seen(line: str) -> None:
    assert not PINNED.fullmatch(line)


def test_make_installs_by_hash_whatever_it_downloads() -> None:
    installs = [
        line for line in joined(ROOT / "Makefile") if re.search(r"pip (sync|install)", line)
    ]
    for line in installs:
        downloads = not re.search(r"--no-deps --no-build-isolation --editable \.$", line)
        assert ("--require-hashes" in line) is downloads, line
    named = " ".join(installs)
    assert [lock for lock in LOCKS if not re.search(rf"\b{re.escape(lock)}\b", named)] == []


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The project twice, of other folders, times and rights; in one of them, what runs leave."""
    made = []
    for turn, name in enumerate(("one", "another")):
        folder = tmp_path_factory.mktemp(name) / "checkout"
        for file in of_git():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
        for left in LEFT[: len(LEFT) * turn]:
            (folder / left).parent.mkdir(parents=True, exist_ok=True)
            (folder / left).write_text("password = a remote's")
        for path in folder.rglob("*"):
            os.utime(path, (1e9 + 1e6 * turn,) * 2)
            path.chmod(0o755 if path.is_dir() else (0o600, 0o644)[turn])
        made.append(folder)
    return made


Built = Callable[[str], list[Path]]


@pytest.fixture(scope="module")
def built(copies: list[Path]) -> Built:
    """What each copy builds of a kind, in another time zone and language."""

    def build(kind: str) -> list[Path]:
        for folder, zone in zip(copies, ("UTC", "Asia/Tokyo"), strict=True):
            env = os.environ | {"TZ": zone, "PYTHONHASHSEED": str(len(zone))}
            env.pop("SOURCE_DATE_EPOCH", None)
            command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", "out"]
            subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        return [next((folder / "out").glob(SUFFIXES[kind])) for folder in copies]

    return build


def test_two_wheels_are_one(built: Built) -> None:
    first, second = (path.read_bytes() for path in built("wheel"))
    assert len(first) > 100_000
    assert first == second


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built("wheel")[1]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        assert sorted(names) == sorted(name.removeprefix("src/") for name in of_git("src/alexnet"))
        for name in names:
            assert wheel.read(name) == (ROOT / "src" / name).read_bytes()


def test_two_source_distributions_are_one(built: Built) -> None:
    """Without DVC's cache and its remotes' passwords, which .dvc/.gitignore alone names."""
    one, another = built("sdist")
    assert one.read_bytes() == another.read_bytes()
    with tarfile.open(another) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    whole = {".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names == whole | set(of_git("src/alexnet"))
