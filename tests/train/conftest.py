"""The moments of the shared images."""

import pytest

from alexnet.dataset.moments import Moments, load_moments
from alexnet.moments.sums import sums_of
from images import Images, save_moments_of


@pytest.fixture(scope="session")
def moments(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    folder = tmp_path_factory.mktemp("moments")
    save_moments_of(folder, sums_of(images))
    return load_moments(folder)
