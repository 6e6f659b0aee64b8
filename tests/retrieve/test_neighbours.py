"""The streamed search against the whole matrix of distances, computed the long way."""

from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import NetConfig
from alexnet.retrieve import neighbours
from alexnet.retrieve.neighbours import (
    Nearest,
    evenly_spaced,
    fc7_activations,
    search,
    squared_distances,
    write_neighbours,
)
from images import Images, random_images, write_split

STD = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), 0.025)


@pytest.fixture(scope="module")
def net() -> AlexNet:
    small = AlexNet(NetConfig(5, 16))
    initialise(small, 0, STD, dict.fromkeys(STD, 0.1))
    return small


@pytest.fixture(scope="module")
def val(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Shards:
    """Four images: noise, and in record 2 one that is also record 17 of train."""
    others = random_images(4, seed=1)
    others[2] = images[17]
    return write_split(tmp_path_factory.mktemp("val") / "val", others, [0, 1, 2, 3])


def whole_order(queries: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The rows by their distance from each query, of equal ones the first."""
    apart = [[float(((q - r) ** 2).sum()) for r in rows.double()] for q in queries.double()]
    return torch.tensor(apart).argsort(dim=1, stable=True)


def test_pixel_distances_are_exact() -> None:
    """Also where all differ by 255 in 150,528 places, which 32 bits could not hold."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (4, 224 * 224 * 3), np.uint8)
    pixels[2:] = [[0], [255]]
    found = squared_distances(torch.from_numpy(pixels), torch.from_numpy(pixels))
    wide = pixels.astype(object)
    for n, m in np.ndindex(4, 4):
        assert found[n, m].item() == sum((wide[n] - wide[m]) ** 2)


def test_distances_of_activations_lose_nothing_far_from_zero() -> None:
    """Neighbours a thousand times nearer than zero, whose squares float32 would lose."""
    rows = 100 + torch.rand(20, 4096) * 0.1
    for n, m in np.ndindex(3, 20):
        apart = (rows[n].double() - rows[m].double()).square().sum()
        found = squared_distances(rows[n : n + 1], rows[m : m + 1]).squeeze()
        torch.testing.assert_close(found, apart, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 50, 100])
def test_what_is_kept_of_batches_is_nearest_of_all(batch: int) -> None:
    """Among many equal distances, too: of those the first seen."""
    queries = torch.randint(0, 4, (3, 5))
    rows = torch.randint(0, 4, (100, 5))
    numbers = torch.arange(100) * 3 + 1
    nearest = Nearest.of_no_rows(queries)
    for first in range(0, 100, batch):
        nearest = nearest.updated(rows[first : first + batch], numbers[first : first + batch])
    assert nearest.records.shape == (3, 6), "no more is kept than is wanted"
    assert torch.equal(nearest.records, numbers[whole_order(queries, rows)[:, :6]])
    chosen = rows[(nearest.records - 1) // 3]
    assert torch.equal(nearest.squared, (chosen - queries[:, None]).square().sum(2).double())


@pytest.mark.parametrize("batch", [3, 32])
def test_search_agrees_with_the_whole_matrix(
    net: AlexNet, split: Shards, val: Shards, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The activations by another way: the input of fc8, which is half of them at test."""
    monkeypatch.setattr(neighbours, "BATCH", batch)
    mean = torch.rand(256, 256, 3) * 255
    found, sample = search(net, split, val, val.records[1:], mean, sample=7)
    halves: list[torch.Tensor] = []
    hook = net.fc8.register_forward_pre_hook(lambda _layer, inputs: halves.append(inputs[0]))
    crops = {}
    for name, shards in (("train", split), ("val", val)):
        whole = torch.stack([torch.tensor(shards.read(n)) for n in shards.records])
        crops[name] = whole[:, 16:240, 16:240]
        with torch.no_grad():
            net((crops[name].float() - mean[16:240, 16:240]).permute(0, 3, 1, 2))
    hook.remove()
    train_features, val_features = (2 * half for half in halves)
    assert (train_features == 0).any(), "nothing that the rectifier cut off"
    torch.testing.assert_close(sample, train_features[:7])
    expected = {
        "features": whole_order(val_features[1:], train_features),
        "pixels": whole_order(crops["val"][1:].flatten(1), crops["train"].flatten(1)),
    }
    for space, order in expected.items():
        assert torch.equal(found[space].records, order[:, :6]), space
        assert found[space].records[1, 0] == 17
    assert found["pixels"].squared[1, 0] == 0
    assert not net.fc7._forward_hooks


def test_queries_of_many_batches(
    net: AlexNet, split: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of train itself: each is nearest to itself, whichever buffer it came in."""
    monkeypatch.setattr(neighbours, "BATCH", 2)
    found, _ = search(net, split, split, split.records, torch.zeros(256, 256, 3), sample=1)
    for space in ("features", "pixels"):
        assert found[space].records[:, 0].tolist() == split.records.tolist()
        assert found[space].squared[:, 0].max() < 1e-6


def test_hidden_are_the_records_asked_for(net: AlexNet, split: Shards) -> None:
    mean = torch.zeros(256, 256, 3)
    every = fc7_activations(net, split, split.records, mean)
    some = fc7_activations(net, split, np.array([3, 11, 19]), mean)
    assert every.shape == (20, 256)
    torch.testing.assert_close(some, every[[3, 11, 19]])


def test_evenly() -> None:
    records = np.arange(100, 110)
    assert evenly_spaced(records, 5).tolist() == [100, 102, 104, 106, 108]
    assert evenly_spaced(records, 4).tolist() == [100, 102, 105, 107]
    assert evenly_spaced(records, 99).tolist() == records.tolist()


def test_neighbours_file(tmp_path: Path) -> None:
    rows, numbers = torch.tensor([[0.0, 0], [3, 4], [1, 1]]), torch.tensor([8, 5, 9])
    near = Nearest.of_no_rows(torch.tensor([[0.0, 0]])).updated(rows, numbers, k=2)
    write_neighbours(tmp_path / "n.csv", np.array([42]), {"features": near, "pixels": near})
    assert (tmp_path / "n.csv").read_text() == (
        "query,space,rank,record,distance\n"
        "42,features,1,8,0\n42,features,2,9,1.41421\n"
        "42,pixels,1,8,0\n42,pixels,2,9,1.41421\n"
    )
