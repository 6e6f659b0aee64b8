"""Untrusted files are read, or rejected with one line, and have no other effect.

MUTATIONS=100000 pytest tests/robustness/test_hostile.py -s
reads a hundred thousand mutated files, and a tar of a million members. A TMPDIR in memory makes it
faster.
"""

import ast
import gzip
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.archives.tar import MAX_EXTENDED_BYTES, list_tar
from alexnet.config import compose
from alexnet.config.executor import workers
from alexnet.index import devkit
from alexnet.index.devkit import read_devkit
from alexnet.miniature.devkit import KIT
from alexnet.runtime.errors import InputError
from hostile_raw import tar_of

MUTATIONS = int(os.environ.get("MUTATIONS", "1000"))
INPUTS_A_CHILD = 10_000
ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).parents[1] / "support/hostile_child.py"
EXAMPLES = settings(max_examples=max(60, MUTATIONS // 100), deadline=None, derandomize=True)


def read_in_a_child(folder: Path, first: int, count: int) -> dict[str, Any]:
    """Have a new process read inputs from number `first`; return its report.

    The process may write to child/ only. Asserts that nothing new is left there, nor in any of the
    folders above that a name in an input can lead to.
    """
    before = paths_below(folder.parent)
    for name in ("child", "home", "tmp", "cwd"):
        (folder / name).mkdir()
    homes = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(CHILD), str(folder / "child"), str(first), str(count)]
    ran = subprocess.run(
        command, env=os.environ | homes, cwd=folder / "cwd", capture_output=True, check=False
    )
    last = folder / "child/input"
    assert ran.returncode == 0, f"{ran.returncode} at {last}: {ran.stderr.decode()[-3000:]}"
    assert unexpected_paths(folder, before) == []
    report: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report


def paths_below(top: Path) -> set[Path]:
    return set(top.rglob("*"))


def unexpected_paths(folder: Path, before: set[Path]) -> list[Path]:
    """Return the new paths in `folder` or beside it, except those of the child itself."""
    known = {folder / name for name in ("child", "home", "tmp", "cwd")}
    known |= {folder / "child" / name for name in ("input", "valid", "work")}
    known |= paths_below(folder / "child/valid")
    return sorted(paths_below(folder.parent) - before - known)


def test_a_file_written_elsewhere_is_detected(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    work = folder / "child/work"
    work.mkdir(parents=True)
    before = paths_below(tmp_path)
    assert unexpected_paths(folder, before) == []
    for n in range(1, 4):
        (work / ("../" * n) / "escaped").touch()
    (folder / "cwd/escaped").mkdir(parents=True)
    (work / "left").touch()
    elsewhere = (folder / "child", folder, tmp_path, folder / "cwd")
    assert {*unexpected_paths(folder, before)} == {
        work / "left",
        *(path / "escaped" for path in elsewhere),
    }


@pytest.mark.slow
def test_a_mutated_file_is_accepted_or_rejected_in_one_line(tmp_path: Path) -> None:
    """Without signals, other exceptions or effects, in at most 10 s of CPU time and 1 GiB."""
    counts: Counter[str] = Counter()
    peak, slowest = 0, 0.0
    for first in range(0, MUTATIONS, INPUTS_A_CHILD):
        folder = tmp_path / str(first)
        folder.mkdir()
        report = read_in_a_child(folder, first, min(INPUTS_A_CHILD, MUTATIONS - first))
        print(f"{first + sum(report['counts'].values()):,} inputs", flush=True)
        assert report["failures"] == []
        counts.update(report["counts"])
        peak, slowest = max(peak, report["peak"]), max(slowest, report["slowest"])
    assert sum(counts.values()) == MUTATIONS
    rejected = sum(n for name, n in counts.items() if name.endswith("rejected"))
    assert 0 < rejected < MUTATIONS
    assert peak < 1 << 30
    assert not Path("/escaped").exists()
    print(f"\n{MUTATIONS:,} inputs, {rejected:,} rejected: {dict(sorted(counts.items()))}")
    print(f"slowest {slowest:.2f} s, peak memory {peak / 2**20:,.0f} MiB")


# Data is never executed


BANNED = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "os.system"}
CALLS |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.popen"}


def banned_in(source: str) -> list[str]:
    """Return the imports and calls of a module that could execute the content of a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [getattr(node, "module", None) or "", *(name.name for name in node.names)]
            found += [name for name in modules if name.partition(".")[0] in BANNED]
        if isinstance(node, ast.Call):
            called, options = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
            found += [called] if called in CALLS else []
            found += [f"{called}({name})" for name in ("shell", "allow_pickle") if name in options]
    return found


def test_no_module_can_execute_the_content_of_a_file() -> None:
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        assert not banned_in(path.read_text("utf-8")), path
    imports = ["import pickle", "from joblib import load"]
    calls = ["eval('1')", "torch.load(x)", "yaml.load(x, L)", "run(x, shell=True)"]
    for bad in [*imports, *calls, "np.load(f, allow_pickle=True)"]:
        assert banned_in(bad), bad


def test_only_executor_presets_name_a_target() -> None:
    for path in (ROOT / "conf").glob("*/*.yaml"):
        assert ("_target_" in path.read_text()) is (path.parent.name == "executor"), path


THREADS = {"_target_": "concurrent.futures.ThreadPoolExecutor"}
DASK = {"_target_": "distributed.cfexecutor.ClientExecutor"}
TOUCH = {"_target_": "shutil.copyfile", "src": __file__, "dst": "escaped"}


@pytest.mark.parametrize(
    "executor",
    [
        TOUCH,
        {"_target_": "os.mkdir", "path": "escaped"},
        {"_target_": "subprocess.Popen", "args": ["touch", "escaped"]},
        {"_target_": "pathlib.Path"},
        DASK | {"client": TOUCH},
        THREADS | {"initializer": {"_target_": "os.mkdir", "_partial_": True}},
        THREADS | {"more": [[TOUCH]]},
        THREADS | {"_partial_": True},
        THREADS | {"initializer": "${oc.create:'{_target_: os.mkdir, path: escaped}'}"},
        {"_target_": "no.such.Pool"},
        {"_target_": 3},
        {},
    ],
    ids=str,
)
def test_only_executors_are_instantiated(
    executor: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^no .*fix: "), workers(executor):
        pass
    assert list(tmp_path.iterdir()) == []


def test_executors_work() -> None:
    with workers({"_target_": "concurrent.futures.ProcessPoolExecutor", "max_workers": 1}) as pool:
        assert list(pool.map(abs, [-3])) == [3]
    with workers(THREADS) as pool:
        assert list(pool.map(abs, [-3])) == [3]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of params.yaml and conf/ to be changed, which `compose` reads."""
    for path in [ROOT / "params.yaml", *(ROOT / "conf").glob("*/*.yaml")]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compose, "CHECKOUT", tmp_path)
    return tmp_path


