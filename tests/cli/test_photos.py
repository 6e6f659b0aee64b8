"""Photos from files: the evaluation stage's answers, whatever batch they are in."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.cli.photos import Answer, Refused, Rule, answers, photos_in
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import predict
from alexnet.model.alexnet import AlexNet
from alexnet.model.weights import load_model
from alexnet.runtime.errors import InputError
from images import Images, smooth_images, write_split
from small_model import moments, small_model

RULE = Rule("bicubic", True)
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
    """As PNG files: of 256×256 their pixels are the net's."""
    folder = tmp_path_factory.mktemp("photos")
    for n, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{n}.png")
    return folder


def test_it_agrees_with_the_evaluation_stage(
    net: AlexNet, images: Images, folder: Path, tmp_path: Path
) -> None:
    write_split(tmp_path / "val", images, [0] * 7)
    said = predict(net, Shards(tmp_path / "val"), MEAN)
    found = list(answers(net, MEAN, sorted(folder.iterdir()), RULE, 32))
    for n, answer in enumerate(found):
        assert isinstance(answer, Answer)
        assert answer.labels == said.top[n].tolist()
        assert answer.probabilities == said.top_probabilities[n].tolist()
    by_centre = answers(net, MEAN, sorted(folder.iterdir()), RULE, 32, top=7, centre=True)
    assert said.centre_top is not None
    for answer, five in zip(by_centre, said.centre_top.tolist(), strict=True):
        assert isinstance(answer, Answer)
        assert answer.labels[:5] == five
        assert sum(answer.probabilities) == pytest.approx(1)
    assert len({answer.probabilities[0] for answer in found if isinstance(answer, Answer)}) == 7


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_an_answer_does_not_depend_on_its_batch(net: AlexNet, folder: Path, batch: int) -> None:
    photos = sorted(folder.iterdir())
    alone = [next(answers(net, MEAN, [photo], RULE, 1)) for photo in photos]
    for one, other in zip(alone, answers(net, MEAN, photos, RULE, batch), strict=True):
        assert isinstance(one, Answer)
        assert isinstance(other, Answer)
        assert (one.photo, one.labels) == (other.photo, other.labels)
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)


def test_what_cannot_be_read_keeps_no_other_from_its_answer(
    net: AlexNet, folder: Path, tmp_path: Path
) -> None:
    photo = folder / "0.png"
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:3000])
    (tmp_path / "notes.txt").write_text("no picture")
    named = [tmp_path / "gone.jpg", photo, tmp_path / "cut.png", tmp_path / "notes.txt", photo]
    found = list(answers(net, MEAN, named, RULE, 2))
    assert [type(each) for each in found] == [Refused, Answer, Refused, Refused, Answer]
    assert [each.photo for each in found] == named
    told = {each.photo.name: each.why for each in found if isinstance(each, Refused)}
    assert told["gone.jpg"] == "No such file or directory"
    assert told["notes.txt"] == "not an image"
    assert "truncated" in told["cut.png"]


def test_exif_turns_a_photo_unless_it_is_taken_as_stored(
    net: AlexNet, images: Images, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored, upright = tmp_path / "stored.png", tmp_path / "upright.png"
    Image.fromarray(images[0]).save(stored, exif=exif)
    Image.fromarray(np.rot90(images[0], -1)).save(upright)
    turned, same = answers(net, MEAN, [stored, upright], RULE, 2)
    as_stored, plain = answers(net, MEAN, [stored, upright], Rule("bicubic", False), 2)
    assert isinstance(turned, Answer)
    assert isinstance(as_stored, Answer)
    assert turned[1:3] == same[1:3] == plain[1:3] != as_stored[1:3]
    assert "applied" in turned.odd[0]
    assert "ignored" in as_stored.odd[0]


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "a.jpg", "c/.hidden/3.jpg", ".DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = photos_in([tmp_path / "b/1.jpg", tmp_path, tmp_path / "c"])
    told = [
        os.path.relpath(each.photo if isinstance(each, Refused) else each, tmp_path)
        for each in found
    ]
    assert told == ["b/1.jpg", "a.jpg", "b/1.jpg", "b/2.jpg", "c"]


def test_a_net_that_gives_no_numbers_is_told(folder: Path, tmp_path: Path) -> None:
    net = small_model(tmp_path)
    with torch.no_grad():
        net.fc8.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="gives no numbers"):
        list(answers(net, MEAN, [folder / "0.png"], RULE, 2))


def test_what_is_read_ahead_is_bounded(net: AlexNet, folder: Path) -> None:
    """Fifty thousand photos take the memory of two batches."""
    asked: list[Path] = []

    def photos() -> Iterator[Path]:
        for _ in range(50):
            asked.append(folder / "1.png")
            yield asked[-1]

    found = answers(net, MEAN, photos(), RULE, 2)
    next(found)
    assert len(asked) <= 4
    found.close()  # type: ignore[attr-defined]
