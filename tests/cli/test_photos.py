"""Photos from files get the evaluation stage's answers, in batches of any size."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.cli.photos import Answer, ResizeRule, UnreadablePhoto, classify, find_photos
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import predict
from alexnet.model.alexnet import AlexNet
from alexnet.model.weights import load_model
from alexnet.runtime.errors import InputError
from images import Images, smooth_images, write_split
from small_model import moments, small_model

RULE = ResizeRule("bicubic", True)
MEAN = torch.from_numpy(moments().mean_image)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> AlexNet:
    folder = tmp_path_factory.mktemp("model")
    small_model(folder)
    return load_model(folder)[0]


@pytest.fixture(scope="module")
def images() -> Images:
    return smooth_images(7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Path:
    """Write the images as PNG files, which resizing leaves as they are."""
    folder = tmp_path_factory.mktemp("photos")
    for n, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{n}.png")
    return folder


def test_answers_equal_those_of_the_evaluation_stage(
    net: AlexNet, images: Images, folder: Path, tmp_path: Path
) -> None:
    write_split(tmp_path / "val", images, [0] * 7)
    expected = predict(net, Shards(tmp_path / "val"), MEAN)
    found = list(classify(net, MEAN, sorted(folder.iterdir()), RULE, 32))
    for n, answer in enumerate(found):
        assert isinstance(answer, Answer)
        assert answer.labels == expected.top[n].tolist()
        assert answer.probabilities == expected.top_probabilities[n].tolist()
    centre_answers = classify(net, MEAN, sorted(folder.iterdir()), RULE, 32, top=7, centre=True)
    assert expected.centre_top is not None
    for answer, five in zip(centre_answers, expected.centre_top.tolist(), strict=True):
        assert isinstance(answer, Answer)
        assert answer.labels[:5] == five
        assert sum(answer.probabilities) == pytest.approx(1)
    assert len({answer.probabilities[0] for answer in found if isinstance(answer, Answer)}) == 7


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_an_answer_does_not_depend_on_the_batch_size(
    net: AlexNet, folder: Path, batch: int
) -> None:
    photos = sorted(folder.iterdir())
    single = [next(classify(net, MEAN, [photo], RULE, 1)) for photo in photos]
    for answer, other in zip(single, classify(net, MEAN, photos, RULE, batch), strict=True):
        assert isinstance(answer, Answer)
        assert isinstance(other, Answer)
        assert (answer.photo, answer.labels) == (other.photo, other.labels)
        assert other.probabilities == pytest.approx(answer.probabilities, abs=1e-5)


def test_unreadable_photos_do_not_affect_the_others(
    net: AlexNet, folder: Path, tmp_path: Path
) -> None:
    photo = folder / "0.png"
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:3000])
    (tmp_path / "notes.txt").write_text("no picture")
    photos = [tmp_path / "gone.jpg", photo, tmp_path / "cut.png", tmp_path / "notes.txt", photo]
    found = list(classify(net, MEAN, photos, RULE, 2))
    assert [type(answer) for answer in found] == [
        UnreadablePhoto,
        Answer,
        UnreadablePhoto,
        UnreadablePhoto,
        Answer,
    ]
    assert [answer.photo for answer in found] == photos
    reasons = {a.photo.name: a.reason for a in found if isinstance(a, UnreadablePhoto)}
    assert reasons["gone.jpg"] == "No such file or directory"
    assert reasons["notes.txt"] == "not an image"
    assert "truncated" in reasons["cut.png"]


def test_exif_orientation_is_applied_unless_as_stored(
    net: AlexNet, images: Images, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored, upright = tmp_path / "stored.png", tmp_path / "upright.png"
    Image.fromarray(images[0]).save(stored, exif=exif)
    Image.fromarray(np.rot90(images[0], -1)).save(upright)
    turned, same = classify(net, MEAN, [stored, upright], RULE, 2)
    as_stored, plain = classify(net, MEAN, [stored, upright], ResizeRule("bicubic", False), 2)
    assert isinstance(turned, Answer)
    assert isinstance(as_stored, Answer)
    assert turned[1:3] == same[1:3] == plain[1:3] != as_stored[1:3]
    assert "applied" in turned.odd[0]
    assert "ignored" in as_stored.odd[0]


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "a.jpg", "c/.hidden/3.jpg", ".DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = find_photos([tmp_path / "b/1.jpg", tmp_path, tmp_path / "c"])
    names = [
        os.path.relpath(item.photo if isinstance(item, UnreadablePhoto) else item, tmp_path)
        for item in found
    ]
    assert names == ["b/1.jpg", "a.jpg", "b/1.jpg", "b/2.jpg", "c"]


def test_a_net_that_outputs_nan_is_an_input_error(folder: Path, tmp_path: Path) -> None:
    net = small_model(tmp_path)
    with torch.no_grad():
        net.fc8.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="outputs NaN"):
        list(classify(net, MEAN, [folder / "0.png"], RULE, 2))


def test_at_most_two_batches_are_in_memory(net: AlexNet, folder: Path) -> None:
    """However many photos are named."""
    opened: list[Path] = []

    def photos() -> Iterator[Path]:
        for _ in range(50):
            opened.append(folder / "1.png")
            yield opened[-1]

    found = classify(net, MEAN, photos(), RULE, 2)
    next(found)
    assert len(opened) <= 4
    found.close()  # type: ignore[attr-defined]
