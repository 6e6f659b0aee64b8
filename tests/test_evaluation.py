from pathlib import Path

import pytest
import torch

from alexnet import evaluation
from alexnet.evaluation import Predictions, metrics, predict, top_k_wrong, write_predictions
from alexnet.model import AlexNet, initialise
from alexnet.shards import Shards
from conftest import Images

STD = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), 0.025)


@pytest.fixture(scope="module")
def net() -> AlexNet:
    small = AlexNet(classes=7, width_divisor=16)
    initialise(small, 0, STD, dict.fromkeys(STD, 0.1))
    return small


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_ten_views_are_a_loop_over_slices(
    net: AlexNet, split: Shards, images: Images, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of the softmax outputs, never the softmax of the mean; for any batch size."""
    monkeypatch.setattr(evaluation, "BATCH", batch)
    mean = torch.rand(256, 256, 3) * 255
    predictions = predict(net, split, mean)
    assert len(predictions.labels) == 20
    for n in (0, 19):
        centred = torch.tensor(images[n]).float() - mean
        outputs = []
        for top, left in ((0, 0), (0, 32), (32, 0), (32, 32), (16, 16)):
            view = centred[top : top + 224, left : left + 224].permute(2, 0, 1)
            for seen in (view, view.flip(2)):
                with torch.no_grad():
                    outputs.append(net(seen[None].contiguous())[0].double().softmax(0))
        mean_of_logits = (sum(output.log() for output in outputs) / 10).softmax(0)
        assert (predictions.ten_views[n] - mean_of_logits).abs().max() > 1e-3
        torch.testing.assert_close(
            predictions.ten_views[n], sum(outputs) / 10, rtol=1e-4, atol=1e-7
        )
        torch.testing.assert_close(predictions.centre[n], outputs[8], rtol=1e-4, atol=1e-7)


def test_top_k_counts() -> None:
    probabilities = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    labels = torch.tensor([1, 3])
    assert [top_k_wrong(probabilities, labels, k) for k in (1, 2, 3, 4)] == [2, 2, 1, 0]
    assert top_k_wrong(probabilities, torch.tensor([3, 0]), 1) == 0


def test_metrics_are_counts_and_percentages() -> None:
    ten, centre = torch.eye(8)[[0, 1, 2, 3]], torch.eye(8)[[0, 1, 2, 0]]
    labels = torch.tensor([0, 1, 7, 3])
    told = metrics(Predictions(torch.arange(4), labels, ten, centre))
    assert (told["top1_error"], told["center_top1_error"], told["images"]) == (25, 50, 4)
    assert (told["top1_wrong"], told["center_top1_wrong"]) == (1, 2)
    assert told["top5_error"] == 25


def test_predictions_file(tmp_path: Path) -> None:
    ten = torch.tensor([[0.125, 0.5, 0.375]], dtype=torch.float64)
    write_predictions(
        tmp_path / "p.csv", Predictions(torch.tensor([9]), torch.tensor([1]), ten, ten)
    )
    header, row = (tmp_path / "p.csv").read_text().splitlines()
    assert header == "record,label,label1,probability1,label2,probability2,label3,probability3"
    assert row == "9,1,1,0.500000,2,0.375000,0,0.125000"
