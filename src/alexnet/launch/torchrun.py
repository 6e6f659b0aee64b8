"""Run a stage in one process, or restart its script under torchrun in several."""

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from alexnet.launch.gpus import leased, leased_device, pick_device, visible_gpus
from alexnet.model.precision import make_deterministic
from alexnet.model.towers import SINGLE_PROCESS, RankLayout, barrier, rank_layout
from alexnet.runtime.errors import InputError, disk_error
from alexnet.runtime.paths import home
from alexnet.runtime.processes import prepare_process
from alexnet.runtime.scratch import scratch_folder
from alexnet.runtime.threads import usable_threads

ERROR_FILE = "ALEXNET_ERROR_FILE"  # in the environment of a rank: where the first error line goes

Work = Callable[[RankLayout, torch.device], float | None]


@dataclass(frozen=True)
class LaunchSettings:
    """conf/launcher: `processes` on each of `nodes`; every `towers` neighbours share a net.

    nodes: a number, or a range such as "1:4". rendezvous: host:port of one node, needed for
    several. max_restarts: how often torchrun restarts all ranks after one is lost. deterministic:
    the same bytes every time on a GPU as well. checkpoint_steps: steps between two checkpoints.
    Raises InputError for a contradiction.
    """

    device: str = "auto"
    processes: int = 1
    towers: int = 1
    nodes: str = "1"
    rendezvous: str | None = None
    max_restarts: int = 0
    deterministic: bool = False
    checkpoint_steps: int = 1000

    def __post_init__(self) -> None:
        if self.towers not in (1, 2):
            raise InputError(f"launcher.towers is {self.towers}", "choose 1 or 2")
        if self.processes < 1 or self.processes % self.towers:
            problem = f"launcher.processes is {self.processes}, launcher.towers {self.towers}"
            raise InputError(problem, "choose a multiple of launcher.towers")
        if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", self.nodes):
            raise InputError(f"launcher.nodes is {self.nodes}", "choose a number, or a range: 1:4")
        if self.nodes != "1" and not self.rendezvous:
            fix = "launcher.rendezvous=host:port, the same on every node"
            raise InputError(f"launcher.nodes is {self.nodes}, without a rendezvous", fix)
        if self.max_restarts < 0:
            raise InputError(f"launcher.max_restarts is {self.max_restarts}", "choose 0 or more")

    @property
    def single(self) -> bool:
        """Whether this process does all the work."""
        return self.processes == 1 and self.nodes == "1" and not self.max_restarts


def launch(settings: LaunchSettings, work: Work) -> float | None:
    """Run `work(layout, device)` here, or in ranks that torchrun starts from this script.

    Returns what `work` returns, or None from several processes, when all are done. Raises
    InputError for what a rank reported, or if a rank is lost for good.
    """
    if settings.deterministic:
        make_deterministic()
    if dist.is_torchelastic_launched():
        _run_rank(settings, work)
    if not settings.single:
        _start_ranks(settings)
        return None
    prepare_process()
    with leased_device(settings.device) as device:
        return work(SINGLE_PROCESS, device)


@contextmanager
def shared_scratch(stage: str, mark: str, layout: RankLayout) -> Iterator[Path]:
    """Yield the scratch folder that all ranks share; the main rank creates and locks it."""
    if not layout.is_main:
        barrier(layout)
        yield home() / ".scratch" / stage / mark
        return
    with scratch_folder(stage, mark) as folder:
        barrier(layout)
        yield folder


def _run_rank(settings: LaunchSettings, work: Work) -> NoReturn:
    """Run the work of one rank and end its process; the parent does the rest of the script.

    A restart would not cure invalid input, so the rank then asks torchrun to end.
    """
    try:
        _work_as_rank(settings, work)
    except SystemExit as end:
        _leave(end.code)
    except KeyboardInterrupt:
        _leave(128 + signal.SIGINT)
    except (InputError, OSError) as error:
        _report(error if isinstance(error, InputError) else disk_error(error))
        _leave(1)
    except Exception as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):  # not a lost peer
            traceback.print_exc()
        _leave(1)
    _leave(0)