HYDRAS_OWN = [
    "hydra: {callbacks: {x: {_target_: os.mkdir, path: escaped}}}",
    "hydra: {run: {dir: escaped}}",
    "hydra: {launcher: {_target_: os.mkdir}}",
    "defaults: [/hydra/launcher: joblib]",
    "defaults: [override /hydra/job_logging: default]",
    "defaults: [../dataset/wide]",
    "defaults: 5",
]


@pytest.mark.parametrize("line", HYDRAS_OWN)
@pytest.mark.parametrize("name", ["params.yaml", "conf/dataset/wide.yaml"])
def test_no_file_can_change_hydras_own_settings(copy: Path, name: str, line: str) -> None:
    with (copy / name).open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(InputError, match=r"(changes settings of Hydra|is not a parameter).*fix: "):
        compose.load_config([])
    assert not (copy / "escaped").exists()


@pytest.mark.parametrize("name", ["hydra/job_logging/stdout.yaml", "params.yaml", "schema.yaml"])
def test_no_file_can_replace_one_of_hydras(copy: Path, name: str) -> None:
    path = copy / "conf" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("root: {handlers: [x]}\n")
    with pytest.raises(InputError, match="is not a parameter group; fix: "):
        compose.load_config([])


def test_no_file_can_leave_its_group(copy: Path) -> None:
    wide = copy / "conf/dataset/wide.yaml"
    wide.write_text(f"# @package hydra.callbacks\nx: {json.dumps(TOUCH)}\n")
    with pytest.raises(InputError, match="changes settings of Hydra"):
        compose.load_config(["dataset=wide"])
    assert not (copy / "escaped").exists()


