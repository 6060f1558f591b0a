"""Images and models for scans on a cluster; made only where a test asks for them, since they need Ray."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from keepers.tests.cluster.world import make_images

    folder = tmp_path_factory.mktemp("images")
    make_images(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from keepers.tests.cluster.world import registry

    folder = tmp_path_factory.mktemp("models")
    registry(folder)
    return folder
