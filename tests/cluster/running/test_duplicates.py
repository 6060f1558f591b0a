"""What decides between near-duplicates is read from the files of an output, and named by the manifest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ray")

from keepers.cluster.running.duplicates import joined


def test_images_of_all_files_come_in_the_order_of_the_manifest_and_once() -> None:
    first = {"number": np.array([5, 1]), "words": np.array([[50, 51], [10, 11]])}
    second = {"number": np.array([3, 5]), "words": np.array([[30, 31], [50, 51]])}
    found = joined([first, second])
    assert found["number"].tolist() == [1, 3, 5]
    assert found["words"].tolist() == [[10, 11], [30, 31], [50, 51]]
    assert joined([]) == {}
