"""The node Save Keepers: saves images with captions beside them and scores in them; nothing is overwritten or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from comfy.cli_args import args

from ..core.errors import KeepersError
from .host import host
from .host.api import BLOCKED, io
from .host.encode import SUFFIX, Format, Workflow, encode
from .host.file_series import Series, shown
from .host.images import Frame, frames, picture
from .host.parallel import matches, pick_images
from .judging.inputs import captions_input, images_input, list_schema, menu_value, one, scores_input, switch
from .judging.scores import WORDS, Scored, Scores, joined

FOLDER, DROP = "save in a subfolder", "do not save"
NO_CAPTION = "none"
ENDINGS = (".txt", ".caption", NO_CAPTION)


class KeepersSave(io.ComfyNode):
    """Saves accepted images to the folder, and the others to review/ and rejected/ below it.

    One that could not be judged is always saved, to review/.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        return list_schema(
            "KeepersSave",
            "Save Keepers",
            "Saves images with captions beside them and scores in them. Images for review and rejected "
            "ones go into subfolders. Nothing is ever overwritten.",
            is_output_node=True,
            inputs=[
                images_input("save"),
                scores_input("Scores of the same images. Without them, all count as accepted."),
                captions_input("Captions of the same images, or one for all of them."),
                io.String.Input(
                    "filename_prefix",
                    default="keepers/image",
                    tooltip="Where in the output folder, as in Save Image: %date:yyyy-MM-dd%, %width%, %batch_num% …",
                ),
                io.Combo.Input("format", options=list(SUFFIX), default="png", tooltip="PNG keeps all metadata."),
                io.Int.Input("quality", default=92, min=1, max=100, tooltip="For webp and jpeg."),
                io.Combo.Input(
                    "caption_file",
                    options=list(ENDINGS),
                    default=".txt",
                    tooltip="The caption file beside each image: same name, this extension.",
                ),
                switch(
                    "workflow",
                    "Write prompt and workflow into the image, as Save Image does.",
                    on="in the file",
                    off="left out",
                    default=True,
                ),
                switch(
                    "embed_scores",
                    "Write verdict, reason, scores and caption into the image, for Load Keepers and the CLI.",
                    on="in the file",
                    off="left out",
                    default=True,
                ),
                io.Combo.Input(
                    "review",
                    options=[FOLDER, DROP],
                    default=FOLDER,
                    tooltip="What happens to images for review. Those that could not be judged are always saved.",
                ),
                io.Combo.Input(
                    "rejected", options=[FOLDER, DROP], default=FOLDER, tooltip="What happens to rejected images."
                ),
            ],
            outputs=[
                io.Image.Output("accepted", is_output_list=True, tooltip="The accepted images."),
                io.String.Output("files", is_output_list=True, tooltip="Their files, below the output folder."),
                io.String.Output("report", tooltip="Every file with its verdict."),
            ],
        )

    @classmethod
    def validate_inputs(cls, format: Any = (None,), caption_file: Any = (None,)) -> bool | str:  # noqa: A002
        """Refuse values that the menus do not offer before anything is generated."""
        try:
            _ending(caption_file)
            if one(format) is not None:
                menu_value(format, SUFFIX, "format")
        except KeepersError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        images: list[Any],
        filename_prefix: list[str],
        format: list[Format],  # noqa: A002  the input's public name
        quality: list[int],
        caption_file: list[str],
        workflow: list[bool],
        embed_scores: list[bool],
        review: list[str],
        rejected: list[str],
        scores: list[Scores] | None = None,
        captions: list[str] | None = None,
    ) -> io.NodeOutput:
        """Save all images of the list."""
        found = frames(images)
        scored = _scored(found, scores)
        texts = _captions(found, captions)
        drop = {"review": one(review) == DROP, "reject": one(rejected) == DROP}
        hidden = cls.hidden
        whole = Workflow(hidden.prompt, hidden.extra_pnginfo or {})
        keeps = None if args.disable_metadata or not one(workflow) else whole
        ending, form = _ending(caption_file), menu_value(format, SUFFIX, "format")
        lines: list[str] = []
        saved: dict[str, list[dict[str, str]]] = {"accept": [], "review": [], "reject": []}
        series = Series.start(one(filename_prefix), *_size(found)) if found else None
        for place, (frame, score, text) in enumerate(zip(found, scored, texts, strict=True)):
            assert series is not None
            host.check()
            if drop.get(score.fate):
                lines.append(f"not saved: {score.reason}")
                continue
            wanted = bool(one(embed_scores)) and not args.disable_metadata
            record = score.record(text or "") if wanted and (scores or text) else None
            data, note = encode(picture(frame.pixels), form, one(quality), keeps, record)
            caption = text if ending else None
            path = series.write(data, caption, score.outcome, place, (SUFFIX[form], ending))
            saved[score.outcome].append(shown(path))
            lines.append(f"{path.name}: {score.reason}" + (f" ({note})" if note else ""))
        passed = [place for place, score in enumerate(scored) if score.outcome == "accept"]
        names = ["/".join(filter(None, (each["subfolder"], each["filename"]))) for each in saved["accept"]]
        told = _told(scored, drop)
        host.say(told, hidden.unique_id)
        return io.NodeOutput(
            pick_images([batch for batch in images if batch is not None], found, passed),
            names or [BLOCKED],
            "\n".join([told, *lines]),
            ui={"images": saved["accept"], "review": saved["review"], "rejected": saved["reject"]},
        )


def _ending(caption_file: Sequence[str | None]) -> str:
    """The ending of caption files, empty for none. Raises KeepersError."""
    if one(caption_file) is None:
        return ""
    found = menu_value(caption_file, ENDINGS, "caption file")
    return "" if found is None or found == NO_CAPTION else found


def _size(found: Sequence[Frame]) -> tuple[int, int]:
    height, width = found[0].pixels.shape[:2]
    return width, height


def _scored(found: Sequence[Frame], scores: list[Scores] | None) -> Sequence[Scored]:
    if not scores:
        return [Scored()] * len(found)
    images = joined(scores).images
    if len(images) != len(found):
        raise KeepersError(
            f"There are {len(found)} images, but scores of {len(images)}. After a Gate wire accepted with "
            "accepted_scores, or the images as they went in with all_scores."
        )
    return images


def _captions(found: Sequence[Frame], captions: list[str] | None) -> Sequence[str | None]:
    if not captions or not found:
        return [None] * len(found)
    matches("captions", len(captions), len(found))
    return captions if len(captions) == len(found) else captions * len(found)


def _told(scored: Sequence[Scored], drop: Mapping[str, bool]) -> str:
    if not scored:
        return "no images came in"
    counts = Counter(each.fate for each in scored)
    parts = [
        f"{counts[fate]} {words}" + (" (not saved)" if drop.get(fate) else "")
        for fate, words in WORDS.items()
        if counts[fate] or fate == "accept"
    ]
    return ", ".join(parts)
