"""A stage on several processes: it starts its own script again under torchrun."""

import atexit
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from alexnet.launch.gpus import leased, leased_device, pick_device, visible_gpus
from alexnet.model.precision import make_deterministic
from alexnet.model.towers import SINGLE_PROCESS, RankLayout, barrier, rank_layout
from alexnet.runtime.errors import InputError
from alexnet.runtime.paths import home
from alexnet.runtime.processes import prepare_process
from alexnet.runtime.scratch import scratch_folder
from alexnet.runtime.threads import usable_threads

TOLD = "ALEXNET_TOLD"  # names a file that the first rank to tell an error makes

Work = Callable[[RankLayout, torch.device], None]


@dataclass(frozen=True)
class Launch:
    """conf/launcher: `processes` on each of `nodes`; of them, each `towers` neighbours share a net.

    nodes: a number, or as torchrun's "1:4". rendezvous: host:port of one of them, for several.
    max_restarts: how often torchrun starts all again when one is lost. deterministic: a GPU, too,
    gives the same bytes every time. Raises InputError where they contradict each other.
    """

    device: str = "auto"
    processes: int = 1
    towers: int = 1
    nodes: str = "1"
    rendezvous: str | None = None
    max_restarts: int = 0
    deterministic: bool = False

    def __post_init__(self) -> None:
        if self.towers not in (1, 2):
            raise InputError(f"launcher.towers is {self.towers}", "give 1 or 2")
        if self.processes < 1 or self.processes % self.towers:
            what = f"launcher.processes is {self.processes}, launcher.towers {self.towers}"
            raise InputError(what, "give as many processes as towers, or a multiple")
        if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", self.nodes):
            raise InputError(f"launcher.nodes is {self.nodes}", "give a number, or 1:4 for 1 to 4")
        if self.nodes != "1" and not self.rendezvous:
            fix = "launcher.rendezvous=host:port, the same on every node"
            raise InputError(f"launcher.nodes is {self.nodes}, without a place to meet", fix)
        if self.max_restarts < 0:
            raise InputError(f"launcher.max_restarts is {self.max_restarts}", "give 0 or more")

    @property
    def alone(self) -> bool:
        """Whether this very process does the work."""
        return self.processes == 1 and self.nodes == "1" and not self.max_restarts


def launched(launch: Launch, work: Work) -> None:
    """Do `work(place, device)` here, or in processes that torchrun starts from this same script.

    Returns, in the process that was started first, when all have done it. Raises InputError where
    one is lost for good; what a rank itself has to say it says on stderr, one rank for all.
    """
    if launch.deterministic:
        make_deterministic()
    if dist.is_torchelastic_launched():
        _as_rank(launch, work)
    elif launch.alone:
        prepare_process()
        with leased_device(launch.device) as device:
            work(SINGLE_PROCESS, device)
    else:
        _start(launch)


@contextmanager
def held(stage: str, mark: str, place: RankLayout) -> Iterator[Path]:
    """As `scratch`, held by the first rank for all."""
    if not place.first:
        barrier(place)
        yield home() / ".scratch" / stage / mark
        return
    with scratch_folder(stage, mark) as folder:
        barrier(place)
        yield folder


def _as_rank(launch: Launch, work: Work) -> None:
    """Never returns: what a stage does after its work is left to the process that started it."""
    with _telling_once():
        prepare_process()
        device = _device_of(launch.device, int(os.environ["LOCAL_RANK"]))
        gpu = device.type == "cuda"
        dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
        if dist.get_rank():
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        if dist.get_world_size() % launch.towers:
            what = f"{dist.get_world_size()} processes do not make nets of {launch.towers} towers"
            raise InputError(what, "launcher.towers=1, or another number of processes")
        _tell_restart()
        work(rank_layout(launch.towers, device.type), device)
        dist.barrier()
        dist.destroy_process_group()
    sys.exit()


