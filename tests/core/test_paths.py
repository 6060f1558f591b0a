"""Names stay inside their folder, on every system, and a refusal leaves nothing behind."""

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.core.errors import OutsideFolder
from keepers.core.paths import inside, numbered, unique

REFUSED = [
    "../../custom_nodes/x/__init__", "/etc/x", "C:\\x", "C:x", "c:/x", "\\\\host\\share\\x", "//host/share/x", "..\\x",
    "a/../../x", "a\\..\\..\\x", "a/..", "..", "", ".", "./", "x\0.png", "x%00.png", "%2e%2e/x", "~/x", "~root",
    "$HOME/x", "${HOME}", "$(id)", "CON", "con.txt", "a/NUL", "Com1.png", "COM¹", "lpt9.tar.gz", "AUX .txt", "CONIN$",
    "x.", "x ", "a./b", " x", "a:b", "x.png::$DATA", "x" * 256, "é" * 128, "/".join(["d" * 200] * 30), "a\nb",
    "a\tb", "a\x1b[2Jb", "a/~x",
    "\x7f", "x\u202egnp.exe", "x\u2028y", "a|b", "a<b", 'a"b', "a?b", "a*b", "x\ud800", "x\udcff", "\\x",
    "\\\\?\\C:\\x",
]  # fmt: skip
ACCEPTED = [
    "a.png", "sub/a.png", "sub\\a.png", "a..b.png", "...a", ".hidden", "x" * 255, "é" * 127, "a//b", "./a", "a/./b",
    "-dash.png", "100%.png", "$5.png", "it's 🙂👩‍🚀.png", "console.txt", "com10", "contact", "a~1.png", "日本語/だ.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_refuses_what_leaves_or_means_something_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(OutsideFolder, match="Nothing was written"):
        inside(folder, name)
    assert [p.name for p in tmp_path.rglob("*")] == ["out"]


@pytest.mark.parametrize("name", ACCEPTED, ids=ascii)
def test_accepts_ordinary_names(tmp_path: Path, name: str) -> None:
    target = inside(tmp_path, name)
    assert target.is_relative_to(tmp_path.resolve())
    assert not list(tmp_path.iterdir())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"x")
    assert target.is_file()


def test_both_separators_mean_the_same(tmp_path: Path) -> None:
    assert inside(tmp_path, "a\\b/c.png") == tmp_path.resolve() / "a" / "b" / "c.png"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_point_out_are_refused(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / "real").mkdir(parents=True)
    elsewhere.mkdir()
    (out / "door").symlink_to(elsewhere)
    (out / "dangling.png").symlink_to(elsewhere / "none.png")
    (out / "round").symlink_to(out / "round")
    (out / "inner").symlink_to(out / "real")
    for name in ("door", "door/x.png", "door/sub/x.png", "dangling.png"):
        for native in (False, True):
            with pytest.raises(OutsideFolder):
                inside(out, name, native=native)
    assert inside(out, "inner/x.png") == out.resolve() / "real" / "x.png"
    assert not list(elsewhere.iterdir())
    with suppress(OutsideFolder):  # where Python does not notice a circle, it is a name inside that cannot be opened
        assert inside(out, "round/x.png").is_relative_to(out.resolve())


def test_prefix_twin_is_outside(tmp_path: Path) -> None:
    (tmp_path / "out_private").mkdir()
    (tmp_path / "out").mkdir()
    if os.name != "nt":
        (tmp_path / "out" / "twin").symlink_to(tmp_path / "out_private")
        with pytest.raises(OutsideFolder):
            inside(tmp_path / "out", "twin/x")
    with pytest.raises(OutsideFolder):
        inside(tmp_path / "out", "../out_private/x")


@pytest.mark.skipif(os.name == "nt", reason="such names cannot exist there")
@pytest.mark.parametrize(
    "name", ["a\nb.png", "a:b.png", "x\udcff.png", "end.", "back\\slash.png", "~", "CON"], ids=ascii
)
def test_native_takes_names_that_exist_here(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert inside(tmp_path, name, native=True).read_bytes() == b"x"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "x\0", "", ".", "x" * 256, "x\ud800"], ids=ascii)
def test_native_still_contains(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutsideFolder):
        inside(tmp_path, name, native=True)


@given(st.text(max_size=300), st.booleans())
def test_any_text_stays_inside_or_is_refused(name: str, native: bool) -> None:
    folder = Path("somewhere").resolve()
    try:
        found = inside(folder, name, native=native)
    except OutsideFolder as error:
        said = str(error)
        assert said.isprintable(), "an error is safe on a terminal"
    else:
        assert found.is_relative_to(folder)
        assert found != folder


def test_numbered_and_unique(tmp_path: Path) -> None:
    assert [p.name for p in islice(numbered(tmp_path / "a.b.png"), 3)] == ["a.b.png", "a.b-1.png", "a.b-2.png"]
    long = list(islice(numbered(tmp_path / ("é" * 125 + ".png")), 2))[1]
    assert len(os.fsencode(long.name)) <= 255
    assert long.name.endswith("é-1.png")
    (tmp_path / "a.png").touch()
    (tmp_path / "a-1.txt").touch()
    assert unique(tmp_path / "a.png").name == "a-1.png"
    assert unique(tmp_path / "a.png", beside=[".txt"]).name == "a-2.png"
    if os.name != "nt":
        (tmp_path / "b.png").symlink_to(tmp_path / "nowhere")
        assert unique(tmp_path / "b.png").name == "b-1.png"
