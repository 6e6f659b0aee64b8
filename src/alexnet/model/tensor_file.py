"""A safetensors file that also holds a JSON state, and a checksum of the tensors and the state.

Reading with framework "numpy" returns arrays and does not import torch; "pt" returns tensors that
are views of the file.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import safetensors
import xxhash

from alexnet.runtime.errors import InputError, rebuild_command
from alexnet.runtime.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

CHECKSUM = "xxh3"  # key of the checksum in the file's state
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RuntimeError),
    *(safetensors.SafetensorError, InputError),
)
Framework = Literal["numpy", "pt"]


def save_tensors(path: Path, tensors: "Mapping[str, Tensor]", state: Mapping[str, Any]) -> None:
    """Write torch tensors and `state`, with their checksum, to `path` atomically."""
    import safetensors.torch

    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json_text({**state, CHECKSUM: checksum_of(on_cpu, state)})
    write_atomically(path, safetensors.torch.save(on_cpu, {"state": text}))


def load_tensors(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Return the torch tensors and the state of a file.

    Raises InputError if it is missing or corrupt.
    """
    with open_tensor_file(path, "pt") as file:
        state, checksum = read_state(file)
        return read_tensors(file, state, checksum), state


@contextmanager
def open_tensor_file(path: Path, framework: Framework) -> Iterator[Any]:
    """Open `path`; any error while reading it becomes a one-line InputError."""
    try:
        with path.open("rb"), safetensors.safe_open(path, framework) as file:
            yield file
    except DAMAGE as error:
        why = getattr(error, "strerror", None) or str(error).partition("; fix: ")[0] or repr(error)
        first, *_ = why.splitlines()  # torch appends its C++ stack
        fix = f"{rebuild_command(path, 'train')}, or name another file"
        raise InputError(f"{path} cannot be read: {first[:200]}", fix) from None


def read_state(file: Any) -> tuple[dict[str, Any], Any]:
    """Return the state of an opened file and its checksum, neither of them verified.

    Raises ValueError if the file has no state.
    """
    state = json.loads((file.metadata() or {}).get("state", "null"))
    if not isinstance(state, dict):
        raise ValueError("not an alexnet model file: its metadata has no 'state'")
    return state, state.pop(CHECKSUM, None)


def read_tensors(file: Any, state: Mapping[str, Any], checksum: Any) -> dict[str, Any]:
    """Return all tensors of an opened file.

    Raises ValueError unless the checksum matches.
    """
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if checksum != checksum_of(tensors, state):
        raise ValueError("its contents do not match its checksum")
    return tensors


def checksum_of(tensors: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return the XXH3 of tensors (numpy arrays or torch's, on the CPU) and a state.

    Dtypes enter under torch's names in both cases.
    """
    digest = xxhash.xxh3_64(json_text(state).encode())
    for name, tensor in sorted(tensors.items()):
        array = np.asarray(tensor)
        digest.update(f"{name} {array.shape} torch.{array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def json_text(state: Any) -> str:
    """Return a state as indented JSON, readable for people too."""
    return json.dumps(state, indent=1, ensure_ascii=False) + "\n"
