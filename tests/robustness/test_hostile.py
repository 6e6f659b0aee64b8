"""Strangers' files: an answer or one line, whatever is in them, and nothing else happens.

MUTATIONS=100000 pytest tests/robustness/test_hostile.py -s
reads a hundred thousand, and a tar of a million
members. TMPDIR on a disk of memory makes it faster.
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
from alexnet.config import compose, stage
from alexnet.config.executor import workers
from alexnet.index import devkit
from alexnet.index.devkit import read_devkit
from alexnet.miniature.devkit import KIT
from alexnet.runtime.errors import InputError
from hostile_raw import tar_of

MUTATIONS = int(os.environ.get("MUTATIONS", "1000"))
A_CHILD = 10_000  # inputs that one process reads
ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).parents[1] / "support/hostile_child.py"
EXAMPLES = settings(max_examples=max(60, MUTATIONS // 100), deadline=None, derandomize=True)


def read_apart(folder: Path, first: int, count: int) -> dict[str, Any]:
    """What a process of its own says of the inputs `first` …; it may write into child/ alone.

    Nothing is left there but what it was given, nor anywhere as far up as a name in an input leads.
    """
    before = paths(folder.parent)
    for name in ("child", "home", "tmp", "here"):
        (folder / name).mkdir()
    homes = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(CHILD), str(folder / "child"), str(first), str(count)]
    ran = subprocess.run(
        command, env=os.environ | homes, cwd=folder / "here", capture_output=True, check=False
    )
    last = folder / "child/input"
    assert ran.returncode == 0, f"{ran.returncode} at {last}: {ran.stderr.decode()[-3000:]}"
    assert strays(folder, before) == []
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def paths(top: Path) -> set[Path]:
    return set(top.rglob("*"))


def strays(folder: Path, before: set[Path]) -> list[Path]:
    """What has come to be beside `folder` or in it, of which nobody knows."""
    known = {folder / name for name in ("child", "home", "tmp", "here")}
    known |= {folder / "child" / name for name in ("input", "made", "work")}
    known |= paths(folder / "child/made")
    return sorted(paths(folder.parent) - before - known)


def test_a_file_elsewhere_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    read_in = folder / "child/work"
    read_in.mkdir(parents=True)
    before = paths(tmp_path)
    assert strays(folder, before) == []
    for n in range(1, 4):
        (read_in / ("../" * n) / "escaped").touch()
    (folder / "here/escaped").mkdir(parents=True)
    (read_in / "left").touch()
    aside = (folder / "child", folder, tmp_path, folder / "here")
    assert {*strays(folder, before)} == {read_in / "left", *(path / "escaped" for path in aside)}


@pytest.mark.slow
def test_changed_files_end_in_an_answer_or_a_line(tmp_path: Path) -> None:
    """No signal, no other exception, 10 s and 1 GiB at most, nothing written or run elsewhere."""
    counts: Counter[str] = Counter()
    peak, slowest = 0, 0.0
    for first in range(0, MUTATIONS, A_CHILD):
        folder = tmp_path / str(first)
        folder.mkdir()
        told = read_apart(folder, first, min(A_CHILD, MUTATIONS - first))
        print(f"{first + sum(told['counts'].values()):,} inputs", flush=True)
        assert told["wrong"] == []
        counts.update(told["counts"])
        peak, slowest = max(peak, told["peak"]), max(slowest, told["slowest"])
    assert sum(counts.values()) == MUTATIONS
    refused = sum(n for name, n in counts.items() if name.endswith("refused"))
    assert 0 < refused < MUTATIONS
    assert peak < 1 << 30
    assert not Path("/escaped").exists()
    print(f"\n{MUTATIONS:,} inputs, {refused:,} refused in a line: {dict(sorted(counts.items()))}")
    print(f"slowest {slowest:.2f} s, most memory {peak / 2**20:,.0f} MiB")


# Code is never data


BANNED = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "os.system"}
CALLS |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.popen"}


def banned_in(source: str) -> list[str]:
    """What in a module could run what a file holds."""
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


def test_nothing_in_the_package_runs_what_a_file_holds() -> None:
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        assert not banned_in(path.read_text("utf-8")), path
    imports = ["import pickle", "from joblib import load"]
    calls = ["eval('1')", "torch.load(x)", "yaml.load(x, L)", "run(x, shell=True)"]
    for bad in [*imports, *calls, "np.load(f, allow_pickle=True)"]:
        assert banned_in(bad), bad


def test_what_is_called_stands_in_the_files_of_executors_alone() -> None:
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
def test_only_a_pool_is_ever_made(
    executor: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^no .*fix: "), workers(executor):
        pass
    assert list(tmp_path.iterdir()) == []


def test_pools_are_made_as_before() -> None:
    with workers({"_target_": "concurrent.futures.ProcessPoolExecutor", "max_workers": 1}) as pool:
        assert list(pool.map(abs, [-3])) == [3]
    with workers(THREADS) as pool:
        assert list(pool.map(abs, [-3])) == [3]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of params.yaml and conf/, to be changed; `config` reads it."""
    for path in [ROOT / "params.yaml", *(ROOT / "conf").glob("*/*.yaml")]:
        there = tmp_path / path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compose, "CHECKOUT", tmp_path)
    return tmp_path


