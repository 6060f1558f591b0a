"""What images are known to be: folders, tables, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from keepers.collection.known_classes import by_folder, by_table, subfolders
from keepers.core.errors import KeepersError


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return path


def test_folders_named_by_class(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a" / "deep" / "1.png"), save(tmp_path / "b" / "2.png")
    assert by_folder(subfolders(tmp_path)) == {a: "a", b: "b"}
    (tmp_path / "c").mkdir()
    with pytest.raises(KeepersError, match="no images of class 'c'"):
        by_folder(subfolders(tmp_path))
    with pytest.raises(KeepersError, match="holds 0"):
        subfolders(tmp_path / "c")
    with pytest.raises(KeepersError, match="cannot be listed"):
        subfolders(tmp_path / "nowhere")


def test_a_file_of_two_classes_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a" / "b" / "1.png")
    with pytest.raises(KeepersError, match=r"1\.png is in the folders of 'a' and of 'b'"):
        by_folder({"a": [tmp_path / "a"], "b": [tmp_path / "a" / "b"]})


def test_tables(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b'\xef\xbb\xbfPath, Class ,note\nx.png,good,\n"sub/y, z.png",bad,"two\nlines"\n,skipped,\n')
    assert by_table(table, ("class",)) == {tmp_path / "x.png": "good", tmp_path / "sub" / "y, z.png": "bad"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it has none"),
        (b"file,class\n", "has no rows"),
        (b"name,prompt\na.png,x\n", "a column 'class' or 'label'"),
        (b"class\ngood\n", "needs a first line that names a column 'file'"),
        (b"file,class\n\xff\xfe,x\n", "cannot be read as a table"),
        (b"file,class\n" + b"a" * 200_000 + b",x\n", "is not CSV"),
    ],
)
def test_a_table_that_is_none_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(content)
    with pytest.raises(KeepersError, match=told):
        by_table(table, ("class", "label"))
    with pytest.raises(KeepersError, match="cannot be read"):
        by_table(tmp_path / "gone.csv", ("class",))
