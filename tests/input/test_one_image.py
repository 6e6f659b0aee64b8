"""One image from its record to the network's input, against ten lines of plain numpy."""

from pathlib import Path

import numpy as np
import torch

from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.input.epoch import plan_epoch
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sum_images
from alexnet.train.inputs import Feed, inputs
from images import Images
from small_recipe import RECIPE

SEED, EPOCH, PLACE = 3, 1, 5


def test_one_image_from_record_to_network_input(
    split: Shards, images: Images, tmp_path: Path
) -> None:
    save_moments(tmp_path, sum_images(images))
    moments = load_moments(tmp_path)
    feed = Feed.of(split, moments, RECIPE, SEED, torch.device("cpu"))
    batches = [(x.clone(), labels.clone()) for x, labels in inputs(feed, EPOCH, 0)]
    x = torch.cat([x for x, _ in batches])[PLACE].numpy()
    label = int(torch.cat([labels for _, labels in batches])[PLACE])

    choices = plan_epoch(SEED, EPOCH, len(split), RECIPE.augmentation)
    record, top, left = (int(c[PLACE]) for c in (choices.order, choices.tops, choices.lefts))
    crop = images[record][top : top + 224, left : left + 224].astype(np.float64)
    mean = np.stack(images).mean(axis=0)[top : top + 224, left : left + 224]
    centred = (crop - mean)[:, ::-1] if choices.mirrored[PLACE] else crop - mean
    pixels = np.stack(images).reshape(-1, 3)
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    p = eigenvectors[:, ::-1] * np.sign(eigenvectors[:, ::-1].sum(axis=0))
    shift = p @ (choices.alphas[PLACE].numpy() * np.sqrt(eigenvalues[::-1]))
    expected = (centred + shift).transpose(2, 0, 1)

    np.testing.assert_allclose(x, expected, atol=1e-3)
    assert label == record % 5
    assert 0 < int(choices.mirrored.sum()) < len(split), "both reflected and plain images are met"