def as_a_stage(overrides: list[str]) -> None:
    """What `@stage` looks at before it gives the line to Hydra."""
    compose._store(compose._params())
    stage._check_own(overrides)


CALLBACK = "hydra.callbacks.x={_target_: shutil.copyfile, src: params.yaml, dst: escaped}"


def test_hydras_own_parts_cannot_be_changed(copy: Path) -> None:
    as_a_stage(["lr=0.5", "model=paper"])
    lines = [f"+{CALLBACK}", "hydra.run.dir=escaped", "+dataset@hydra.callbacks.x=wide"]
    for line in [*lines, "hydra.launcher._target_=os.mkdir", "hydra/job_logging=default"]:
        with pytest.raises(InputError, match=r"hydra\.\w+ is changed.*fix: "):
            as_a_stage([line])
    for flag in ("--config-path", "--config-dir", "--config-name"):
        with pytest.raises(InputError, match="leave out --config"):
            as_a_stage([flag, "x"])
    params = (copy / "params.yaml").read_text()
    for key in ("hydra: {callbacks: {x: {_target_: os.mkdir, path: escaped}}}", "defaults: []"):
        (copy / "params.yaml").write_text(f"{params}\n{key}\n")
        with pytest.raises(InputError, match="none of ours"):
            as_a_stage([])
    (copy / "params.yaml").write_text(params)
    wide = copy / "conf/dataset/wide.yaml"
    wide.write_text(f"# @package _global_\nhydra:\n  callbacks:\n    x: {json.dumps(TOUCH)}\n")
    with pytest.raises(InputError, match=r"hydra\.callbacks is changed"):
        as_a_stage(["dataset=wide"])
    assert not (copy / "escaped").exists()


def test_a_target_elsewhere_is_refused_or_a_word(copy: Path) -> None:
    for place in ("dataset", "model", "model.lrn", "recipe.frozen_from", "launcher", "x"):
        with pytest.raises(InputError, match="fix: "):
            compose.load_config([f"+{place}._target_=os.mkdir", f"+{place}.path=escaped"])
    told = compose.load_config(["+choices._target_=os.mkdir", "+choices.path=escaped"])
    assert told.choices == {"_target_": "os.mkdir", "path": "escaped"}
    assert not (copy / "escaped").exists()


