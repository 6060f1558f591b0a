"""Prompts without the marks that steer a generator."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.core.captions.prompt_tags import prompt_tags
from keepers.core.captions.text import normal
from keepers.core.metadata.prompt_text import clean_prompt


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("a cat, (best quality:1.2)", "a cat, best quality"),
        ("((deep)), [low], ([mixed]:1.3)", "deep, low, mixed"),
        ("(a, b:1.1), c", "a, b, c"),
        ("(fox (red:1.2) one:0.9)", "fox red one"),
        ("fox \\(cute\\), \\[x\\], \\(y\\) z", "fox (cute), x, y z"),
        ("artist \\(series\\), (fubuki \\(nier:automata\\):1.1)", "artist (series), fubuki (nier:automata)"),
        (
            "artist (series), fubuki_(kancolle), saber (fate) (cosplay)",
            "artist (series), fubuki_(kancolle), saber (fate) (cosplay)",
        ),
        ("((fubuki (kancolle))), (saber (fate):1.2)", "fubuki (kancolle), saber (fate)"),
        ("a (red) fox, fox ((red)), fox (red, small), fox(red)", "a red fox, fox red, fox red, small, fox red"),
        ("a fox, (hat:0), (cap:-1.2), (scarf:0.6), (a (b:-1) c:1.1)", "a fox, scarf, a c"),
        ("a fox, -1::hat, bag::, 1.2::red scarf::, 0::x::", "a fox, red scarf"),
        ("1.5::a, 0.8::b::, c, -2::d, e", "a, b, c"),
        ("(red hair:1.2)(blue eyes:1.1), {smile}{hat}", "red hair, blue eyes, smile, hat"),
        ("super(wo:1.2)man, (fox)'s tail", "super wo man, fox's tail"),
        ("a cat AND a dog :-1 AND a bird:x :0.5, tree", "a cat, a bird:x, tree"),
        ("a fox, >:(, smile, :(", "a fox, >:(, smile, :("),
        ("(>:(:1.2), (^_^), \\(^o^)/, (o)_(o), (>_<), (T_T)", ">:(, (^_^), \\(^o^)/, (o)_(o), (>_<), (T_T)"),
        ("(smile, :), hat:1.2), x", "smile, :), hat, x"),
        ("(frame)++, (text)1.3, noisy++, LGBTQ+, c++, (a)-", "frame, text, noisy, LGBTQ+, c++, a"),
        ("hot dog::2 mustard::1 std::vector", "hot dog, mustard, std::vector"),
        ("(hat:1.2, scarf:1.3), (a:1.1:0.5), b:1.2", "hat, scarf, a, b"),
        ("{a|{b|c}} x, {{{y}}}, {2-3$$ and $$a|b}", "x, y"),
        ("<lora:my style:0.8> a cat <lyco:x:1:0.5>", "a cat"),
        ("a <3 b, >_<, <_<", "a <3 b, >_<, <_<"),
        ("a cat BREAK a dog", "a cat, a dog"),
        ("a cat BREAK\na dog", "a cat, a dog"),
        ("a cat :1.2 AND a dog :0.5", "a cat, a dog"),
        ("BREAKFAST, breaking, sand AND sea", "BREAKFAST, breaking, sand, sea"),
        ("[cat:dog:0.5]", "dog"),
        ("[dog:10]", "dog"),
        ("a [cat::0.5] b", "a b"),
        ("[[cat:dog:0.3]:wolf:0.6]", "wolf"),
        ("[cow|horse] in a field", "cow horse in a field"),
        ("{red|green} hat, {{shiny}}", "hat, shiny"),
        ("{2$$a|b|c}, x", "x"),
        ("__animals__ in __dir/wild*__, snake__case", "in, snake__case"),
        ("${season=summer}, tree", "tree"),
        ("embedding:easynegative, (embedding:bad.pt:1.2), tree", "tree"),
        ("1.3::big eyes::, tree", "big eyes, tree"),
        ("tree # not a comment\n# a comment\n// one more\nroot /* no */ leaf", "tree # not a comment, root leaf"),
        ("a,,b , ,c,\n\nd,", "a, b, c, d"),
        ("12:30 on the clock, ratio 16:9", "12:30 on the clock, ratio 16:9"),
        ("(title: subtitle)", "title: subtitle"),
        (":), ;), a", ":), ;), a"),
        ("(open, closed)) end", "open, closed) end"),
        ("((open", "open"),
        ("", ""),
        (" , \n", ""),
    ],
)
def test_cleaning(prompt: str, text: str) -> None:
    assert clean_prompt(prompt) == text


@settings(deadline=None)
@given(st.text(alphabet="ab ,()[]{}:|\\<>.\n_1BREAKND$*/#", max_size=60) | st.text(max_size=60))
def test_any_prompt_gives_one_tidy_line(prompt: str) -> None:
    text = clean_prompt(prompt)
    assert len(text.splitlines()) <= 1
    assert text == " ".join(text.split())
    assert ",," not in text
    assert not text.startswith(",")


_WEIGHTS = re.compile(
    r"[(\[{][^()\[\]{}]*:\s*[+-]?\d*\.?\d+\s*[)\]}]|(?<![\w.:])[+-]?\d{1,4}(?:\.\d{1,6})?::"
    r"|<[A-Za-z]+:[^<>]*>|[^\W\d]\s*:\s*[+-]?\d*\.\d+$"
)
"""(x:1.2), 1.2::x::, <lora:x:1>, and x:1.2 where a tag ends."""
pieces = st.sampled_from(
    ["a fox", "(", ")", "((", "))", ":1.2", ":-1", ":0", "[", "]", "{", "}", "|", ", ", " ", "::", "1.2::", "-1::",
     "AND", " BREAK ", "<lora:x:1>", "\\(", "\\)", ">:(", "(^_^)", "__hat__", "\n", "# x", "hat", "12:30", "_", "++"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(pieces, max_size=14).map("".join) | st.text(alphabet="ab (){}[]:|<>.,-_1", max_size=24))
def test_cleaning_twice_changes_nothing_and_no_tag_holds_a_weight(prompt: str) -> None:
    text = clean_prompt(prompt)
    assert clean_prompt(text) == text
    assert not any(_WEIGHTS.search(tag) for tag in text.split(", "))


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,6}( [a-z]{1,6})?", fullmatch=True), max_size=6))
def test_plain_words_stay(words: list[str]) -> None:
    assert clean_prompt(", ".join(words)) == ", ".join(words)


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=4), st.integers(1, 5))
def test_emphasis_never_changes_the_words(words: list[str], depth: int) -> None:
    marked = ", ".join("(" * depth + f"{word}:1.{depth}" + ")" * depth for word in words)
    assert clean_prompt(marked) == ", ".join(words)


def test_depth_is_no_danger() -> None:
    assert clean_prompt("(" * 50_000 + "a" + ")" * 50_000) == "a"
    assert clean_prompt("[a:" * 20_000 + "b" + ":1]" * 20_000) == "b"


@pytest.mark.parametrize(
    "piece", ["/*", "<a", "<a:", "1::", "__a", " ", "\\", "embedding:", "{", "[a|", "${", " :1", ",", "(a:"]
)
def test_hostile_prompts_take_no_time_to_speak_of(piece: str) -> None:
    text = clean_prompt(piece * 50_000)
    assert len(text) <= len(piece) * 50_000
    assert len(normal(piece * 50_000)) <= len(piece) * 50_000


def test_parts_come_once() -> None:
    tags = prompt_tags("Long Hair, (long_hair:1.2), <lora:x:1>, solo BREAK solo")
    assert tags == ("Long Hair", "solo")
    assert len({normal(tag) for tag in tags}) == 2
