"""A copy of the project with few images, in a git repository, and commands to run in it."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGES = ["index", "resize", "moments", "train", "evaluate", "retrieve", "report"]
TINY = [  # few images with every kind of odd file, and a net of a sixteenth of the width
    ("conf/dataset/miniature.yaml", "classes", 3),
    ("conf/dataset/miniature.yaml", "train_per_class", 6),
    ("conf/dataset/miniature.yaml", "val_per_class", 2),
    ("conf/model/quick.yaml", "width_divisor", 16),
    ("conf/recipe/quick.yaml", "batch_size", 8),
    ("conf/recipe/quick.yaml", "epochs", 2),
]
AUTHOR = {
    "GIT_AUTHOR_NAME": "tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
}


class Checkout:
    """A copy of the project in a git repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def new(cls, folder: Path) -> "Checkout":
        """Copy the project as it stands; no stage has run."""
        made = cls(folder)
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).exists() and name not in ("dvc.lock", "metrics.json"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        for change in TINY:
            made.set(*change)
        made.run("git", "init", "-q")
        made.commit()
        return made

    @classmethod
    def reproduced(cls, folder: Path) -> "Checkout":
        """Return a copy with all stages run and committed; the first process makes it."""
        folder.mkdir(exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / "dvc.lock").exists():
                return cls(folder)
            made = cls.new(folder)
            output = made.run("dvc", "repro")
            assert sorted(made.stages_run(output)) == sorted(STAGES)
            made.commit()
            return made

    def copied(self, folder: Path) -> "Checkout":
        """Copy this checkout; links into DVC's cache point into the copy's own cache."""
        subprocess.run(["cp", "-a", self.folder, folder], check=True)
        return Checkout(folder)

    def run(self, *command: str, fails: bool = False, **environment: str) -> str:
        """Run a command, which must succeed, or fail if `fails`; return its output."""
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (ran.returncode != 0) is fails, ran.stdout
        return ran.stdout

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "-qm", "state")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, (name, old)
        (self.folder / name).write_text(text.replace(old, new))

    def set(self, name: str, key: str, value: object) -> None:
        (old,) = re.findall(rf"^ *{key}: .*$", (self.folder / name).read_text(), re.MULTILINE)
        self.edit(name, old, f"{old.partition(':')[0]}: {value}")

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a new session."""
        pipe, together = subprocess.PIPE, subprocess.STDOUT
        env = self._environment() | environment
        return subprocess.Popen(
            command, cwd=self.folder, env=env, stdout=pipe, stderr=together, text=True,
            start_new_session=True,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        bin_folder = str(Path(sys.executable).parent)
        env = {k: v for k, v in os.environ.items() if k not in ("DVC_ROOT", "IMAGENET_ROOT")}
        return env | AUTHOR | {"PATH": f"{bin_folder}{os.pathsep}{env['PATH']}"}

    def outputs(self) -> dict[str, str]:
        """Return the SHA-256 of each output and of dvc.lock."""
        made = (path for path in (self.folder / "data").rglob("*") if path.is_file())
        files = [*made, self.folder / "metrics.json", self.folder / "dvc.lock"]
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    def stages_run(self, output: str) -> list[str]:
        return re.findall(r"Running stage '(\w+)'", output)

    def alexnet(self, *arguments: str, fails: bool = False) -> str:
        """Run the alexnet command with the sources of this copy; return its output."""
        command = "python", "-m", "alexnet", *arguments
        return self.run(*command, fails=fails, PYTHONPATH=str(self.folder / "src"))