def _device_of(name: str, local_rank: int) -> torch.device:
    """A GPU for each rank of a node, or the CPU for all."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"launcher.device is {name}, for several", "give auto, cuda or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return pick_device(name)
    torch.cuda.set_device(local_rank)
    return pick_device(f"cuda:{local_rank}")


def _tell_restart() -> None:
    if int(os.environ["TORCHELASTIC_RESTART_COUNT"]):
        print("torchrun: a process was lost; all are started again", flush=True)


@contextmanager
def _telling_once() -> Iterator[None]:
    """Of an error that several ranks meet the first says what it is; the others are silent.

    The same input would be as bad again: then torchrun is asked to end, not to restart.
    """
    try:
        yield
    except SystemExit as end:
        _leave(end.code)
    except KeyboardInterrupt:
        _leave(128 + signal.SIGINT)
    except (InputError, OSError):
        atexit.register(_leave, 1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # till it is told
        _silent_unless_first()
        if TOLD in os.environ:
            os.kill(os.getppid(), signal.SIGTERM)
        raise
    except Exception as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            _leave(1)  # another rank is gone, and has said why or could not
        atexit.register(_leave, 1)
        _silent_unless_first()
        raise


def _leave(code: Any) -> None:
    """End at once: what speaks to other ranks, taken down when they are gone, can abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _silent_unless_first() -> None:
    if TOLD in os.environ:
        try:
            Path(os.environ[TOLD]).touch(exist_ok=False)
        except FileExistsError:
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


def _start(launch: Launch) -> None:
    gpus = visible_gpus() if launch.device != "cpu" else []
    if gpus and len(gpus) < launch.processes:
        what = f"launcher.processes is {launch.processes}, and there are {len(gpus)} GPUs"
        raise InputError(what, f"launcher.processes={len(gpus)}, or launcher.device=cpu")
    with leased(gpus, launch.processes if gpus else 0) as own:
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[n] for n in own)
        _run(launch)


def _run(launch: Launch) -> None:
    share = max(1, usable_threads().count // launch.processes)  # torchrun would give each 1
    os.environ.setdefault("OMP_NUM_THREADS", str(share))
    # else a restart finds addresses of the start before in the store, and now and then uses them
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    logging.disable()  # what torchrun logs, in tables and tracebacks, is told in a line
    with TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        os.environ[TOLD] = str(told)
        try:
            args = torchrun.parse_args(_arguments(launch, folder))  # type: ignore[no-untyped-call]
            torchrun.run(args)  # type: ignore[no-untyped-call]
        except SignalException as end:
            _ended(end.sigval, told.exists())
        except ChildFailedError as error:
            if told.exists():
                sys.exit(1)
            raise _lost(error.failures) from None


def _arguments(launch: Launch, folder: str) -> list[str]:
    meet = ["--standalone"]
    if launch.rendezvous:
        meet = ["--rdzv-backend=c10d", f"--rdzv-endpoint={launch.rendezvous}", "--rdzv-id=alexnet"]
    how = [f"--nnodes={launch.nodes}", f"--nproc-per-node={launch.processes}", *meet]
    how += [f"--max-restarts={launch.max_restarts}", f"--log-dir={folder}"]
    script = str(sys.modules["__main__"].__file__)  # absolute, unlike sys.argv[0]
    return [*how, script, *sys.argv[1:]]


def _ended(by: signal.Signals, told: bool) -> None:
    """By a rank that has met bad input, or from outside."""
    if told:
        sys.exit(1)
    if by == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + by)


def _lost(failures: dict[int, Any]) -> InputError:
    """What became of the rank that was killed, if one was: torchrun ended the others for it."""
    ended = -signal.SIGTERM
    order = {n: (f.exitcode == ended, f.exitcode > 0, n) for n, f in failures.items()}
    rank = min(failures, key=lambda n: order[n])
    failure = failures[rank]
    how = f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else "lost the others"
    return InputError(f"rank {rank} {how}", "run again: it goes on from the last checkpoint")
