"""Tables of core/tokens/tables: what ftfy (Apache License 2.0, Robyn Speer), Python's html and the regex module know.

Needs ftfy 6.3.1 and regex. Patterns are written for PCRE2, all that is not ASCII as \\x{…}; \\s and \\w are spelled out, because
Python's mean something else.
"""
import html
import html.entities
import itertools
import pathlib
import re

import ftfy
import regex
from ftfy import badness, chardata

assert ftfy.__version__ == "6.3.1"

FOLDER = pathlib.Path(__file__).parents[2] / "core/tokens/tables"
SPACE = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # str.isspace()


def ascii_only(pattern):
    return "".join(c if c == "\n" or " " <= c <= "~" else f"\\x{{{ord(c):x}}}" for c in pattern)


def pattern_of(pattern):
    text = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    text = re.sub(r" *#.*", "", text) if pattern.flags & re.VERBOSE else text  # comments
    text = text.replace("\\s", f"[{SPACE}]").replace("\\w", "[\\p{L}\\p{N}_]")
    text = "\n".join(line.strip() for line in text.split("\n") if line.strip()) if pattern.flags & re.VERBOSE else text
    return ascii_only(text)


def write_patterns():
    patterns = {
        "badness": badness.BADNESS_RE,
        "utf8_detector": chardata.UTF8_DETECTOR_RE,
        "altered_utf8": chardata.ALTERED_UTF8_RE,
        "lossy_utf8": chardata.LOSSY_UTF8_RE,
    }
    for name, pattern in patterns.items():
        (FOLDER / f"{name}.txt").write_text(pattern_of(pattern) + "\n")


def write_charmaps():
    """A line an encoding: its name, then what the bytes 80 to FF mean, "-" for nothing."""
    lines = []
    for encoding in [*chardata.CHARMAP_ENCODINGS, "windows-1252"]:
        decoded = [bytes([b]).decode(encoding, errors="replace") for b in range(0x80, 0x100)]
        lines.append(" ".join([encoding] + ["-" if c == "\ufffd" else f"{ord(c):x}" for c in decoded]))
    (FOLDER / "charmaps.txt").write_text("\n".join(lines) + "\n")


def write_characters():
    """A line a character: its code point, then those that stand for it, of ligatures and of other widths."""
    for name, table in {"ligatures": chardata.LIGATURES, "widths": chardata.WIDTH_MAP}.items():
        lines = [" ".join(f"{c:x}" for c in [of, *map(ord, to)]) for of, to in sorted(table.items())]
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


def write_classes():
    """A line a range of characters: "L" for those of \\p{L}, "N" for \\p{N}, "S" for spaces and what is in no class of CLIP's
    pattern, with its first and last."""
    letter, number, other = (regex.compile(p, regex.IGNORECASE) for p in (r"[\p{L}]+", r"[\p{N}]", r"[^\s\p{L}\p{N}]+"))

    def class_of(c):
        if 0xD800 <= c < 0xE000 or other.fullmatch(chr(c)):
            return None
        return "L" if letter.fullmatch(chr(c)) else "N" if number.fullmatch(chr(c)) else "S"

    lines = []
    for name, run in itertools.groupby(range(0x80, 0x110000), class_of):
        run = list(run)
        if name:
            lines.append(f"{name} {run[0]:x} {run[-1]:x}")
    (FOLDER / "classes.txt").write_text("\n".join(lines) + "\n")


def write_entities():
    """A line an entity: its name as after "&", its characters. Those after the empty line are ftfy's alone."""
    known = {"&" + name: characters for name, characters in html.entities.html5.items()}
    more = {name: characters for name, characters in chardata.HTML_ENTITIES.items() if name not in known}
    sections = ["\n".join(f"{name[1:]} {' '.join(f'{ord(c):x}' for c in characters)}"
                          for name, characters in sorted(table.items())) for table in (known, more)]
    (FOLDER / "entities.txt").write_text("\n\n".join(sections) + "\n")


write_patterns()
write_charmaps()
write_characters()
write_classes()
write_entities()
