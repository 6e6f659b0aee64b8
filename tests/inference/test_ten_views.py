"""Ten views and their mean probabilities, compared with plain slicing."""

import pytest
import torch

from alexnet.inference.ten_views import (
    CENTRE_VIEW,
    VIEWS,
    crop_centre_view,
    crop_ten_views,
    predict_views,
)
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import NetConfig
from images import Images

STD = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), 0.025)


def test_views_are_in_the_order_of_the_paper() -> None:
    assert VIEWS[:5] == ("top left", "top right", "bottom left", "bottom right", "centre")
    assert VIEWS[5:] == tuple(f"{view}, reflected" for view in VIEWS[:5])
    assert VIEWS[CENTRE_VIEW] == "centre"


@pytest.mark.parametrize("crop", [224, 227])
def test_each_view_is_the_slice_that_its_name_says(crop: int) -> None:
    images = torch.randint(0, 256, (3, 256, 256, 3), dtype=torch.uint8)
    mean = torch.rand(256, 256, 3)
    centred, far, middle = images.float() - mean, 256 - crop, (256 - crop) // 2
    corners = {
        "top left": (0, 0),
        "top right": (0, far),
        "bottom left": (far, 0),
        "bottom right": (far, far),
        "centre": (middle, middle),
    }
    views = crop_ten_views(images, mean, crop)
    assert views.shape == (3, len(VIEWS), 3, crop, crop)
    for n, name in enumerate(VIEWS):
        top, left = corners[name.removesuffix(", reflected")]
        view = centred[:, top : top + crop, left : left + crop]
        expected = view.flip(2) if name.endswith("reflected") else view
        assert torch.equal(views[:, n], expected.permute(0, 3, 1, 2)), name
    assert torch.equal(crop_centre_view(images, mean, crop), views[:, CENTRE_VIEW])


@torch.no_grad()
def test_probabilities_are_averaged_after_the_softmax(images: Images) -> None:
    """In float64: the mean of the softmax outputs differs from the softmax of the mean."""
    net = AlexNet(NetConfig(7, 16))
    initialise(net, 0, STD, dict.fromkeys(STD, 0.1))
    net = net.double().eval()
    mean = 255 * torch.rand(256, 256, 3, generator=torch.Generator().manual_seed(1)).double()
    ten, centre = predict_views(net, torch.tensor(images[:2]), mean)
    for n in (0, 1):
        centred = torch.tensor(images[n]).float() - mean
        outputs = []
        for top, left in ((0, 0), (0, 32), (32, 0), (32, 32), (16, 16)):
            view = centred[top : top + 224, left : left + 224].permute(2, 0, 1)
            outputs += [net(v[None].contiguous())[0].softmax(0) for v in (view, view.flip(2))]
        mean_of_logits = (sum(output.log() for output in outputs) / 10).softmax(0)
        assert (ten[n] - mean_of_logits).abs().max() > 1e-3
        torch.testing.assert_close(ten[n], sum(outputs) / 10, rtol=1e-12, atol=0)
        torch.testing.assert_close(centre[n], outputs[8], rtol=1e-12, atol=0)
