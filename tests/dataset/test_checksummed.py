"""A changed byte of a file is detected by its checksum, or does not change its content."""

import json
from pathlib import Path
from typing import Any

import pytest

from alexnet.dataset.checksummed import read_checksummed_json, write_checksummed_json

CONTENT: dict[str, Any] = {
    "pixels": "raw",
    "rows": 20,
    "mean": [0.1, -1e-300, 12345678901234567890],
    "shards": [{"file": "00000.lmdb", "first": 0, "nested": {"pages": [0, 1, 2]}}],
    "odd": [{"name": "Größe ✓.JPEG", "what": "a\nb", "done": None, "kept": True}],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    write_checksummed_json(path, CONTENT)
    return path


def test_content_is_read_as_written(file: Path) -> None:
    assert read_checksummed_json(file) == CONTENT


def test_the_same_content_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    write_checksummed_json(tmp_path / "again.json", read_checksummed_json(file))
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_every_changed_byte_is_detected_or_has_no_effect(file: Path) -> None:
    data = file.read_bytes()
    detected = 0
    for place, byte in enumerate(data):
        for value in {byte ^ 1, ord("0"), ord(" ")} - {byte}:
            file.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
            detected += not _is_accepted(file)
    assert detected > 2 * len(data)


def test_every_missing_or_doubled_byte_is_detected_or_has_no_effect(file: Path) -> None:
    data = file.read_bytes()
    detected = 0
    for place in range(len(data)):
        for changed in (data[:place] + data[place + 1 :], data[:place] + data[place:][:1] * 2):
            file.write_bytes(changed + (b"" if len(changed) < len(data) else data[place + 1 :]))
            detected += not _is_accepted(file)
    assert detected > len(data)


def _is_accepted(path: Path) -> bool:
    """Return whether the file is read; then its content must be unchanged."""
    try:
        content = read_checksummed_json(path)
    except ValueError:
        return False
    assert content == CONTENT
    return True


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content | {"rows": 21},
        lambda content: content | {"new": 0},
        lambda content: {name: content[name] for name in content if name != "odd"},
        lambda content: {name: content[name] for name in content if name != "xxh3"},
        lambda content: dict(reversed(content.items())),
        lambda content: [content],
        lambda content: None,
    ],
)
def test_an_edit_that_keeps_the_checksum_is_detected(file: Path, edit: Any) -> None:
    file.write_text(json.dumps(edit(json.loads(file.read_text())), indent=1) + "\n")
    with pytest.raises(ValueError, match=r"manifest.json was changed"):
        read_checksummed_json(file)


def test_reformatted_content_is_detected(file: Path) -> None:
    file.write_text(json.dumps(json.loads(file.read_text())))
    with pytest.raises(ValueError, match=r"manifest.json was changed"):
        read_checksummed_json(file)


def test_a_file_truncated_anywhere_is_rejected(file: Path) -> None:
    data = file.read_bytes()
    for end in range(len(data) - 2):
        file.write_bytes(data[:end])
        with pytest.raises(ValueError, match=r"."):
            read_checksummed_json(file)


def test_content_that_cannot_be_written_leaves_the_file_unchanged(file: Path) -> None:
    with pytest.raises(TypeError):
        write_checksummed_json(file, {"not JSON": object()})
    assert read_checksummed_json(file) == CONTENT
    assert [path.name for path in file.parent.iterdir()] == ["manifest.json"]


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        read_checksummed_json(tmp_path / "manifest.json")
