"""How many workers each stage gets on a cluster."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from keepers.cluster.running.connect import ClusterNode
from keepers.cluster.running.pools import plan_pools
from keepers.core.errors import KeepersError


def test_pools_fit_the_cluster() -> None:
    here = [ClusterNode("a", "a", 3.0, 0.0)]
    assert (plan_pools(here, 0).looks, plan_pools(here, 0).writes) == (1, 1)
    two = plan_pools(here, 2)
    workers = two.looks + two.prepares + 2 * two.actors + two.writes
    assert two.share * workers <= 2.0 and two.threads == 2
    farm = [ClusterNode(str(number), "n", 32.0, 4.0) for number in range(3)]
    cards = plan_pools(farm, 2)
    assert (cards.actors, cards.gpus, cards.threads) == (12, 0.5, 0)
    assert cards.looks + cards.prepares + cards.writes <= 95
    assert cards.looks // 10 < cards.writes <= cards.looks // 8 + 1
    assert plan_pools(farm, 1, actors=6, gpus_per_actor=2.0).actors == 6
    with pytest.raises(KeepersError, match="do not fit"):
        plan_pools(farm, 2, actors=7, gpus_per_actor=1.0)
    with pytest.raises(KeepersError, match="has none"):
        plan_pools(here, 1, gpus_per_actor=1.0)


@pytest.mark.parametrize("sizes", [(2.0, 2.0), (3.0, 3.0, 2.0), (4.0, 3.0), (1.0, 1.0, 1.0), (2.0,)])
def test_a_whole_processor_is_left_somewhere(sizes: tuple[float, ...]) -> None:
    """However the workers are placed: what Ray itself does needs one, and would wait for it for ever."""
    here = [ClusterNode(str(number), "n", size, 0.0) for number, size in enumerate(sizes)]
    for nets in range(4):
        try:
            pools = plan_pools(here, nets)
        except KeepersError:  # the cluster is too small
            continue
        workers = pools.looks + pools.writes + max(0, nets - 1) * pools.prepares + nets * pools.actors
        left = sum(sizes) - workers * pools.share
        assert left >= (1 if pools.share == 1 else len(sizes)) - 1e-6, (nets, pools)
