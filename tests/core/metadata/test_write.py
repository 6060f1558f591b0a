"""A record goes into a file and comes back; everything else in the file stays byte for byte."""

import json
import math
import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keepers.core.errors import UnreadableImage, WriteFailed
from keepers.core.gates.gate import Verdict
from keepers.core.gates.unjudged import KINDS, Unjudged
from keepers.core.metadata import write as metadata_write
from keepers.core.metadata.containers import blocks, container_of
from keepers.core.metadata.raw import read_raw
from keepers.core.metadata.read import read_generation
from keepers.core.metadata.record import Record, from_json, record_of, to_json
from keepers.core.metadata.write import embed, embedded, png_text, read_record
from keepers.core.prediction import Failure, Labels, Prediction

PILLOW = tuple(map(int, PIL.__version__.split(".")[:2]))
INFOTEXT = "a fox\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64"
RECORD = Record(
    verdict="reject",
    reason="reject: faramir.accept 0.31 < 0.50; \"degraded\" & <old> '狐' --> 🦊",
    gate="accept: faramir.accept >= 0.5",
    scores={"faramir": {"accept": 0.31, "odd label <&>": -3.25}, "coherence": {"coherent": 0.875}},
    labels={"faramir": "degraded"},
    failures={"jtp": "out of memory"},
    caption="a red fox, snow",
)
OTHER = Record(verdict="accept", reason="x" * 500)


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    noise = np.random.RandomState(seed).randint(0, 255, (37, 51, 4), dtype=np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode)


def exif() -> bytes:
    """A UserComment with an infotext, by hand: older Pillows cannot write one."""
    comment = b"UNICODE\0" + INFOTEXT.encode("utf-16-be")
    head = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    return b"Exif\0\0" + head + struct.pack("<HHHIII", 1, 0x9286, 7, len(comment), 44, 0) + comment


FOREIGN_XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>   <?xpacket end="w"?>'
)