def test_what_yaml_and_omegaconf_can_do_is_bounded(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment may be read, as of any file of the user's own; nothing is run or endless."""
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
        right = path.read_text()
        call = "a: !!python/object/apply:os.mkdir [escaped]"
        for text in (laughs, "[" * 5000, call, "\0", "- 1", "5", "~"):
            path.write_text(text if len(text) < 4 else f"{right}\n{text}")
            with pytest.raises(InputError) as told:
                compose.load_config([])
            assert len(str(told.value).splitlines()) == 1
        path.write_bytes(b"a: \xff")
        with pytest.raises(InputError, match=f"{path.name} cannot be read"):
            compose.load_config([])
        path.write_text(right)
    (copy / "params.yaml").write_text((copy / "params.yaml").read_text().replace("quick", "../x"))
    with pytest.raises(InputError, match="no name"):
        compose.load_config([])
    assert not (copy / "escaped").exists()


def test_loading_yaml_makes_no_objects() -> None:
    """OmegaConf's loader knows pathlib's, and nothing that runs."""
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


def listed(path: Path) -> tuple[list[Any], str]:
    """The files of a tar, or what is said of it."""
    try:
        return list_tar(path), ""
    except InputError as error:
        return [], str(error)


@EXAMPLES
@given(MEMBERS, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_members_are_offsets_and_nothing_is_unpacked(
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
    found, told = listed(path)
    assert set(path.parent.iterdir()) == before
    assert len(told.splitlines()) <= 1
    assert len(told) < 500 + len(str(path))
    allowed = {data for _, kind, _, data in members if kind in (b"0", b"7", b"Z")}
    whole = path.read_bytes()
    for name, offset, size in found:
        assert b"/" not in name
        if not any(note for *_, note, _ in members):
            assert whole[offset : offset + size] in allowed


def header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


LONG = header("x", tarfile.GNUTYPE_LONGNAME, 512) + b"n" * 512


@pytest.mark.parametrize(
    ("data", "says"),
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
def test_what_a_header_only_claims_takes_no_memory(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data + bytes(1024))
    with pytest.raises(InputError, match=says) as told:
        list_tar(path)
    assert len(str(told.value)) < 300 + len(str(path))


@pytest.mark.skipif(MUTATIONS < 100_000, reason="a part of the long run")
def test_a_million_members(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        for first in range(0, 1_000_000, 10_000):
            names = range(first, first + 10_000)
            file.write(b"".join(header(f"n{n:08d}.JPEG", b"0", 0) for n in names))
        file.write(bytes(1024))
    seconds, most = spent(lambda: len(list_tar(path)) == 1_000_000)
    print(f"\na million members: {seconds:.0f} s, {most:,.0f} MiB")
    assert most < 1024


def test_a_devkit_that_inflates_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gzip may hold the same megabyte a thousand times: it is read no further than allowed."""
    path = tmp_path / f"{KIT}.tar.gz"
    if MUTATIONS < 100_000:
        monkeypatch.setattr(devkit, "MAX_BYTES", 8 << 20)
    path.write_bytes(gzip.compress(bytes(1 << 20)) * 10_000)

    def refused() -> bool:
        with pytest.raises(InputError, match=r"has more than \d+ MiB.*download the devkit again"):
            read_devkit(path)
        return True

    seconds, most = spent(refused)
    print(f"\na devkit of {path.stat().st_size:,} bytes: {seconds:.2f} s, {most:,.0f} MiB")
    assert seconds < 10
    assert most < 1024


def spent(work: Callable[[], bool]) -> tuple[float, float]:
    """Seconds of the processor, and MiB at most, of a fork beyond what it begins with."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, Path("/proc/self/statm").read_bytes())
        os._exit(not work())
    _, status, used = os.wait4(child, 0)
    assert status == 0
    begun = int(os.read(reading, 100).split()[1]) * resource.getpagesize()
    return used.ru_utime + used.ru_stime, (used.ru_maxrss * 1024 - begun) / 2**20


def test_devkit_members_are_never_followed(tmp_path: Path) -> None:
    """A link where the table should be is not the table."""
    path = tmp_path / f"{KIT}.tar.gz"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        linked = tar_of({f"{KIT}/data/meta.mat": b""}, type=kind, linkname="/etc/passwd")
        path.write_bytes(gzip.compress(linked))
        with pytest.raises(InputError, match=r"the devkit contains no data/meta\.mat"):
            read_devkit(path)