def test_a_target_elsewhere_is_rejected_or_plain_data(copy: Path) -> None:
    for place in ("dataset", "model", "model.lrn", "recipe.frozen_from", "launcher", "x"):
        with pytest.raises(InputError, match="fix: "):
            compose.load_config([f"+{place}._target_=os.mkdir", f"+{place}.path=escaped"])
    config = compose.load_config(["+choices._target_=os.mkdir", "+choices.path=escaped"])
    assert config.choices == {"_target_": "os.mkdir", "path": "escaped"}
    assert not (copy / "escaped").exists()


def test_yaml_and_omegaconf_cannot_run_code_or_loop(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment variables may be read; nothing is executed, and recursion ends."""
    monkeypatch.setenv("ROOT_OF_IT", "raw/there")
    assert compose.load_config(["dataset.root=${oc.env:ROOT_OF_IT}"]).dataset.root == "raw/there"
    lines = ["into=${into}", "data=${into}", "lr=${lr}", "model=${oc.decode:'1'}", "lr=${x:1}"]
    for line in [*lines, "model=7", "model=0.5", "model=null"]:
        with pytest.raises(InputError, match="fix: "):
            compose.load_config([line])
    laughs = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    for path in (copy / "params.yaml", copy / "conf/model/quick.yaml"):
        valid = path.read_text()
        call = "a: !!python/object/apply:os.mkdir [escaped]"
        for text in (laughs, "[" * 5000, call, "\0", "- 1", "5", "~"):
            path.write_text(text if len(text) < 4 else f"{valid}\n{text}")
            with pytest.raises(InputError) as error:
                compose.load_config([])
            assert len(str(error.value).splitlines()) == 1
        path.write_bytes(b"a: \xff")
        with pytest.raises(InputError, match=f"{path.name} cannot be read"):
            compose.load_config([])
        path.write_text(valid)
    (copy / "params.yaml").write_text((copy / "params.yaml").read_text().replace("quick", "../x"))
    with pytest.raises(InputError, match="an invalid name"):
        compose.load_config([])
    assert not (copy / "escaped").exists()


def test_loading_yaml_creates_no_objects() -> None:
    """OmegaConf's loader creates pathlib objects, but calls nothing."""
    with pytest.raises(yaml.constructor.ConstructorError):
        compose.OmegaConf.create("a: !!python/object/apply:os.getcwd []")


# Tars


NAMES = st.sampled_from(["a", "../a", "/a", "./a/b", "..", "/", ".x", "é", "x" * 300, "a\nb"])
TYPES = st.sampled_from([b"0", b"0", b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"Z"])
NOTE = st.dictionaries(
    st.sampled_from(["path", "size", "mtime", "GNU.sparse.map", "GNU.sparse.size", "hdrcharset"]),
    st.sampled_from(["", "0", "-1", "9" * 30, "../../escaped", "1e9", "nan", "0,1", "\0"]),
    max_size=2,
)
MEMBERS = st.lists(st.tuples(NAMES, TYPES, NOTE, st.binary(max_size=40)), max_size=6)


def list_files(path: Path) -> tuple[list[Any], str]:
    """Return the files of a tar, and the error message if it is rejected."""
    try:
        return list_tar(path), ""
    except InputError as error:
        return [], str(error)


@EXAMPLES
@given(MEMBERS, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_tar_members_are_located_and_never_unpacked(
    tmp_path_factory: pytest.TempPathFactory, members: list[Any], form: int
) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name, kind, note, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.pax_headers, info.linkname = kind, note, "/etc/passwd"
            info.size = len(data) if kind in (b"0", b"7") else 0
            tar.addfile(info, io.BytesIO(data))
    path = tmp_path_factory.getbasetemp() / "a.tar"
    path.write_bytes(file.getvalue())
    before = set(path.parent.iterdir())
    files, error = list_files(path)
    assert set(path.parent.iterdir()) == before
    assert len(error.splitlines()) <= 1
    assert len(error) < 500 + len(str(path))
    allowed = {data for _, kind, _, data in members if kind in (b"0", b"7", b"Z")}
    data = path.read_bytes()
    for name, offset, size in files:
        assert b"/" not in name
        if not any(note for *_, note, _ in members):
            assert data[offset : offset + size] in allowed


def header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


LONG = header("x", tarfile.GNUTYPE_LONGNAME, 512) + b"n" * 512


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header("a", b"0", 1 << 60), "truncated"),
        (header("x", tarfile.GNUTYPE_LONGNAME, 1 << 40), "an extended header has"),
        (header("x", tarfile.GNUTYPE_LONGNAME, MAX_EXTENDED_BYTES + 1), "an extended header has"),
        (header("x", tarfile.XHDTYPE, 1 << 60), "an extended header has"),
        (header("x", tarfile.XGLTYPE, 1 << 33), "an extended header has"),
        (header("x", tarfile.GNUTYPE_SPARSE, 512), "sparse"),
        (LONG * 2000 + header("a", b"0", 0), "damaged"),
    ],
    ids=["size", "name", "a little long", "notes", "notes on all", "sparse", "nested notes"],
)
def test_sizes_that_a_header_claims_take_no_memory(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data + bytes(1024))
    with pytest.raises(InputError, match=message) as error:
        list_tar(path)
    assert len(str(error.value)) < 300 + len(str(path))


