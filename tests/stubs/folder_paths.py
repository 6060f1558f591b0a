"""What Keepers uses of folder_paths.py: folders for models, output and input. Tests set `base`."""

from __future__ import annotations

import os
from pathlib import Path

base = Path.cwd()
models_dir = "models"
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {"classifiers": ([], {""})}


def set_base(folder: Path) -> None:
    """For tests: all folders lie in this one."""
    global base, models_dir
    base = folder
    models_dir = str(folder / "models")
    folder_names_and_paths.clear()
    folder_names_and_paths["classifiers"] = ([str(folder / "models" / "classifiers")], {""})


def get_output_directory() -> str:
    """Where images are saved."""
    return str(base / "output")


def get_input_directory() -> str:
    """Where images are uploaded to."""
    return str(base / "input")


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    """Add a folder to a kind of model; a new kind takes files of every ending."""
    paths, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))
    if full_folder_path not in paths:
        paths.insert(0 if is_default else len(paths), full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    """The folders of a kind of model."""
    return list(folder_names_and_paths[folder_name][0])


def get_filename_list(folder_name: str) -> list[str]:
    """The files of a kind of model, with the sub-folders they are in."""
    paths, endings = folder_names_and_paths[folder_name]
    found = [(Path(folder), each) for folder in paths for each in sorted(Path(folder).rglob("*")) if each.is_file()]
    return [str(each.relative_to(folder)) for folder, each in found if not endings or each.suffix in endings]


def get_full_path(folder_name: str, filename: str) -> str | None:
    """The file in the first folder that has it."""
    places = (Path(folder) / filename for folder in get_folder_paths(folder_name))
    return next((str(place) for place in places if place.is_file()), None)


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """Folder, file stem, next number, sub-folder and the prefix with its %placeholders% filled in; makes the folder."""
    filled = filename_prefix.replace("%width%", str(image_width)).replace("%height%", str(image_height))
    subfolder, filename = os.path.split(os.path.normpath(filled))
    folder = Path(output_dir, subfolder).resolve()
    if not folder.is_relative_to(Path(output_dir).resolve()):
        raise ValueError("Saving image outside the output folder is not allowed.")
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder), filename, 1, subfolder, filled