def saved(mode: str, kind: str, **options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        stream = BytesIO()
        more = {key: value() if callable(value) else value for key, value in options.items()}
        picture(mode).save(stream, kind, **more)
        return stream.getvalue()

    return make


def jpeg_with_xmp(xmp: bytes) -> bytes:
    """By hand: older Pillows write no XMP into a JPEG."""
    data, packet = saved("RGB", "JPEG", exif=exif)(), b"http://ns.adobe.com/xap/1.0/\0" + xmp
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet + data[2:]


def full_info() -> PngInfo:
    info = PngInfo()
    info.add_text("parameters", INFOTEXT)
    info.add_itxt("prompt", '{"1": {}}', zip=True)
    info.add_text("Comment", "z" * 3000, zip=True)
    info.add(b"comf", b"workflow\0{}", after_idat=True)
    info.add(b"prVt", b"private", after_idat=True)
    return info


def more() -> list[Image.Image]:
    return [picture(seed=1), picture(seed=2)]


MADE = {
    "plain.png": saved("RGB", "PNG"),
    "rich.png": saved("RGBA", "PNG", pnginfo=full_info, exif=exif, dpi=(72, 72)),
    "palette.png": saved("P", "PNG", transparency=3),
    "animated.png": saved("RGB", "PNG", save_all=True, append_images=more),
    "plain.jpg": saved("RGB", "JPEG"),
    "grey.jpg": saved("L", "JPEG"),
    "cmyk.jpg": saved("CMYK", "JPEG"),
    "progressive.jpg": saved("RGB", "JPEG", progressive=True, exif=exif, comment=b"hello", icc_profile=b"x" * 70_000),
    "xmp.jpg": lambda: jpeg_with_xmp(FOREIGN_XMP),
    "panorama.mpo.jpg": saved("RGB", "MPO", save_all=True, append_images=more),
    "lossy.webp": saved("RGB", "WEBP"),
    "lossless.webp": saved("RGB", "WEBP", lossless=True),
    "alpha.webp": saved("RGBA", "WEBP", lossless=True),
    "alpha_lossy.webp": saved("RGBA", "WEBP", quality=50),
    "exif.webp": saved("RGB", "WEBP", exif=exif),
    "xmp.webp": saved("RGB", "WEBP", xmp=FOREIGN_XMP + b" ", exif=exif),
    "animated.webp": saved("RGB", "WEBP", save_all=True, append_images=more, lossless=True),
}


def frames(data: bytes) -> list[bytes]:
    with Image.open(BytesIO(data)) as image:
        found: list[bytes] = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append(image.mode.encode() + image.tobytes())
        return found


def others(data: bytes) -> list[bytes]:
    """All blocks but ours and the XMP's, whole, and what follows the last block."""
    file = BytesIO(data)
    found = list(blocks(file, container_of(file)))
    own = (b"keepers\0", b"http://ns.adobe.com/xap/1.0/")
    kept = [b for b in found if not data.startswith(own, b.data) and b.kind not in ("XMP ", "VP8X")]
    return [data[b.start : b.end] for b in kept] + [data[found[-1].end :]]


@pytest.mark.parametrize("name", MADE)
def test_round_trip(tmp_path: Path, name: str) -> None:
    data = MADE[name]()
    if ".mpo" in name and PILLOW < (10, 0):
        pytest.skip("writes MPO files that it cannot read itself")
    path = tmp_path / name
    path.write_bytes(data)
    before = read_generation(path)
    assert read_record(path) is None
    embed(path, RECORD)
    assert read_record(path) == RECORD
    assert others(path.read_bytes()) == others(data)
    assert frames(path.read_bytes()) == frames(data)
    after = read_generation(path)
    assert (after.positive, after.seed, after.notes) == (before.positive, before.seed, before.notes)
    assert {k: v for k, v in after.texts.items() if k != "keepers"} == before.texts
    once = path.read_bytes()
    embed(path, OTHER)
    assert read_record(path) == OTHER
    embed(path, RECORD)
    assert path.read_bytes() == once, "an earlier record is replaced, not added to"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["xmp.jpg", "xmp.webp"])
def test_foreign_xmp_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(MADE[name]())
    embed(path, RECORD)
    xmp = read_raw(path).xmp
    start, end = xmp.index(b'<rdf:Description rdf:about="" xmlns:keepers'), xmp.index(b"</rdf:RDF>")
    assert (xmp[:start] + xmp[end:]).rstrip() == FOREIGN_XMP
    from xml.etree import ElementTree

    assert len(ElementTree.fromstring(xmp.strip())[0]) == 2


def test_pillow_sees_what_we_write(tmp_path: Path) -> None:
    for name in ("plain.png", "plain.jpg", "lossy.webp", "alpha.webp"):
        (tmp_path / name).write_bytes(embedded(MADE[name](), RECORD))
        with Image.open(tmp_path / name) as image:
            image.load()
            text = image.info.get("keepers") or image.info.get("xmp", b"").decode()
        if name == "plain.jpg" and PILLOW < (10, 3):
            continue  # gives no XMP of a JPEG there
        assert "faramir.accept" in text


def test_rewritten_by_another_tool(tmp_path: Path) -> None:
    attribute = to_json(OTHER).replace('"', "&quot;").encode()
    xmp = FOREIGN_XMP.replace(b'xmp:Rating="4"', b'xmp:Rating="4" keepers:record="' + attribute + b'"')
    (tmp_path / "a.jpg").write_bytes(jpeg_with_xmp(xmp))
    assert read_record(tmp_path / "a.jpg") == OTHER
    embed(tmp_path / "a.jpg", RECORD)
    assert read_record(tmp_path / "a.jpg") == RECORD


