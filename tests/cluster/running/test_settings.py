"""What an output says of the scan that filled it: a file format, which no renaming in the code may change."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from keepers.cluster.running.job import settings_of
from keepers.cluster.running.task import Task
from keepers.core.captions.recipe import CaptionRecipe, Tagger

STORED = (
    "Recipe(source='auto', taggers=(Tagger(model='wd', weight=0.5, threshold=None),), threshold=None, "
    "thresholds=(), top=3, limit=0, only=(), exclude=(), exclude_categories=(), require=(), rename=(('a',"
    " 'b'),), implied=(), categories=(), order='score', fixed=(), category_order=('character', "
    "'copyright', 'artist', 'species', 'identity', 'body', 'clothing', 'action', 'general', '', 'meta', "
    "'lore'), first=(), last=(), rating=False, rating_words=(), template='', style='booru', escape=False,"
    " separator=None, trailing=False, max_characters=0, too_long='cut', empty='skip', extension='.txt', "
    "existing='skip', embed=False)"
)


def test_a_recipe_is_stored_as_ever() -> None:
    """Outputs of earlier versions hold this text; another one would read as another recipe."""
    recipe = CaptionRecipe(taggers=(Tagger("wd", 0.5),), top=3, rename=(("a", "b"),))
    stored = settings_of(Task('signals.label == "ok"', recipe=recipe)).captions
    assert stored == STORED
    assert settings_of(Task('signals.label == "ok"')).captions == ""
