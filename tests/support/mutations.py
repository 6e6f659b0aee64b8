"""Bytes and JSON values changed by chance, as a fuzzer does it: small changes of what is right."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Change = Callable[[bytearray, Random, Sequence[bytes]], None]

NUMBERS = [0, 1, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000]
WIDE = [*NUMBERS, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
WORDS = ["", "\0", "../../../escaped", "/escaped", "${oc.env:HOME}", "os.system", "9" * 400, "é\n"]
MOST_CHANGES = 4


def mutated(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """One to four small changes of `data`; of `others` pieces may be taken."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, MOST_CHANGES)):
        if changed:
            chance.choice(CHANGES)(changed, chance, others)
    return bytes(changed)


def _place(data: bytearray, chance: Random) -> int:
    """Half of them near the start, where headers are."""
    return chance.randrange(min(len(data), 512) if chance.random() < 0.5 else len(data))


def _piece(data: bytearray, chance: Random, most: int) -> slice:
    start = _place(data, chance)
    return slice(start, start + chance.randint(1, most))


def _flip(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    data[_place(data, chance)] = chance.choice([*NUMBERS[:7], chance.randrange(256)])


def _number(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    """An integer at the edge of its type, where a length or an offset may be."""
    size, at = chance.choice([2, 4, 8]), _place(data, chance)
    value = chance.choice(WIDE) & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, chance.choice(["little", "big"]))


def _digits(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    """A number in words, as tar and text formats have it."""
    at = _place(data, chance)
    text = chance.choice([b"-1", b"77777777777", b"1e999", b"nan", b"99999999999999999999"])
    data[at : at + len(text)] = text


def _insert(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    at = _place(data, chance)
    data[at:at] = chance.randbytes(chance.randint(1, 64))


def _delete(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    del data[_piece(data, chance, 64)]


def _zero(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    piece = data[where := _piece(data, chance, 600)]
    data[where] = bytes(len(piece))


def _repeat(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    piece = data[_piece(data, chance, 600)]
    at = _place(data, chance)
    data[at:at] = piece * chance.randint(1, 3)


def _splice(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    other = bytearray(chance.choice(others))
    data[_place(data, chance) :] = other[_place(other, chance) :] if other else b""


def _cut(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    del data[_place(data, chance) :]


CHANGES: list[Change] = [
    *(_flip, _flip, _overwrite, _overwrite, _number, _number, _digits),
    *(_insert, _delete, _zero, _repeat, _splice, _cut),
]


def mutated_value(value: Any, chance: Random) -> Any:
    """A JSON value of which one part, wherever it lies, is another, or missing, or more."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        match chance.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return value | {chance.choice([*WORDS, "_target_", "more"]): strange(chance)}
            case _:
                return value | {key: mutated_value(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        match chance.randrange(8):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, *value]
            case _:
                return [*value[:at], mutated_value(value[at], chance), *value[at + 1 :]]
    return strange(chance)


def strange(chance: Random) -> Any:
    """A value of any type of JSON's, mostly one that nobody would write."""
    numbers = [-1, *WIDE, 10**30, -(10**30), 0.5, -0.0, 1e308, float("nan"), float("inf")]
    others = [None, True, False, [], {}, [[]] * 3, {"a": 1}, [0, 3, 0, 3]]
    return chance.choice(chance.choice([numbers, others, WORDS]))  # type: ignore[arg-type]
