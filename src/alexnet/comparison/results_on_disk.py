"""Results on disk with the commits that made them, for the README and the report.

experiments/results.json holds the results of all experiments. The report depends on that file and
not on the experiments: otherwise a plain `dvc repro` would train them.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alexnet.evaluate.result import INVALID, Result, read_result
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically

COLLECTED = Path("experiments/results.json")
CODE = ("src", "stages", "conf", "params.yaml", "experiments/*/*.py", "experiments/*/*.yaml")


class RecordedResult(NamedTuple):
    """A result with its path and commit.

    path: below the checkout; commit: the one that made the result, "" if unknown.
    """

    path: str
    commit: str
    result: Result

    @property
    def experiment(self) -> str:
        """Its folder in experiments/; "" for metrics.json."""
        parts = Path(self.path).parts
        return parts[1] if len(parts) > 1 else ""


def read_results(root: Path) -> list[RecordedResult]:
    """Read metrics.json and experiments/*/results/*.json, where they exist. Raises InputError.

    The commit is taken from experiments/results.json if the result there is the same.
    """
    known = {entry.path: entry for entry in _read_collected_file(root)}
    paths = [root / "metrics.json", *sorted(root.glob("experiments/*/results/*.json"))]
    results = {str(path.relative_to(root)): read_result(path) for path in paths if path.exists()}
    return [
        known[path]
        if path in known and known[path].result == result
        else RecordedResult(path, "", result)
        for path, result in results.items()
    ]


def read_collected(root: Path) -> list[RecordedResult]:
    """Read metrics.json and experiments/results.json. Raises InputError if one is invalid."""
    metrics = RecordedResult("metrics.json", "", read_result(root / "metrics.json"))
    return [metrics, *_read_collected_file(root)]


def _read_collected_file(root: Path) -> Iterator[RecordedResult]:
    path = root / COLLECTED
    if path.exists():
        try:
            for entry in json.loads(path.read_text("utf-8")):
                result = Result.from_json(entry["result"])
                yield RecordedResult(entry["path"], entry["commit"], result)
        except INVALID as error:
            raise InputError(f"{path} cannot be read: {error!r}", f"git checkout {path}") from None


def collect(root: Path) -> list[RecordedResult]:
    """Write experiments/results.json from the results on disk; return what it now holds.

    A new or changed result is recorded with the commit that is checked out.
    """
    head = current_commit(root)
    results = [r if r.commit else r._replace(commit=head) for r in read_results(root)]
    entries = [r._asdict() | {"result": r.result.to_json()} for r in results if r.experiment]
    data = json.dumps(entries, indent=1, ensure_ascii=False).encode() + b"\n"
    write_atomically(root / COLLECTED, data)
    return read_collected(root)


def current_commit(root: Path) -> str:
    """Return the commit checked out, "" without git.

    "…" is appended if code has changed since.
    """
    head = _git(root, "rev-parse", "--short", "HEAD").stdout.strip()
    changed = head and _git(root, "diff", "--quiet", "HEAD", "--", *CODE).returncode
    return f"{head}…" if changed else head


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
