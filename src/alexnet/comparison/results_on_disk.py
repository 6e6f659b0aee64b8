"""Results on disk, and the commits they were made at: what README and report show of experiments/.

experiments/results.json holds them all. The report depends on it and not on the experiments: else
a plain `dvc repro` would train them.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alexnet.evaluate.result import Result, checked, read_result
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically

COLLECTED = Path("experiments/results.json")
CODE = ("src", "stages", "conf", "params.yaml", "experiments/*/*.py", "experiments/*/*.yaml")


class Recorded(NamedTuple):
    """A result: its path below the checkout, and the commit it was made at, "" where not known."""

    path: str
    commit: str
    result: Result

    @property
    def experiment(self) -> str:
        """The folder of experiments/ that it is of, "" of metrics.json."""
        parts = Path(self.path).parts
        return parts[1] if len(parts) > 1 else ""


def on_disk(root: Path) -> list[Recorded]:
    """Of metrics.json and experiments/*/results/*.json what is there. Raises InputError."""
    known = {each.path: each for each in _collected(root)}
    found = [root / "metrics.json", *sorted(root.glob("experiments/*/results/*.json"))]
    here = {str(path.relative_to(root)): read_result(path) for path in found if path.exists()}
    return [
        known[path]
        if path in known and known[path].result == result
        else Recorded(path, "", result)
        for path, result in here.items()
    ]


def collected(root: Path) -> list[Recorded]:
    """metrics.json, and what `collect` left. Raises InputError where one cannot be read."""
    return [Recorded("metrics.json", "", read_result(root / "metrics.json")), *_collected(root)]


def _collected(root: Path) -> Iterator[Recorded]:
    path = root / COLLECTED
    if path.exists():
        try:
            for each in json.loads(path.read_text("utf-8")):
                yield Recorded(each["path"], each["commit"], checked(each["result"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path} cannot be read: {error!r}", f"git checkout {path}") from None


def collect(root: Path) -> list[Recorded]:
    """Write experiments/results.json from what lies on disk, which is returned.

    A result that is new, or another than before, was made at the commit that is checked out.
    """
    now = commit(root)
    found = [each if each.commit else each._replace(commit=now) for each in on_disk(root)]
    told = [each._asdict() for each in found if each.experiment]
    data = json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n"
    write_atomically(root / COLLECTED, data)
    return collected(root)


def commit(root: Path) -> str:
    """The commit that is checked out, with "…" where code was changed since; "" without git."""
    head = _git(root, "rev-parse", "--short", "HEAD").stdout.strip()
    changed = head and _git(root, "diff", "--quiet", "HEAD", "--", *CODE).returncode
    return f"{head}…" if changed else head


def _git(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    ran = ["git", *command]
    return subprocess.run(ran, cwd=root, capture_output=True, text=True, check=False)
