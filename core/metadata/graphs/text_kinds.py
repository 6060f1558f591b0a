"""How the nodes that give texts make them: a table by kind, sorted. What is not here is understood by its inputs.

Names are those of the inputs. A name that ends in "*" stands for all inputs that begin so, in their order by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class Same(NamedTuple):
    """Gives the input on as it is; of several names, output n gives input n, and the last gives all after it."""

    names: tuple[str, ...]


class Join(NamedTuple):
    """Joins its inputs."""

    parts: tuple[str, ...]
    by: str = ""
    """The input that holds the separator."""
    default: str = ""
    """The separator without that input."""
    skip_empty: bool = False


class Replace(NamedTuple):
    """Replaces text by text, pair after pair."""

    text: str
    pairs: tuple[tuple[str, str], ...]


class Regex(NamedTuple):
    """Replaces by a regular expression, or takes what it matches."""

    extract: bool


class Change(NamedTuple):
    """Changes the text by a rule of the reader's own, or by the one that an input names."""

    text: str
    rule: str
    """The name of the rule; "?" before it: the input that names it."""


class Format(NamedTuple):
    """Fills the inputs into a template with {names}."""

    template: str
    numbered: str = ""
    """The beginning of the inputs' names where the template has numbers: [2] is the input "arg2"."""


class Drawn(NamedTuple):
    """Draws from wildcards, or fills in tokens of other nodes. What was drawn is in `record` if the node recorded it;
    else it is the text, if that has none of them."""

    text: str
    record: str = ""
    tokens: bool = False
    """Whether it fills in tokens such as [time]."""


class Styled(NamedTuple):
    """Puts a text into a style that the file does not hold: output n has the text of input n."""

    names: tuple[str, ...]
    style: str


TextKind: TypeAlias = "Same | Join | Replace | Regex | Change | Format | Drawn | Styled"

_A_B, _1_2 = ("string_a", "string_b"), ("text1", "text2")
_THREE = tuple((f"find{i}", f"replace{i}") for i in (1, 2, 3))
_STYLER = ("text_positive", "text_negative")

