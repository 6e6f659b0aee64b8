"""Ten views against a loop over slices; the same counts for any batch size and number of ranks."""

from pathlib import Path

import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.inference import ten_views
from alexnet.inference.ten_views import (
    Predictions,
    centre_errors,
    counts_of,
    predict,
    view_probabilities,
)
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import NetConfig
from alexnet.model.towers import RankLayout
from alexnet.runtime.errors import InputError
from images import Images, write_split

STD = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), 0.025)
MEAN = 255 * torch.rand(256, 256, 3, generator=torch.Generator().manual_seed(1))


def net_at(layout: RankLayout) -> AlexNet:
    small = AlexNet(NetConfig(7, 16), layout)
    initialise(small, 0, STD, dict.fromkeys(STD, 0.1))
    return small


@pytest.fixture(scope="module")
def net() -> AlexNet:
    return net_at(RankLayout())


@pytest.fixture(scope="module")
def whole(net: AlexNet, split: Shards) -> Predictions:
    return predict(net, split, MEAN, 7)


@torch.no_grad()
def test_ten_views_are_a_loop_over_slices(images: Images) -> None:
    """The mean of the softmax outputs, never the softmax of the mean; in float64."""
    net, mean = net_at(RankLayout()).double().eval(), MEAN.double()
    ten, centre = view_probabilities(net, torch.tensor(images[:2]), mean)
    for n in (0, 1):
        centred = torch.tensor(images[n]).float() - mean
        outputs = []
        for top, left in ((0, 0), (0, 32), (32, 0), (32, 32), (16, 16)):
            view = centred[top : top + 224, left : left + 224].permute(2, 0, 1)
            outputs += [net(seen[None].contiguous())[0].softmax(0) for seen in (view, view.flip(2))]
        mean_of_logits = (sum(output.log() for output in outputs) / 10).softmax(0)
        assert (ten[n] - mean_of_logits).abs().max() > 1e-3
        torch.testing.assert_close(ten[n], sum(outputs) / 10, rtol=1e-12, atol=0)
        torch.testing.assert_close(centre[n], outputs[8], rtol=1e-12, atol=0)


def test_every_image_is_there_once(whole: Predictions, net: AlexNet, images: Images) -> None:
    assert whole.records.tolist() == list(range(20))
    assert whole.labels.tolist() == [n % 5 for n in range(20)]
    assert whole.probabilities is not None
    with torch.no_grad():
        for n in (0, 13, 19):
            ten, centre = view_probabilities(net, torch.tensor(images[n : n + 1]), MEAN)
            torch.testing.assert_close(whole.probabilities[n], ten[0].float(), rtol=1e-4, atol=0)
            assert whole.centre_top is not None
            assert whole.centre_top[n, 0] == centre[0].argmax()
    order = whole.probabilities.argsort(dim=1, descending=True)[:, :5]
    assert torch.equal(whole.top, order)
    assert torch.equal(whole.top_probabilities, whole.probabilities.gather(1, order))


@pytest.mark.parametrize("batch", [1, 128])
def test_counts_are_the_same_for_any_batch_size(
    whole: Predictions, net: AlexNet, split: Shards, batch: int
) -> None:
    found = predict(net, split, MEAN, batch)
    assert counts_of(found) == counts_of(whole)
    torch.testing.assert_close(found.probabilities, whole.probabilities, rtol=1e-4, atol=1e-7)
    wanted = centre_errors(net, split, MEAN, 7)
    assert centre_errors(net, split, MEAN, batch) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_the_parts_of_any_ranks_add_up_to_the_whole(
    whole: Predictions, split: Shards, parts: int
) -> None:
    """To the bit, as a sum over ranks does: each image is told by one, by the others as zero.

    Of three batches; a fourth part has none.
    """
    found = [
        predict(net_at(RankLayout(replica=n, replicas=parts)), split, MEAN, 7) for n in range(parts)
    ]
    for name in ("top", "top_probabilities", "centre_top", "probabilities"):
        assert torch.equal(sum(getattr(each, name) for each in found), getattr(whole, name)), name
        told = torch.stack([getattr(each, name).any(dim=1) for each in found])
        assert (told.sum(dim=0) == 1).all(), name


def test_counts() -> None:
    top = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [2, 3, 4, 5, 6], [3, 0, 1, 2, 4]])
    centre = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 4, 5]])
    labels, nothing = torch.tensor([0, 0, 7, 3]), torch.zeros(4, 5)
    both = Predictions(torch.arange(4), labels, top, nothing, centre, None)
    wanted = {"top1_wrong": 2, "top5_wrong": 1}
    assert counts_of(both) == wanted | {"center_top1_wrong": 2, "center_top5_wrong": 2}
    alone = Predictions(torch.arange(4), labels, top, nothing, None, None)
    assert counts_of(alone) == wanted


def test_a_table_beyond_measure_is_not_kept(
    whole: Predictions, net: AlexNet, split: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ten_views, "KEPT", 4 * 20 * 7 - 1)
    found = predict(net, split, MEAN, 7)
    assert found.probabilities is None
    assert torch.equal(found.top, whole.top)
    assert counts_of(found) == counts_of(whole)


def test_labels_that_the_net_has_not_are_refused(images: Images, tmp_path: Path) -> None:
    classes = net_at(RankLayout()).config.classes
    other = write_split(tmp_path / "other", images, [classes if n == 7 else 0 for n in range(20)])
    with pytest.raises(InputError, match=rf"images of label {classes}, and the net {classes} cl"):
        predict(net_at(RankLayout()), other, MEAN)


def test_outputs_that_are_no_numbers_are_refused(split: Shards) -> None:
    """Sorted, they would come first and name a label."""
    net = net_at(RankLayout())
    with torch.no_grad():
        net.fc8.bias[3] = torch.nan
    with pytest.raises(InputError, match=r"gives no numbers; fix: dvc repro -f train"):
        predict(net, split, MEAN)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nothing_on_a_gpu_waits_for_it(whole: Predictions, split: Shards) -> None:
    """Between batches; the tables are fetched once. The loader's own events are not counted."""
    net, device = net_at(RankLayout()).cuda(), torch.device("cuda")
    found = predict(net, split, MEAN.to(device), 7)
    assert counts_of(found) == counts_of(whole)
    x = torch.zeros(2, 256, 256, 3, dtype=torch.uint8, device=device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.no_grad():
            ten_views.likeliest(view_probabilities(net, x, MEAN.to(device))[0])
    finally:
        torch.cuda.set_sync_debug_mode("default")
