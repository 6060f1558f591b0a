"""Writes our one property into an XMP packet, new or existing, and reads it back; the rest is not parsed."""

from __future__ import annotations

import html
import re

from .containers import BrokenContainer
from .raw import decoded

_NAMESPACE = "https://github.com/keepers-project/keepers/ns/1/"
_OPEN = f'<rdf:Description rdf:about="" xmlns:keepers="{_NAMESPACE}"><keepers:record>'.encode()
_CLOSE = b"</keepers:record></rdf:Description>"
_BEGIN = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
)
_RDF_END = b"</rdf:RDF>"
_END = _RDF_END + b'</x:xmpmeta><?xpacket end="w"?>'
# Tools that rewrite XMP may turn our element into an attribute.
_RECORD = re.compile(
    rb"<keepers:record>([^<]*)</keepers:record>|keepers:record=\"([^\"<]*)\"|keepers:record='([^'<]*)'"
)


def with_record(packet: bytes, text: str) -> bytes:
    """The packet with our property in place of an earlier one, and otherwise unchanged; a new packet if it is empty.

    Raises BrokenContainer if the packet has an unusual form, since parts of it might be lost.
    """
    if found := _RECORD.search(packet):
        start, end = found.span(found.lastindex or 0)
        return packet[:start] + html.escape(text, quote=found.lastindex != 1).encode() + packet[end:]
    ours = _OPEN + html.escape(text, quote=False).encode() + _CLOSE
    if not packet:
        return _BEGIN + ours + _END
    place = packet.rfind(_RDF_END)
    if place < 0:
        raise BrokenContainer("corrupt", "has XMP in a form that cannot safely be extended")
    return packet[:place] + ours + packet[place:]


def record_in(packet: bytes) -> str:
    """The text of our property in a packet, or empty."""
    found = _RECORD.search(packet[: 1 << 24])
    return html.unescape(decoded(next(filter(None, found.groups()), b""))) if found else ""
