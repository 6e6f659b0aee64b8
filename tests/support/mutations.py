"""Random small changes of valid bytes and JSON values, as in a fuzzer."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Change = Callable[[bytearray, Random, Sequence[bytes]], None]

NUMBERS = [0, 1, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000]
WIDE = [*NUMBERS, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
WORDS = ["", "\0", "../../../escaped", "/escaped", "${oc.env:HOME}", "os.system", "9" * 400, "é\n"]
MOST_CHANGES = 4


def mutate(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Return `data` with one to four small changes; pieces of `others` may be inserted."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, MOST_CHANGES)):
        if changed:
            rng.choice(CHANGES)(changed, rng, others)
    return bytes(changed)


def _place(data: bytearray, rng: Random) -> int:
    """Return a random place, half of the time near the start, where headers are."""
    return rng.randrange(min(len(data), 512) if rng.random() < 0.5 else len(data))


def _piece(data: bytearray, rng: Random, most: int) -> slice:
    start = _place(data, rng)
    return slice(start, start + rng.randint(1, most))


def _flip(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    data[_place(data, rng)] = rng.choice([*NUMBERS[:7], rng.randrange(256)])


def _number(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    """Write an integer at the edge of its type, where a length or an offset may be."""
    size, at = rng.choice([2, 4, 8]), _place(data, rng)
    value = rng.choice(WIDE) & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, rng.choice(["little", "big"]))


def _digits(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    """Write a number as text, as in tar headers and text formats."""
    at = _place(data, rng)
    text = rng.choice([b"-1", b"77777777777", b"1e999", b"nan", b"99999999999999999999"])
    data[at : at + len(text)] = text


def _insert(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at = _place(data, rng)
    data[at:at] = rng.randbytes(rng.randint(1, 64))


def _delete(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del data[_piece(data, rng, 64)]


def _zero(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    piece = data[where := _piece(data, rng, 600)]
    data[where] = bytes(len(piece))


def _repeat(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    piece = data[_piece(data, rng, 600)]
    at = _place(data, rng)
    data[at:at] = piece * rng.randint(1, 3)


def _splice(data: bytearray, rng: Random, others: Sequence[bytes]) -> None:
    other = bytearray(rng.choice(others))
    data[_place(data, rng) :] = other[_place(other, rng) :] if other else b""


def _cut(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del data[_place(data, rng) :]


CHANGES: list[Change] = [
    *(_flip, _flip, _overwrite, _overwrite, _number, _number, _digits),
    *(_insert, _delete, _zero, _repeat, _splice, _cut),
]


def mutate_value(value: Any, rng: Random) -> Any:
    """Return a JSON value in which one part, at any depth, is replaced, removed or added."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        match rng.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return value | {rng.choice([*WORDS, "_target_", "more"]): strange_value(rng)}
            case _:
                return value | {key: mutate_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        match rng.randrange(8):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, *value]
            case _:
                return [*value[:at], mutate_value(value[at], rng), *value[at + 1 :]]
    return strange_value(rng)


def strange_value(rng: Random) -> Any:
    """Return a JSON value of any type, mostly an unexpected one."""
    numbers = [-1, *WIDE, 10**30, -(10**30), 0.5, -0.0, 1e308, float("nan"), float("inf")]
    others = [None, True, False, [], {}, [[]] * 3, {"a": 1}, [0, 3, 0, 3]]
    return rng.choice(rng.choice([numbers, others, WORDS]))  # type: ignore[arg-type]
