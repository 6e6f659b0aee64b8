"""The streamed search against the whole matrix of distances, computed by loops."""

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
    fc7_activations,
    find_nearest,
    pick_evenly_spaced,
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
    """Four images: noise, except record 2, which is also record 17 of train."""
    val_images = random_images(4, seed=1)
    val_images[2] = images[17]
    return write_split(tmp_path_factory.mktemp("val") / "val", val_images, [0, 1, 2, 3])


def order_by_distance(queries: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the rows' indices by distance from each query; ties in order of the rows."""
    distances = [[float(((q - r) ** 2).sum()) for r in rows.double()] for q in queries.double()]
    return torch.tensor(distances).argsort(dim=1, stable=True)


def test_pixel_distances_are_exact() -> None:
    """Even if all 150,528 values differ by 255, which 32 bits could not hold."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 224 * 224 * 3), np.uint8)
    pixels[2:] = [[0], [255]]
    distances = squared_distances(torch.from_numpy(pixels), torch.from_numpy(pixels))
    exact = pixels.astype(object)
    for n, m in np.ndindex(4, 4):
        assert distances[n, m].item() == sum((exact[n] - exact[m]) ** 2)


def test_distances_are_precise_far_from_zero() -> None:
    """Between neighbours a thousand times nearer to each other than to zero."""
    rows = 100 + torch.rand(20, 4096) * 0.1
    for n, m in np.ndindex(3, 20):
        expected = (rows[n].double() - rows[m].double()).square().sum()
        distance = squared_distances(rows[n : n + 1], rows[m : m + 1]).squeeze()
        torch.testing.assert_close(distance, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 50, 100])
def test_batchwise_updates_find_the_nearest_of_all_rows(batch: int) -> None:
    """Also among many equal distances, of which the first rows are kept."""
    queries = torch.randint(0, 4, (3, 5))
    rows = torch.randint(0, 4, (100, 5))
    records = torch.arange(100) * 3 + 1
    nearest = Nearest.of_no_rows(queries)
    for start in range(0, 100, batch):
        nearest = nearest.updated(rows[start : start + batch], records[start : start + batch])
    assert nearest.records.shape == (3, 6), "no more are kept than needed"
    assert torch.equal(nearest.records, records[order_by_distance(queries, rows)[:, :6]])
    chosen = rows[(nearest.records - 1) // 3]
    assert torch.equal(nearest.squared, (chosen - queries[:, None]).square().sum(2).double())


@pytest.mark.parametrize("batch", [3, 32])
def test_the_search_agrees_with_the_whole_matrix(
    net: AlexNet, split: Shards, val: Shards, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the activations come from the input of fc8, which at test is half of them."""
    monkeypatch.setattr(neighbours, "BATCH", batch)
    mean = torch.rand(256, 256, 3) * 255
    nearest, sample = find_nearest(net, split, val, val.records[1:], mean, sample=7)
    halves: list[torch.Tensor] = []
    hook = net.fc8.register_forward_pre_hook(lambda _layer, inputs: halves.append(inputs[0]))
    crops = {}
    for name, shards in (("train", split), ("val", val)):
        pixels = torch.stack([torch.tensor(shards.read(n)) for n in shards.records])
        crops[name] = pixels[:, 16:240, 16:240]
        with torch.no_grad():
            net((crops[name].float() - mean[16:240, 16:240]).permute(0, 3, 1, 2))
    hook.remove()
    train_features, val_features = (2 * half for half in halves)
    assert (train_features == 0).any(), "the ReLU cut nothing off"
    torch.testing.assert_close(sample, train_features[:7])
    expected = {
        "features": order_by_distance(val_features[1:], train_features),
        "pixels": order_by_distance(crops["val"][1:].flatten(1), crops["train"].flatten(1)),
    }
    for space, order in expected.items():
        assert torch.equal(nearest[space].records, order[:, :6]), space
        assert nearest[space].records[1, 0] == 17
    assert nearest["pixels"].squared[1, 0] == 0
    assert not net.fc7._forward_hooks


def test_queries_may_fill_many_batches(
    net: AlexNet, split: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each training image is nearest to itself, whichever buffer it was read into."""
    monkeypatch.setattr(neighbours, "BATCH", 2)
    nearest, _ = find_nearest(net, split, split, split.records, torch.zeros(256, 256, 3), sample=1)
    for space in ("features", "pixels"):
        assert nearest[space].records[:, 0].tolist() == split.records.tolist()
        assert nearest[space].squared[:, 0].max() < 1e-6


def test_fc7_activations_are_those_of_the_records(net: AlexNet, split: Shards) -> None:
    mean = torch.zeros(256, 256, 3)
    all_rows = fc7_activations(net, split, split.records, mean)
    rows = fc7_activations(net, split, np.array([3, 11, 19]), mean)
    assert all_rows.shape == (20, 256)
    torch.testing.assert_close(rows, all_rows[[3, 11, 19]])


def test_records_are_picked_at_equal_distances() -> None:
    records = np.arange(100, 110)
    assert pick_evenly_spaced(records, 5).tolist() == [100, 102, 104, 106, 108]
    assert pick_evenly_spaced(records, 4).tolist() == [100, 102, 105, 107]
    assert pick_evenly_spaced(records, 99).tolist() == records.tolist()


def test_neighbours_are_written_as_csv(tmp_path: Path) -> None:
    rows, records = torch.tensor([[0.0, 0], [3, 4], [1, 1]]), torch.tensor([8, 5, 9])
    nearest = Nearest.of_no_rows(torch.tensor([[0.0, 0]])).updated(rows, records, k=2)
    found = {"features": nearest, "pixels": nearest}
    write_neighbours(tmp_path / "n.csv", np.array([42]), found)
    assert (tmp_path / "n.csv").read_text() == (
        "query,space,rank,record,distance\n"
        "42,features,1,8,0\n42,features,2,9,1.41421\n"
        "42,pixels,1,8,0\n42,pixels,2,9,1.41421\n"
    )
