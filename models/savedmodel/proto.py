"""Just enough of protobuf's wire format to read TensorFlow's files."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.errors import CorruptWeights

Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """The numbered fields of a message in file order: whole numbers, or the bytes of texts and nested messages.

    Raises CorruptWeights.
    """
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        kind, number = tag & 7, tag >> 3
        if kind == 0:
            value, position = varint(message, position)
            yield number, value
            continue
        if kind == 2:
            length, position = varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise CorruptWeights(f"a protobuf field of the unknown kind {kind}")
        end = position + length
        if end > len(message):
            raise CorruptWeights("a protobuf field that reaches beyond its message")
        piece = message[position:end]
        yield number, piece if kind == 2 else int.from_bytes(piece, "little")
        position = end


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """The number that starts at a position, and the position after it. Raises CorruptWeights."""
    value = 0
    for count, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise CorruptWeights("a number without an end")


def text(value: Value) -> str:
    """A field as UTF-8 text. Raises CorruptWeights."""
    try:
        return bytes(nested(value)).decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptWeights("a text that is not UTF-8") from None


def nested(value: Value) -> memoryview:
    """A field as the bytes of a message. Raises CorruptWeights for a number."""
    if isinstance(value, int):
        raise CorruptWeights("a number where a message should be")
    return value


def number(value: Value) -> int:
    """A field as a whole number. Raises CorruptWeights for a message."""
    if not isinstance(value, int):
        raise CorruptWeights("a message where a number should be")
    return value