@pytest.mark.parametrize("name", ["rich.png", "progressive.jpg", "lossless.webp", "animated.webp", "xmp.jpg"])
def test_damaged_files_are_refused_untouched(tmp_path: Path, name: str) -> None:
    whole = MADE[name]()
    path = tmp_path / name
    for length in [*range(60), *range(60, len(whole) - 1, max(1, len(whole) // 60)), len(whole) - 2]:
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableImage) as caught:
            embed(path, RECORD)
        assert caught.value.code in ("truncated", "corrupt", "format_not_allowed", "empty"), length
        assert path.read_bytes() == whole[:length]
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_flipped_byte_in_a_png_is_refused(tmp_path: Path) -> None:
    data = bytearray(MADE["plain.png"]())
    data[-30] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImage, match="checksum"):
        embed(tmp_path / "a.png", RECORD)


def kinds(data: bytes) -> list[str]:
    """The chunks of a PNG in order, ours as "keepers"."""
    return ["keepers" if data.startswith(b"keepers\0", b.data) else b.kind for b in blocks(BytesIO(data), "png")]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_record_lies_before_the_first_frame_of_an_animation(hidden: bool) -> None:
    """Readers stop looking for texts at the first fcTL or IDAT, whichever comes first."""
    data = MADE["animated.png"]()
    if hidden:  # the first picture is no frame of the animation: its IDAT comes first
        options: dict[str, Any] = {"save_all": True, "append_images": more(), "default_image": True}
        data = saved("RGB", "PNG", **options)()
    found = kinds(embedded(data, RECORD))
    first = min(found.index("IDAT"), found.index("fcTL"))
    assert found.index("keepers") < first
    assert found.count("keepers") == 1
    assert kinds(embedded(embedded(data, RECORD), OTHER)) == found
    without = [kind for kind in found if kind != "keepers"]
    assert without == kinds(data)


def test_what_cannot_carry_a_record(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(saved("P", "GIF")())
    with pytest.raises(UnreadableImage) as caught:
        embed(tmp_path / "a.gif", RECORD)
    assert caught.value.code == "format_not_allowed"
    jpeg = tmp_path / "a.jpg"
    jpeg.write_bytes(before := MADE["plain.jpg"]())
    with pytest.raises(WriteFailed, match="has room for"):
        embed(jpeg, Record(caption="x" * 70_000))
    assert jpeg.read_bytes() == before
    odd = jpeg_with_xmp(FOREIGN_XMP.decode().encode("utf-16"))
    jpeg.write_bytes(odd)
    with pytest.raises(UnreadableImage, match="XMP"):
        embed(jpeg, RECORD)
    assert jpeg.read_bytes() == odd


def test_many_chunks_trailing_data_and_odd_sizes(tmp_path: Path) -> None:
    data = MADE["plain.png"]()
    text = b"tEXt" + b"k\0v"
    many = (
        data[:33]
        + (struct.pack(">I", 3) + text + struct.pack(">I", zlib.crc32(text))) * 5000
        + data[33:]
        + b"PK\3\4zip"
    )
    out = embedded(many, RECORD)
    assert out.endswith(b"PK\3\4zip")
    assert others(out) == others(many)
    webp = MADE["lossy.webp"]() + b"trailing"
    assert embedded(webp, RECORD).endswith(b"trailing")
    assert frames(embedded(webp, RECORD)) == frames(webp)


def test_time_mode_and_links(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(MADE["plain.png"]())
    os.utime(path, (0, 1_500_000_000))
    embed(path, RECORD, keep_mtime=True)
    assert path.stat().st_mtime == 1_500_000_000
    if os.name != "nt":
        path.chmod(0o640)
        (tmp_path / "link.png").symlink_to(path)
        embed(tmp_path / "link.png", OTHER)
        assert (tmp_path / "link.png").is_symlink()
        assert path.stat().st_mode & 0o777 == 0o640
    else:
        embed(path, OTHER)
    assert path.stat().st_mtime > 1_500_000_000
    assert read_record(path) == OTHER


def test_a_file_that_changes_meanwhile_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(MADE["plain.png"]())

    def slow(data: bytes, record: Record) -> bytes:
        path.write_bytes(b"new content")
        return embedded(data, record)

    monkeypatch.setattr(metadata_write, "embedded", slow)
    with pytest.raises(UnreadableImage) as caught:
        embed(path, RECORD)
    assert caught.value.code == "changed"
    assert path.read_bytes() == b"new content"


def test_png_text_for_hosts(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", INFOTEXT)
    info.add_text(*png_text(RECORD))
    picture().save(tmp_path / "a.png", pnginfo=info)
    assert read_record(tmp_path / "a.png") == RECORD
    assert read_generation(tmp_path / "a.png").seed == 5


UNJUDGED = (Unjudged("furry", "missing", "no weights"), Unjudged("faramir", "not_a_number", "no number", "bad"))


def test_record_of_answers() -> None:
    labels = Labels(tuple(f"tag{i}" for i in range(100)))
    values = np.linspace(0, 1, 100, dtype=np.float32)
    values[0] = np.nan
    answers = {
        "jtp": Prediction("jtp", labels, values, label=""),
        "faramir": Prediction("faramir", Labels(("accept", "bad")), np.array([0.5, np.nan], np.float32), "ok"),
        "furry": Failure("furry", "missing_weights", "no weights"),
    }
    record = record_of(answers, Verdict("review", "why", UNJUDGED), "gate", "caption", top=10)
    assert list(record.scores["jtp"]) == [f"tag{i}" for i in range(90, 100)]
    assert record.labels == {"faramir": "ok"}
    assert record.failures == {"furry": "no weights"}
    back = from_json(to_json(record))
    assert back is not None
    assert math.isnan(back.scores["faramir"]["bad"])
    assert back.scores["jtp"]["tag99"] == 1.0
    assert back.given == Verdict("review", "why", UNJUDGED)
    assert Record("maybe", "why").given is None
    assert json.loads(to_json(record))["keepers"] == 1


texts = st.text(max_size=30)
records = st.builds(
    Record,
    verdict=st.sampled_from(["", "accept", "review", "reject"]),
    reason=texts,
    gate=texts,
    scores=st.dictionaries(
        texts, st.dictionaries(texts, st.integers(-999, 999).map(lambda n: n / 8), max_size=3), max_size=3
    ),
    labels=st.dictionaries(texts, texts, max_size=2),
    caption=texts,
    unjudged=st.lists(st.builds(Unjudged, texts, st.sampled_from(KINDS), texts, texts), max_size=2).map(tuple),
)


@given(records, st.sampled_from(["rich.png", "xmp.jpg", "plain.jpg", "lossy.webp"]))
def test_any_record_survives(record: Record, name: str) -> None:
    assert from_json(to_json(record)) == record
    data = embedded(DATA[name], record)
    assert others(data) == others(DATA[name])


DATA = {name: make() for name, make in MADE.items() if name in ("rich.png", "xmp.jpg", "plain.jpg", "lossy.webp")}


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"keepers": "1"}', "[" * 100_000, "x", '{"keepers": NaN}'], ids=range(8)
)
def test_other_texts_are_no_records(text: str) -> None:
    assert from_json(text) is None


def test_wrong_types_in_a_record_are_left_out() -> None:
    text = '{"keepers":2,"new":[],"verdict":5,"scores":{"a":{"x":"y","n":null,"b":true,"i":3},"c":7},"labels":{"a":1},'
    text += '"unjudged":[7,{"kind":"odd"},{"kind":"missing","model":5},{"kind":"failure","model":"a","new":1}]}'
    found = from_json(text)
    assert found is not None
    assert found.verdict == ""
    assert found.scores["a"].keys() == {"n", "i"}
    assert found.labels == {}
    assert found.unjudged == (Unjudged("a", "failure", ""),)
    assert from_json('{"keepers":1,"unjudged":{"kind":"failure"}}') == Record()