def _work_as_rank(settings: LaunchSettings, work: Work) -> None:
    prepare_process()
    device = _device_of(settings.device, int(os.environ["LOCAL_RANK"]))
    gpu = device.type == "cuda"
    dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
    if dist.get_rank():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    if dist.get_world_size() % settings.towers:
        problem = f"{dist.get_world_size()} processes cannot form nets of {settings.towers} towers"
        raise InputError(problem, "launcher.towers=1, or another number of processes")
    if int(os.environ["TORCHELASTIC_RESTART_COUNT"]):
        print("torchrun: a process was lost; all are restarted", flush=True)
    work(rank_layout(settings.towers, device.type), device)
    dist.barrier()
    dist.destroy_process_group()


def _device_of(name: str, local_rank: int) -> torch.device:
    """Return the GPU of this rank, or the CPU."""
    if name not in ("auto", "cpu", "cuda"):
        problem = f"launcher.device is {name}, but there are several processes"
        raise InputError(problem, "choose auto, cuda or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return pick_device(name)
    torch.cuda.set_device(local_rank)
    return pick_device(f"cuda:{local_rank}")


def _report(error: InputError) -> None:
    """Write the error for the parent, unless another rank was first, and ask torchrun to end.

    Print it if the user started torchrun.
    """
    if ERROR_FILE not in os.environ:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return
    path = Path(os.environ[ERROR_FILE])
    own = path.with_name(f"{path.name}.{os.getpid()}")
    own.write_text(str(error))
    with suppress(FileExistsError):
        path.hardlink_to(own)
    os.kill(os.getppid(), signal.SIGTERM)


def _leave(code: Any) -> NoReturn:
    """End at once: closing a process group whose other ranks are gone can abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _start_ranks(settings: LaunchSettings) -> None:
    gpus = visible_gpus() if settings.device != "cpu" else []
    if gpus and len(gpus) < settings.processes:
        problem = f"launcher.processes is {settings.processes}, but there are {len(gpus)} GPUs"
        raise InputError(problem, f"launcher.processes={len(gpus)}, or launcher.device=cpu")
    with leased(gpus, settings.processes if gpus else 0) as own:
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[n] for n in own)
        _run_torchrun(settings)


def _run_torchrun(settings: LaunchSettings) -> None:
    threads = max(1, usable_threads().count // settings.processes)  # torchrun's default is 1
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # otherwise a restart finds old addresses in the store, and sometimes uses them
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    logging.disable()  # torchrun logs tables and tracebacks; one line says the same
    with TemporaryDirectory() as folder:
        error_file = Path(folder, "error")
        os.environ[ERROR_FILE] = str(error_file)
        try:
            args = torchrun.parse_args(_arguments(settings, folder))  # type: ignore[no-untyped-call]
            torchrun.run(args)  # type: ignore[no-untyped-call]
        except (SignalException, ChildFailedError) as end:
            if error_file.exists():
                raise InputError(error_file.read_text()) from None
            if isinstance(end, ChildFailedError):
                raise _lost_rank(end.failures) from None
            if end.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            sys.exit(128 + end.sigval)


def _arguments(settings: LaunchSettings, folder: str) -> list[str]:
    """Return the command line of torchrun: its options, this script and its arguments."""
    options = ["--standalone"]
    if endpoint := settings.rendezvous:
        options = ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--rdzv-id=alexnet"]
    options += [f"--nnodes={settings.nodes}", f"--nproc-per-node={settings.processes}"]
    options += [f"--max-restarts={settings.max_restarts}", f"--log-dir={folder}"]
    script = str(sys.modules["__main__"].__file__)  # absolute, unlike sys.argv[0]
    return [*options, script, *sys.argv[1:]]


def _lost_rank(failures: dict[int, Any]) -> InputError:
    """Return the error that names the lost rank; torchrun ended the others with SIGTERM."""
    order = {n: (f.exitcode == -signal.SIGTERM, f.exitcode > 0, n) for n, f in failures.items()}
    rank = min(failures, key=lambda n: order[n])
    failure = failures[rank]
    killed = failure.exitcode < 0
    end = f"was killed by {failure.signal_name()}" if killed else "lost the other ranks"
    return InputError(f"rank {rank} {end}", "rerun: it resumes from the last checkpoint")
