"""One image from its record to the network input, compared with plain NumPy."""

from pathlib import Path

import numpy as np
import torch

from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.input.augment import plan_epoch
from alexnet.moments.sums import sum_images
from alexnet.train.inputs import TrainingSet, load_batches
from images import Images, save_moments_of
from small_recipe import RECIPE

SEED, EPOCH, POSITION = 3, 1, 5


def test_network_input_equals_its_definition_in_numpy(
    split: Shards, images: Images, tmp_path: Path
) -> None:
    save_moments_of(tmp_path, sum_images(images))
    data = TrainingSet.load(split, load_moments(tmp_path), RECIPE, SEED, torch.device("cpu"))
    batches = list(load_batches(data, EPOCH))
    x = torch.cat([batch.x for batch in batches])[POSITION].numpy()
    label = int(torch.cat([batch.labels for batch in batches])[POSITION])

    plan = plan_epoch(SEED, EPOCH, len(split), RECIPE.augmentation)
    record, top, left = (int(c[POSITION]) for c in (plan.order, plan.tops, plan.lefts))
    crop = images[record][top : top + 224, left : left + 224].astype(np.float64)
    mean = np.stack(images).mean(axis=0)[top : top + 224, left : left + 224]
    centred = (crop - mean)[:, ::-1] if plan.mirrored[POSITION] else crop - mean
    pixels = np.stack(images).reshape(-1, 3)
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    p = eigenvectors[:, ::-1] * np.sign(eigenvectors[:, ::-1].sum(axis=0))
    shift = p @ (plan.alphas[POSITION].numpy() * np.sqrt(eigenvalues[::-1]))
    expected = (centred + shift).transpose(2, 0, 1)

    np.testing.assert_allclose(x, expected, atol=1e-3)
    assert label == record % 5
    assert 0 < int(plan.mirrored.sum()) < len(split), "the epoch has reflected and plain images"