@pytest.mark.skipif(MUTATIONS < 100_000, reason="a part of the long run")
def test_a_tar_of_a_million_members_takes_less_than_a_gibibyte(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        for first in range(0, 1_000_000, 10_000):
            names = range(first, first + 10_000)
            file.write(b"".join(header(f"n{n:08d}.JPEG", b"0", 0) for n in names))
        file.write(bytes(1024))
    seconds, peak = cost_of(lambda: len(list_tar(path)) == 1_000_000)
    print(f"\na million members: {seconds:.0f} s, {peak:,.0f} MiB")
    assert peak < 1024


def test_a_devkit_that_inflates_without_end_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gzip file may hold the same megabyte many times; it is read up to a limit only."""
    path = tmp_path / f"{KIT}.tar.gz"
    if MUTATIONS < 100_000:
        monkeypatch.setattr(devkit, "MAX_BYTES", 8 << 20)
    path.write_bytes(gzip.compress(bytes(1 << 20)) * 10_000)

    def is_rejected() -> bool:
        with pytest.raises(InputError, match=r"has more than \d+ MiB.*download the devkit again"):
            read_devkit(path)
        return True

    seconds, peak = cost_of(is_rejected)
    print(f"\na devkit of {path.stat().st_size:,} bytes: {seconds:.2f} s, {peak:,.0f} MiB")
    assert seconds < 10
    assert peak < 1024


def cost_of(work: Callable[[], bool]) -> tuple[float, float]:
    """Return the CPU seconds and the additional peak memory in MiB of `work` in a fork."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, Path("/proc/self/statm").read_bytes())
        try:
            os._exit(not work())
        finally:  # after an exception, the fork would run the remaining tests
            os._exit(1)
    _, status, used = os.wait4(child, 0)
    assert status == 0
    before = int(os.read(reading, 100).split()[1]) * resource.getpagesize()
    return used.ru_utime + used.ru_stime, (used.ru_maxrss * 1024 - before) / 2**20


def test_links_in_a_devkit_are_never_followed(tmp_path: Path) -> None:
    """A link in place of the table is not the table."""
    path = tmp_path / f"{KIT}.tar.gz"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        linked = tar_of({f"{KIT}/data/meta.mat": b""}, type=kind, linkname="/etc/passwd")
        path.write_bytes(gzip.compress(linked))
        with pytest.raises(InputError, match=r"the devkit contains no data/meta\.mat"):
            read_devkit(path)
