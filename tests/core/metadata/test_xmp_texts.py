"""Texts in XMP packets: elements, lists, attributes; hostile packets are read in linear time."""

from __future__ import annotations

import html
import json
import time
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keepers.core.metadata.raw import RawMetadata
from keepers.core.metadata.read import read_generation
from keepers.core.metadata.record import KEY
from keepers.core.metadata.xmp_texts import take_xmp

TEXT = "a kingfisher & <reeds>\nNegative prompt: fog\nSteps: 8, Sampler: Euler, CFG scale: 3, Seed: 12, Model: reed"
LINES = "a kingfisher\n-fog\nSteps: 8, Sampler: Euler, Seed: 12"
DATA = {"c": "a kingfisher", "uc": "fog", "seed": 12, "steps": 8, "model": "reed.ckpt", "size": "64x64"}


def texts(packet: str | bytes) -> dict[str, str]:
    raw = RawMetadata(xmp=packet if isinstance(packet, bytes) else packet.encode())
    take_xmp(raw)
    assert not raw.notes
    return raw.texts


def packet(inner: str) -> str:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description rdf:about="">{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'  # noqa: E501


def listed(text: str) -> str:
    return f'<rdf:Alt>\n<rdf:li xml:lang="x-default">{html.escape(text)}</rdf:li>\n</rdf:Alt>'


def test_elements_lists_and_attributes() -> None:
    found = texts(
        packet(f"<dc:description>{listed(TEXT)}</dc:description><xmp:CreatorTool>Some tool</xmp:CreatorTool>")
    )
    assert found == {"xmp": TEXT, "CreatorTool": "Some tool"}
    assert texts(f'<rdf:Description exif:UserComment="{html.escape(TEXT)}" xmp:CreatorTool = \'Pond\'/>') == {
        "UserComment": TEXT, "CreatorTool": "Pond",
    }  # fmt: skip
    assert texts(packet("<dc:description/><exif:UserComment lang='x'>later</exif:UserComment>")) == {
        "UserComment": "later"
    }
    assert texts(packet(f"<xmp:parameters>{html.escape(TEXT)}</xmp:parameters>").encode("utf-16")) == {
        "parameters": TEXT
    }


def test_prefixes_are_the_savers_own() -> None:
    assert texts(packet(f"<sd:parameters>{html.escape(TEXT)}</sd:parameters>")) == {"parameters": TEXT}
    assert texts(packet(f"<x1:prompt>{html.escape(TEXT)}</x1:prompt>")) == {"parameters": TEXT}
    assert texts(packet("<comfy:prompt>{}</comfy:prompt><comfy:workflow>{}</comfy:workflow>")) == {
        "prompt": "{}", "workflow": "{}",
    }  # fmt: skip
    assert texts(packet("") + '<rdf:Description tiff:Make="x" tiff:ImageDescription="a fox"/>') == {
        "ImageDescription": "a fox"
    }


def test_the_first_text_that_is_not_empty_counts() -> None:
    both = "<dc:description> </dc:description><dc:description>one</dc:description><dc:description>two</dc:description>"
    assert texts(packet(both)) == {"xmp": "one"}


def test_draw_things_in_a_png() -> None:
    info, stream = PngInfo(), BytesIO()
    comment = f"<exif:UserComment>{listed(json.dumps(DATA))}</exif:UserComment>"
    described = f"<dc:description>{listed(LINES)}</dc:description>"
    info.add_itxt("XML:com.adobe.xmp", packet(f"<xmp:CreatorTool>Draw Things</xmp:CreatorTool>{described}{comment}"))
    Image.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=info)
    found = read_generation(stream.getvalue())
    assert (found.source, found.positive, found.negative) == ("drawthings", "a kingfisher", "fog")
    assert (found.seed, found.model, found.width, found.notes) == (12, "reed.ckpt", 64, ())


def test_our_record() -> None:
    assert texts('<rdf:Description keepers:record="{&quot;keepers&quot;:1}"/>') == {KEY: '{"keepers":1}'}


@pytest.mark.parametrize(
    "piece",
    [
        "<dc:description>",
        "<rdf:Description><dc:description>x</rdf:Description>",
        'exif:UserComment="',
        "<exif:UserComment " + "a" * 40,
        "<dc:description>x</dc:description>",
        "<keepers:record>",
        "<",
    ],
)
def test_hostile_packets_take_linear_time(piece: str) -> None:
    raw = RawMetadata(xmp=(piece * 60_000).encode())
    start = time.process_time()
    take_xmp(raw)
    assert time.process_time() - start < 5


def test_a_large_packet_leaves_a_note() -> None:
    raw = RawMetadata(xmp=b" " * (5 << 20))
    take_xmp(raw)
    assert raw.notes == ["of the XMP packet, only the first 4 MiB were read"]
