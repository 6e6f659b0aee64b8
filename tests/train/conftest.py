"""The moments of the shared images."""

import pytest

from alexnet.dataset.moments import Moments, load_moments
from alexnet.moments.sums import sum_images
from images import Images, save_moments_of


@pytest.fixture(scope="session")
def moments(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    folder = tmp_path_factory.mktemp("moments")
    save_moments_of(folder, sum_images(images))
    return load_moments(folder)