TEXT_KINDS: Mapping[str, TextKind] = {
    "AppendStringsToList": Join(("string1", "string2"), default=", "),
    "CR Combine Prompt": Join(("part1", "part2", "part3", "part4"), "separator", ","),
    "CR Prompt Text": Same(("prompt",)),
    "CR Text": Same(("text",)),
    "CR Text Concatenate": Join(_1_2, "separator"),
    "CR Text Operation": Change("text", "?operation"),
    "CR Text Replace": Replace("text", _THREE),
    "CaseConverter": Change("string", "?mode"),
    "Concat Text _O": Join(_1_2, "separator"),
    "ConcatText_Zho": Join(("text_1", "text_2"), default=", "),
    "CreateList": Join(("inputs.*", "input*"), default=", "),
    "DF_Text": Same(("Text",)),
    "DF_Text_Box": Same(("Text",)),
    "DPCombinatorialGenerator": Drawn("text"),
    "DPJinja": Drawn("text"),
    "DPRandomGenerator": Drawn("text"),
    "DisplayAny": Same(("input",)),
    "DisplayText_Zho": Same(("text",)),
    "FlexibleStringMergerNode": Join(("string1", "string2", "string3", "string4"), default=" AND ", skip_empty=True),
    "H3PromptPreview": Same(("text",)),
    "ID_Prompt_Styler": Styled(("prompt", "negative_prompt"), "style_name"),
    "ImpactWildcardEncode": Drawn("wildcard_text", "populated_text"),
    "ImpactWildcardProcessor": Drawn("wildcard_text", "populated_text"),
    "JWString": Same(("text",)),
    "JWStringConcat": Join(("a", "b")),
    "JWStringMultiline": Same(("text",)),
    "JWStringReplace": Replace("source", (("to_replace", "replace_with"),)),
    "JoinStringMulti": Join(("string_*",), "delimiter", " "),
    "JoinStrings": Join(("string1", "string2"), "delimiter", " "),
    "KepStringLiteral": Same(("String",)),
    "LayerUtility: String": Same(("string",)),
    "LayerUtility: TextBox": Same(("text",)),
    "LayerUtility: TextJoin": Join(("text_*",), default=", ", skip_empty=True),
    "LayerUtility: TextJoinV2": Join(("text_*",), "delimiter", skip_empty=True),
    "MilehighStyler": Styled(("text_positive", "text_negative"), "style"),
    "Power Prompt (rgthree)": Same(("prompt",)),
    "Power Prompt - Simple (rgthree)": Same(("prompt",)),
    "PreviewAny": Same(("source",)),
    "PreviewTextNode": Same(("text",)),
    "Primitive string [Crystools]": Same(("string",)),
    "Primitive string multiline [Crystools]": Same(("string",)),
    "PrimitiveNode": Same(("value",)),
    "PrimitiveString": Same(("value",)),
    "PrimitiveStringMultiline": Same(("value",)),
    "Prompt (LoraManager)": Same(("text",)),
    "PromptUtilitiesConstString": Same(("string",)),
    "PromptUtilitiesConstStringMultiLine": Same(("string",)),
    "PromptUtilitiesFormatString": Format("prompt", "arg"),
    "PromptUtilitiesJoinStringList": Join(("arg*",), "separator", ", ", True),
    "RegexExtract": Regex(True),
    "RegexReplace": Regex(False),
    "SDPromptMerger": Join(("text_g", "text_l"), default="\n"),
    "SDXL Prompt Styler (JPS)": Styled(
        ("text_positive_g", "text_positive_l", "text_positive_g", "text_negative"), "style"
    ),
    "SDXLPromptStyler": Styled(_STYLER, "style"),
    "SDXLPromptStylerAdvanced": Styled(
        ("text_positive_g", "text_positive_l", "text_positive_g", "text_negative", "text_negative", "text_negative"),
        "style",
    ),
    "ShowTextForGPT": Same(("text",)),
    "ShowText|pysssss": Same(("text",)),
    "Simple String": Same(("string",)),
    "Simple String Combine (WLSH)": Join(("input_string", "addition"), "separator", ", "),
    "String": Same(("String",)),
    "String Literal": Same(("string",)),
    "String Literal (Image Saver)": Same(("string",)),
    "String Replace (mtb)": Replace("string", (("old", "new"),)),
    "String to Text": Same(("string",)),
    "String-🔬": Same(("value",)),
    "StringConcat_x10": Join(("text_*",), "delimiter", ", ", True),
    "StringConcatenate": Join(_A_B, "delimiter"),
    "StringConstant": Same(("string",)),
    "StringConstantMultiline": Change("string", "?strip_newlines"),
    "StringFormat": Format("f_string"),
    "StringFunction|pysssss": Change("text_a", "pysssss"),
    "StringInput": Join(("string", "prompt"), "separator", ", ", True),
    "StringListToString": Join(("string_list",), "join_with"),
    "StringReplace": Replace("string", (("find", "replace"),)),
    "StringSubstring": Change("string", "substring"),
    "StringTrim": Change("string", "?mode"),
    "String_": Same(("string",)),
    "Text Concatenate": Join(("text*",), "delimiter", ", ", True),
    "Text Find and Replace": Replace("text", (("find", "replace"),)),
    "Text Find and Replace Input": Replace("text", (("find", "replace"),)),
    "Text Multiline": Same(("text",)),
    "Text Multiline (Code Compatible)": Same(("text",)),
    "Text Parse A1111 Embeddings": Same(("text",)),
    "Text Parse Tokens": Drawn("text", tokens=True),
    "Text String": Same(("text", "text_b", "text_c", "text_d")),
    "Text _O": Same(("text",)),
    "Text box": Same(("text",)),
    "Text to Conditioning": Same(("text",)),
    "Text to Console": Same(("text",)),
    "Text to String": Same(("text",)),
    "TextBox1": Same(("text1",)),
    "TextBox2": Same(_1_2),
    "TextBox3": Same((*_1_2, "text3")),
    "TextBoxConcatenate": Join(("text", "text_external"), "separator"),
    "TextConcat": Join(("text*",), "delimiter", " ", True),
    "TextConcatenate": Join(("text_1", "text_2"), "separator"),
    "TextInput_": Same(("text",)),
    "TextPreserve": Same(("result_text",)),
    "Textbox": Same(("text",)),
    "Wildcard Processor": Drawn("text", "populated_text"),
    "concat": Join(_1_2, default=" "),
    "easy negative": Drawn("negative"),
    "easy positive": Drawn("positive"),
    "easy prompt": Same(("text",)),
    "easy promptConcat": Join(("prompt1", "prompt2"), "separator"),
    "easy promptLine": Change("prompt", "line"),
    "easy promptReplace": Replace("prompt", _THREE),
    "easy showAnything": Same(("anything",)),
    "easy showAnythingLazy": Same(("anything",)),
    "easy string": Same(("value",)),
    "easy stringJoinLines": Change("string", "lines"),
    "easy stylesSelector": Styled(("positive", "negative"), "select_styles"),
    "easy wildcards": Drawn("text", "populated_text"),
    "easy wildcardsMatrix": Drawn("text"),
    "ttN concat": Join(("text1", "text2", "text3"), "delimiter", ","),
    "ttN text": Same(("text",)),
    "ttN text3BOX_3WAYconcat": Join(("text1", "text2", "text3"), "delimiter", ","),
    "ttN text7BOX_concat": Join(("text*",), "delimiter", ","),
    "ttN textDebug": Same(("text",)),
    "ttN textOutput": Same(("text",)),
}
