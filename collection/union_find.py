"""Which of many items belong together, from pairs of them: union-find with path halving."""

from __future__ import annotations


class UnionFind:
    """Groups of the items 0 to `size` - 1; at first each item is alone."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def root(self, item: int) -> int:
        """The smallest item of an item's group."""
        parents = self._parents
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    def join(self, one: int, other: int) -> None:
        """Merge the groups of two items."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parents[second] = first
