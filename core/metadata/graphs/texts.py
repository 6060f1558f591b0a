"""The texts of a graph: what an input's text is, as far as the file holds it, and a note for what it does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from .carried import Side, at_input, at_output, by_type, side_of_name, side_of_output
from .constants import constant
from .graph import Graph, Link, Node
from .operations import CHANGES, COST_LIMIT, bracketed, compiled, filled, replaced, steps, tidied
from .switches import Undecided, passed
from .text_kinds import TEXT_KINDS, Change, Drawn, Format, Join, Regex, Replace, Same, Styled, TextKind

TOTAL_LIMIT = 1 << 20
"""Characters that the nodes of one graph may compose altogether."""
_NODES = 3_000
"""The most texts that nodes compose."""
_DEPTH = 80
"""The most text nodes in a row."""
_WRITERS = re.compile(
    r"tagger|caption|florence|blip|interrogat|descri|llm|gpt|gemini|claude|grok|ollama|qwen|vlm|_vl|joy|moondream|llava|"
    r"minicpm|chat|translat|enhanc|generat|openrouter|magic|superprompt|onebutton|random|wildcard|shuffle|upsampl|"
    r"promptmaker|img2prompt|image2prompt|ocr|whisper|phi|KeepersTag|^JC(_|$)|portraitmaster|expan|preset|sampletags",
    re.IGNORECASE,
)
_HOLDS = re.compile(
    r"(?:(?:in|out)?put_?)?(?:text|string|str|value|prompt|multiline)s?_?[a-z0-9]{0,2}|positive|negative"
)
_JOINS = re.compile(r"concat|join|combin|merge|append|cat\b", re.IGNORECASE)
_SEPARATORS = ("delimiter", "separator", "seperator", "join_with")
_SWITCHED = {"true": "\n", "false": ""}
"""The separators of old versions of Text Concatenate."""
_TURNS = ("seed", "temperature", "max_tokens", "max_new_tokens", "api_key", "url", "top_p", "model", "system_prompt")
_WILDCARD = re.compile(r"__[\w*/\\-]+__|\{[^{}]*\|[^{}]*\}")
_TOKEN = re.compile(r"\[[A-Za-z_]\w*\]")
_USUAL = ("text", "prompt", "string")
_OWN = ("KeepersCaption", "KeepersTag", "KeepersTagCategories")


class Texts:
    """Composes the texts of one graph; what it cannot compose becomes a note."""

    def __init__(self, graph: Graph, caption: str = "") -> None:
        self._graph = graph
        self._caption = caption
        self._known: dict[tuple[Link, Side | None], str | None] = {}
        self._left = TOTAL_LIMIT
        self._steps = COST_LIMIT
        self.notes: dict[str, None] = {}
        """In the order in which they came up, each once."""

    def note(self, text: str) -> None:
        """Adds a note, but only once, and no more than a reader would read."""
        if len(self.notes) < 20:
            self.notes[text] = None

    def of(self, value: object, side: Side | None = None, depth: int = 0) -> str | None:
        """The text of an input; None if the file does not hold it. `side`: which of two texts of a node is meant."""
        if isinstance(value, str):
            return value
        if not isinstance(value, Link):
            return None if isinstance(value, (list, dict)) or value is None else str(value)
        if value.node not in self._graph:
            return None
        if at_output(self._graph, value) == "setting" and (number := constant(self._graph, value)) is not None:
            return str(number)
        key = value, side
        if key not in self._known:
            self._known[key] = None  # for links that lead back here
            if len(self._known) > _NODES:
                self.note(f"more than {_NODES} texts are composed: the rest was not read")
                return None
            self._known[key] = self._counted(self._composed(self._graph[value.node], value.slot, side, depth))
        return self._known[key]

    def own(self, node: Node) -> str | None:
        """The text that a node of the table makes, whatever else it gives."""
        return self._counted(self._by_table(TEXT_KINDS[node.kind], node, 0, 0))

    def written_by(self, node: Node) -> None:
        """The note for a text that a node made at run time."""
        self.note(f"the prompt was written by {plain(node.kind)}; the file does not hold it")

    def _counted(self, text: str | None) -> str | None:
        self._left -= len(text or "")
        if self._left < 0:
            self.note(
                f"the texts of the graph have more than {TOTAL_LIMIT >> 20} MiB of characters: the rest was not read"
            )
            return None
        return text

    def _composed(self, node: Node, slot: int, side: Side | None, depth: int) -> str | None:
        if depth > _DEPTH or self._left < 0:
            self.note(f"a text that more than {_DEPTH} nodes compose was not read")
            return None
        try:
            value = passed(self._graph, node, slot)
        except Undecided:
            self.note(f"which text {plain(node.kind)} passed on was decided at run time; the file does not hold it")
            return None
        if value is not None:
            return self.of(value, side, depth + 1)
        if node.kind in TEXT_KINDS:
            found = self._by_table(TEXT_KINDS[node.kind], node, slot, depth)
        else:
            found = self._by_inputs(node, slot, side_of_output(node, slot) or side, depth)
        return node.shown if found is None and node.shown else found

    def _by_table(self, kind: TextKind, node: Node, slot: int, depth: int) -> str | None:
        if isinstance(kind, Same):
            return self.of(_held(node, kind.names[min(max(slot, 0), len(kind.names) - 1)]), None, depth + 1)
        if isinstance(kind, Join):
            return self._joined(kind, node, depth)
        if isinstance(kind, Drawn):
            return self._drawn(kind, node, depth)
        if isinstance(kind, Styled):
            return self._styled(kind, node, slot, depth)
        return self._operated(kind, node, depth)

    def _joined(self, kind: Join, node: Node, depth: int) -> str | None:
        names = [name for part in kind.parts for name in expanded(node, part)]
        parts = [self.of(node.inputs[name], None, depth + 1) for name in names]
        held = [part for part in parts if part is not None and (part.strip() or not kind.skip_empty)]
        by = node.inputs.get(kind.by, node.inputs.get("linebreak_addition", kind.default))
        separator = _SWITCHED.get(found := self.of(by, None, depth + 1) or "", found)
        size = sum(map(len, held)) + len(separator) * max(len(held) - 1, 0)
        if size > self._left:
            return self._counted("." * (self._left + 1))
        return separator.replace("\\n", "\n").join(held) if held else None

    def _drawn(self, kind: Drawn, node: Node, depth: int) -> str | None:
        record = node.inputs.get(kind.record)
        if isinstance(record, str) and record.strip():
            return record
        text = self.of(_held(node, kind.text), None, depth + 1)
        if text is not None and (_TOKEN if kind.tokens else _WILDCARD).search(text):
            self.note(f"the prompt was drawn by {plain(node.kind)} from wildcards; the file does not hold what it drew")
            return None
        return text

    def _styled(self, kind: Styled, node: Node, slot: int, depth: int) -> str | None:
        style = node.inputs.get(kind.style)
        if style not in (None, "", "base", "none", "None", "no style"):
            self.note(f"{plain(node.kind)} put a style around the prompt; the file does not hold its text")
        name = kind.names[min(max(slot, 0), len(kind.names) - 1)]
        return self.of(node.inputs.get(name), None, depth + 1)

    def _operated(self, kind: Replace | Regex | Change | Format, node: Node, depth: int) -> str | None:
        def get(name: str) -> str | None:
            return self.of(_held(node, name) if name == _main(kind) else node.inputs.get(name), None, depth + 1)

        if isinstance(kind, Replace):
            return self._replaced(kind, node, get(kind.text), depth)
        if isinstance(kind, Regex):
            return self._matched(kind, node, get("string"), get("regex_pattern"), get("replace") or "")
        if isinstance(kind, Format):
            values = {name: get(name) or "" for name, value in node.inputs.items() if value is not None}
            template = get(kind.template)
            if template is not None and kind.numbered:
                template = bracketed(template, kind.numbered)
            found = None if template is None else filled(template, values, self._left)
            return self._too_far(node) if found is None else found
        return self._changed(kind, node, get(kind.text))

    def _replaced(self, kind: Replace, node: Node, text: str | None, depth: int) -> str | None:
        for find, by in kind.pairs:
            old, new = (self.of(node.inputs.get(name, ""), None, depth + 1) for name in (find, by))
            if text is None or old is None or new is None:
                return None
            if old:
                text = replaced(text, old, new, self._left)
        return text

    def _matched(self, kind: Regex, node: Node, text: str | None, pattern: str | None, by: str) -> str | None:
        if text is None or pattern is None:
            return None
        flags = 0
        for name, flag in (("case_insensitive", re.I), ("multiline", re.M), ("dotall", re.S)):
            flags |= flag if node.inputs.get(name, name == "case_insensitive") else 0
        found = self._pattern(pattern, text, flags)
        if found is None or (not kind.extract and (len(text) + 1) * len(by) > self._left << 4):
            return self._too_far(node)
        count, group = constant(self._graph, node.inputs.get("count", 0)), node.inputs.get("group_index", 1)
        try:
            if not kind.extract:
                return found.sub(by, text, count=int(count or 0))[: self._left + 1]
            return _extracted(found, text, str(node.inputs.get("mode")), group if isinstance(group, int) else 1)
        except (re.error, IndexError, ValueError, OverflowError, TypeError):
            return self._too_far(node)

    def _pattern(self, pattern: str, text: str, flags: int) -> re.Pattern[str] | None:
        """The pattern, if what it may cost is left."""
        cost = steps(pattern, text, flags)
        if cost is None or cost > self._steps:
            return None
        self._steps -= cost
        return compiled(pattern, flags)

    def _changed(self, kind: Change, node: Node, text: str | None) -> str | None:
        if text is None:
            return None
        if kind.rule.startswith("?"):
            rule = str(node.inputs.get(kind.rule[1:], "")).lower()
            return CHANGES[rule](text) if rule in CHANGES else self._too_far(node)
        if kind.rule == "substring":
            start, end = (constant(self._graph, node.inputs.get(name)) for name in ("start", "end"))
            return text[start:end] if isinstance(start, int) and isinstance(end, int) else self._too_far(node)
        if kind.rule == "line":
            return self._line(node, text.split("\n"))
        if kind.rule == "lines":
            found = replaced(text, "\n", self.of(node.inputs.get("delimiter")) or "", self._left)
            return self._too_far(node) if found is None else found
        return self._pysssss(node, text)

    def _line(self, node: Node, lines: list[str]) -> str | None:
        """The one line that a node takes; of several, the file does not say which made the picture."""
        first, count = (constant(self._graph, node.inputs.get(name)) for name in ("start_index", "max_rows"))
        if isinstance(first, int) and (count == 1 or len(lines) == 1):
            return lines[min(max(first, 0), len(lines) - 1)]
        return self._too_far(node)

    def _pysssss(self, node: Node, text: str) -> str | None:
        second, third = (self.of(node.inputs.get(name, "")) for name in ("text_b", "text_c"))
        tidy = node.inputs.get("tidy_tags") == "yes"
        if node.inputs.get("action") == "append":
            out: str | None = (", " if tidy else "").join(filter(None, (text, second, third)))
        elif second is None or third is None:
            return None
        elif len(second) > 1 and second[0] == second[-1] == "/":
            pattern = self._pattern(second[1:-1], text, 0)
            out = None if pattern is None else pattern.sub(lambda _: third, text)[: self._left + 1]
        else:
            out = replaced(text, second, third, self._left) if second else text
        return self._too_far(node) if out is None else tidied(out) if tidy else out

    def _too_far(self, node: Node) -> None:
        self.note(f"what {plain(node.kind)} made of the prompt was not worked out")

    def _by_inputs(self, node: Node, slot: int, side: Side | None, depth: int) -> str | None:
        """The text of a node that the table does not have: passed on, joined, or written at run time."""
        if node.kind in _OWN and self._caption and self._is_captioned(node):
            return self._caption
        names = self._text_inputs(node)
        sided = [name for name in names if side_of_name(name)]
        if sided and side:
            return self._first([n for n in sided if side_of_name(n) == side], node, depth)
        links = [link for _, link in node.links()]
        if side and not names and len(links) == 1 and not _WRITERS.search(node.kind):
            return self.of(links[0], side, depth + 1)  # both texts were packed into one
        if self._writes(node):
            return self.written_by(node)
        separators = [name for name in node.inputs if name.lower() in _SEPARATORS]
        if len(names) > 1 and (separators or _JOINS.search(node.kind)):
            return self._joined(Join(tuple(names), next(iter(separators), ""), ", ", True), node, depth)
        if len(names) == 1 or (names and 0 <= slot < len(node.outputs) and node.outputs[slot].name in names):
            output = node.outputs[slot].name if 0 <= slot < len(node.outputs) else ""
            return self._first([output] if output in names else names, node, depth)
        self.note(f"the prompt comes from {plain(node.kind)}, whose text the file does not hold")
        return None

    def _first(self, names: list[str], node: Node, depth: int) -> str | None:
        return self.of(node.inputs[names[0]], None, depth + 1) if names else None

    def _text_inputs(self, node: Node) -> list[str]:
        """The inputs that hold texts, by name and by what is in them."""
        fitting = [name for name in node.inputs if _HOLDS.fullmatch(name.rpartition(".")[2].lower())]
        return [
            name
            for name in fitting
            if isinstance(value := node.inputs[name], str)
            or (isinstance(value, Link) and at_input(self._graph, name, value) in ("text", ""))
        ]

    def _writes(self, node: Node) -> bool:
        """Whether a node makes its text when it runs: it looks at pictures, asks a model, or draws."""
        if _WRITERS.search(node.kind) or any(name.lower() in _TURNS for name in node.inputs):
            return True
        return any(at_input(self._graph, name, link) in ("picture", "model", "other") for name, link in node.links())

    def _is_captioned(self, node: Node) -> bool:
        """Whether our own record's caption is this node's text: Save Keepers took it from there, or it is alone."""
        saved = [
            link for other in self._graph.values() if other.kind == "KeepersSave" and (link := other.link("captions"))
        ]
        if saved:
            return all(link.node == node.id for link in saved)
        return sum(other.kind in _OWN for other in self._graph.values()) == 1


def expanded(node: Node, part: str) -> list[str]:
    """The inputs that a name of the table means, in order; one that ends in "*" means all that begin so."""
    if not part.endswith("*"):
        return [part] if part in node.inputs else []
    found = [(name[len(part) - 1 :], name) for name in node.inputs if name.startswith(part[:-1])]
    return [name for _, name in sorted(found, key=lambda pair: (len(pair[0]), pair[0]))]


def _main(kind: Replace | Regex | Change | Format) -> str:
    """The input with the text that is worked on."""
    return kind.template if isinstance(kind, Format) else "string" if isinstance(kind, Regex) else kind.text


def _held(node: Node, name: str) -> object:
    """The value of an input; that of another with a usual name where it is missing, as in a workflow's bare values, or
    where packs have nodes of one name."""
    return node.inputs.get(name, next((node.inputs[other] for other in _USUAL if other in node.inputs), None))


def plain(kind: str) -> str:
    """A kind as people know it: "WD14Tagger|pysssss" is WD14Tagger."""
    return kind.partition("|")[0].strip()[:60] or "a node without a name"


def is_text(node: Node, slot: int) -> bool:
    """Whether an output is a text, by the table or by its type."""
    if 0 <= slot < len(node.outputs) and by_type(node.outputs[slot].type):
        return by_type(node.outputs[slot].type) == "text"
    return node.kind in TEXT_KINDS


def _extracted(pattern: re.Pattern[str], text: str, mode: str, group: int) -> str:
    found: Iterator[re.Match[str]] = pattern.finditer(text)
    if mode == "First Match":
        return next((match[0] for match in found), "")
    if mode == "All Matches":
        return "\n".join(cast(str, match[1] if pattern.groups else match[0]) or "" for match in found)
    matches = [cast(str, match[group]) or "" for match in found if pattern.groups >= group]
    return "\n".join(matches) if mode == "All Groups" else next(iter(matches), "")
