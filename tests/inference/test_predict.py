"""Predictions of a split: the same for any batch size and number of ranks, each image once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.inference import predict as predict_module
from alexnet.inference.predict import (
    Predictions,
    count_errors,
    evaluate_centre_view,
    predict,
)
from alexnet.inference.ten_views import predict_views
from alexnet.inference.top_k import rank_labels
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import NetConfig
from alexnet.model.towers import RankLayout
from alexnet.runtime.errors import InputError
from images import Images, write_split
from small_recipe import initialised_net

STD = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), 0.025)
MEAN = 255 * torch.rand(256, 256, 3, generator=torch.Generator().manual_seed(1))


def small_net(part: int = 0, parts: int = 1) -> AlexNet:
    net = AlexNet(NetConfig(7, 16), RankLayout(replica=part, replicas=parts))
    initialise(net, 0, STD, dict.fromkeys(STD, 0.1))
    return net


@pytest.fixture(scope="module")
def net() -> AlexNet:
    return small_net()


@pytest.fixture(scope="module")
def whole(net: AlexNet, split: Shards) -> Predictions:
    return predict(net, split, MEAN, 7)


def test_every_image_is_predicted_once(whole: Predictions, net: AlexNet, images: Images) -> None:
    assert whole.records.tolist() == list(range(20))
    assert whole.labels.tolist() == [n % 5 for n in range(20)]
    assert whole.probabilities is not None
    assert whole.centre_top is not None
    with torch.no_grad():
        for n in (0, 13, 19):
            ten, centre = predict_views(net, torch.tensor(images[n : n + 1]), MEAN)
            torch.testing.assert_close(whole.probabilities[n], ten[0].float(), rtol=1e-4, atol=0)
            assert whole.centre_top[n, 0] == centre[0].argmax()
    order = whole.probabilities.argsort(dim=1, descending=True)[:, :5]
    assert torch.equal(whole.top, order)
    assert torch.equal(whole.top_probabilities, whole.probabilities.gather(1, order))


@pytest.mark.parametrize("batch", [1, 128])
def test_counts_do_not_depend_on_the_batch_size(
    whole: Predictions, net: AlexNet, split: Shards, batch: int
) -> None:
    found = predict(net, split, MEAN, batch)
    assert count_errors(found) == count_errors(whole)
    torch.testing.assert_close(found.probabilities, whole.probabilities, rtol=1e-4, atol=1e-7)
    expected = evaluate_centre_view(net, split, MEAN, 7)
    assert evaluate_centre_view(net, split, MEAN, batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_tables_of_all_parts_add_up_to_the_whole(
    whole: Predictions, split: Shards, parts: int
) -> None:
    """To the bit: one part has the row of an image, the others zeros. Part 4 has no batch."""
    found = [predict(small_net(n, parts), split, MEAN, 7) for n in range(parts)]
    for name in ("top", "top_probabilities", "centre_top", "probabilities"):
        tables = [getattr(predictions, name) for predictions in found]
        assert torch.equal(sum(tables), getattr(whole, name)), name
        filled = torch.stack([table.any(dim=1) for table in tables])
        assert (filled.sum(dim=0) == 1).all(), name


def test_errors_are_counted_by_ten_views_and_by_the_centre_view() -> None:
    top = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [2, 3, 4, 5, 6], [3, 0, 1, 2, 4]])
    centre = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 4, 5]])
    labels, zeros = torch.tensor([0, 0, 7, 3]), torch.zeros(4, 5)
    both = Predictions(torch.arange(4), labels, top, zeros, centre, None)
    expected = {"top1_wrong": 2, "top5_wrong": 1}
    assert count_errors(both) == expected | {"center_top1_wrong": 2, "center_top5_wrong": 2}
    ten_only = Predictions(torch.arange(4), labels, top, zeros, None, None)
    assert count_errors(ten_only) == expected


def test_probabilities_that_take_too_much_memory_are_not_kept(
    whole: Predictions, net: AlexNet, split: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_module, "MAX_TABLE_BYTES", 4 * 20 * 7 - 1)
    found = predict(net, split, MEAN, 7)
    assert found.probabilities is None
    assert torch.equal(found.top, whole.top)
    assert count_errors(found) == count_errors(whole)


def test_labels_beyond_the_classes_of_the_net_are_rejected(images: Images, tmp_path: Path) -> None:
    other = write_split(tmp_path / "other", images, [7 if n == 7 else 0 for n in range(20)])
    with pytest.raises(InputError, match="has label 7, but the net has only 7 classes"):
        predict(small_net(), other, MEAN)


def test_nan_outputs_are_rejected(split: Shards) -> None:
    """A sort would put them first and so name a label."""
    net = small_net()
    with torch.no_grad():
        net.fc8.bias[3] = torch.nan
    with pytest.raises(InputError, match=r"outputs NaN or infinity; fix: dvc repro -f train"):
        predict(net, split, MEAN)


def test_centre_view_counts_every_image(split: Shards) -> None:
    """Before training: chance is 80 % of the 20 images, and a loss of ln 5."""
    errors = evaluate_centre_view(initialised_net(), split, torch.zeros(256, 256, 3))
    assert errors["top1_error"] in (75.0, 80.0, 85.0)
    assert errors["val_loss"] == pytest.approx(np.log(5), abs=0.1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_prediction_of_a_batch_never_synchronises_with_the_gpu(
    whole: Predictions, split: Shards
) -> None:
    """The tables are fetched once, at the end. Events of the loader are not counted."""
    net, device = small_net().cuda(), torch.device("cuda")
    found = predict(net, split, MEAN.to(device), 7)
    assert count_errors(found) == count_errors(whole)
    x = torch.zeros(2, 256, 256, 3, dtype=torch.uint8, device=device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.no_grad():
            rank_labels(predict_views(net, x, MEAN.to(device))[0])
    finally:
        torch.cuda.set_sync_debug_mode("default")
