"""The pool of workers that conf/executor names."""

import logging
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from contextlib import contextmanager
from typing import Any

from hydra.utils import get_class, instantiate

from alexnet.config.schema import Config as Config
from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import exit_with_parent
from alexnet.runtime.threads import usable_cores

POOL = ("submit", "map", "shutdown")  # what a class must have for `_target_` to name it


@contextmanager
def workers(executor: dict[str, Any]) -> Iterator[Executor]:
    """The pool that conf/executor names: any class with the concurrent.futures API.

    Raises InputError where it cannot be had, is none, or is lost with its work undone.
    """
    name = str(executor.get("_target_"))
    ours: dict[str, Any] = {}
    if name.startswith("concurrent.futures."):
        count = executor.get("max_workers") or usable_cores().count
        ours = {"initializer": exit_with_parent, "max_workers": count}
    try:
        _refuse_calls({"_target_": None} | executor)
        pool = instantiate(executor, **ours)
    except Exception as error:
        words = str(error.__cause__ or error).partition("full_key")[0]
        fix = "start what it connects to, or choose executor: processes in params.yaml"
        raise InputError(f"no {name}: {words}", fix) from None
    logging.disable()  # what a pool's library logs, in tracebacks, is told in a line
    try:
        with pool:
            yield pool
    except (BrokenExecutor, CancelledError) as error:
        what = f"{name} lost a worker or its scheduler ({type(error).__name__})"
        raise InputError(what, "run again: what is finished is kept") from None


def _refuse_calls(part: Any) -> None:
    """Raise ValueError where a `_target_` in it, at any depth, names something else than a pool.

    Looked at before anything is called; to look, its module is imported.
    """
    if isinstance(part, dict) and part.get("_partial_"):
        raise ValueError("an executor is made whole, not _partial_")
    if isinstance(part, dict) and "_target_" in part:
        made = get_class(str(part["_target_"]))
        if not all(callable(getattr(made, method, None)) for method in POOL):
            raise ValueError(f"{part['_target_']} is no executor: it lacks {', '.join(POOL)}")
    if isinstance(part, str) and "${" in part:  # it would be looked up once more, in the making
        raise ValueError(f"{part} is looked up too late")
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            _refuse_calls(inner)
