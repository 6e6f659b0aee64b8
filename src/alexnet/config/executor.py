"""The pool of workers that conf/executor names."""

import logging
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from contextlib import contextmanager
from typing import Any

from hydra.utils import get_class, instantiate

from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import exit_with_parent
from alexnet.runtime.threads import usable_cores

EXECUTOR_METHODS = ("submit", "map", "shutdown")


@contextmanager
def workers(executor: dict[str, Any]) -> Iterator[Executor]:
    """Start the pool that conf/executor names: any class with the concurrent.futures API.

    Raises InputError if it cannot be started, is not an executor, or is lost before the work is
    done.
    """
    name = str(executor.get("_target_"))
    extra: dict[str, Any] = {}
    if name.startswith("concurrent.futures."):
        count = executor.get("max_workers") or usable_cores().count
        extra = {"initializer": exit_with_parent, "max_workers": count}
    try:
        _check_targets({"_target_": None} | executor)
        pool = instantiate(executor, **extra)
    except Exception as error:
        words = str(error.__cause__ or error).partition("full_key")[0]
        fix = "start what it connects to, or choose executor: processes in params.yaml"
        raise InputError(f"no {name}: {words}", fix) from None
    logging.disable()  # libraries log tracebacks; one error line replaces them
    try:
        with pool:
            yield pool
    except (BrokenExecutor, CancelledError) as error:
        problem = f"{name} lost a worker or its scheduler ({type(error).__name__})"
        raise InputError(problem, "rerun: finished work is kept") from None


def _check_targets(part: Any) -> None:
    """Raise ValueError if a `_target_`, at any depth, names something other than an executor.

    Nothing has been called at that point, but the module of the target is imported.
    """
    if isinstance(part, dict) and part.get("_partial_"):
        raise ValueError("an executor cannot be _partial_")
    if isinstance(part, dict) and "_target_" in part:
        target = get_class(str(part["_target_"]))
        if not all(callable(getattr(target, method, None)) for method in EXECUTOR_METHODS):
            missing = ", ".join(EXECUTOR_METHODS)
            raise ValueError(f"{part['_target_']} is not an executor: it lacks {missing}")
    if isinstance(part, str) and "${" in part:  # would be resolved during instantiation
        raise ValueError(f"{part} is an interpolation inside an executor")
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            _check_targets(inner)
