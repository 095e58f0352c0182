"""Writes plugins/datasets/openclipart/drawings.tsv anew from Debian's openclipart-png and openclipart-svg.

The column "class" of the file is made by hand and kept: drawings were proposed by their folder and by words of their
name and title, and then looked at, one by one, on contact sheets. What a class does not show, shows beside other things
or shows as a road sign or a label was struck out. All else is computed here: texts from the drawings' RDF, near-duplicates
from their looks and names, splits from both.

    pip install numpy pillow
    python tests/reference/openclipart.py
"""

import collections
import hashlib
import pathlib
import re
import sys
import xml.etree.ElementTree

import numpy as np
import PIL.Image

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/openclipart")
TABLE = pathlib.Path(__file__).parents[2] / "plugins/datasets/openclipart/drawings.tsv"
HEADER = ["path", "class", "group", "split", "title", "keywords", "description"]
SIDE = 16
MOST_PIXELS = 16_000_000
# Where the rectangle that a drawing fills is what it shows.
RECTANGULAR = {"flag", "playing card", "road sign", "floppy disk", "box", "book", "screen"}
SVG = {"dc": "http://purl.org/dc/elements/1.1/", "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#"}
PIL.Image.MAX_IMAGE_PIXELS = None


def one_line(text):
    return " ".join(text.replace("\u0000", " ").split())


def texts_of(svg):
    root = xml.etree.ElementTree.parse(svg).getroot()
    work = root.find(".//{http://web.resource.org/cc/}Work")
    if work is None:
        work = root.find(".//{http://creativecommons.org/ns#}Work")
    if work is None:
        return "", "", ""

    def text(tag):
        found = work.find(tag, SVG)
        return "" if found is None else one_line("".join(found.itertext()))

    keywords = [one_line("".join(item.itertext())) for item in work.findall(".//dc:subject//rdf:li", SVG)]
    # What a program of those years printed in place of a keyword.
    keywords = [word for word in keywords if word and not re.fullmatch(r"(?i)(hash|array)(\(0x[0-9a-f]+\))?", word)]
    return text("dc:title"), ", ".join(dict.fromkeys(keywords)), text("dc:description")


def look(png):
    """What is seen in the box around what is not transparent: colours [16, 16, 3] on white, coverage [16, 16]; how much of the
    picture is covered, and how much of it is opaque without a hole. None where nothing is seen."""
    with PIL.Image.open(png) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            return None
        picture = picture.convert("RGBA")
    box = picture.getchannel("A").getbbox()
    if box is None:
        return None
    picture = picture.crop(box)
    filled = np.asarray(picture.getchannel("A"), dtype=np.float32).mean() / 255
    white = PIL.Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    colours = np.asarray(white.convert("RGB").resize((SIDE, SIDE), PIL.Image.BOX), dtype=np.float32) / 255
    coverage = np.asarray(picture.getchannel("A").resize((SIDE, SIDE), PIL.Image.BOX), dtype=np.float32) / 255
    return colours, coverage, filled, picture.width / picture.height, (picture.width, picture.height)


def series_of(path):
    """Names that differ in numbers, colours or directions alone belong to a series."""
    folder, _, name = path.rpartition("/")
    if folder.startswith("shapes/stars"):
        return "shapes/stars"
    if folder.startswith("recreation/games/cards/"):
        return "card " + name.partition("_")[2]
    name = re.sub(r"(?<![a-z])(black|blue|green|red|yellow|orange|purple|pink|white|grey|gray|gold|silver|seagreen|brown|color|colour|bw|"
                  r"outline|open|closed|left|right|up|down|small|big|large|[a-z])(?![a-z])", " ", name.lower().replace("_", " "))
    name = re.sub(r"[^a-z]+", " ", name).strip()
    return f"{folder.split('/')[0]}/{name}" if len(name) > 3 else path


class Groups:
    def __init__(self, count):
        self.parent = list(range(count))

    def of(self, i):
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i, j):
        low, high = sorted((self.of(i), self.of(j)))
        self.parent[high] = low


def unit(rows):
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)


class Likeness:
    """Correlation of colours, and of outlines unless they are a disc's, a rectangle's or a hair line's; also with the mirror
    image, and only between drawings of about the same shape of box."""

    def __init__(self, looks):
        self.ratio = np.log(np.array([look[3] for look in looks]))
        filled = np.array([look[2] for look in looks])
        self.plain = (filled > 0.95) | (abs(filled - np.pi / 4) < 0.04) | (filled < 0.08)
        colours = np.stack([look[0] for look in looks])
        outlines = np.stack([look[1] for look in looks])
        self.flat = colours.reshape(len(looks), -1).std(axis=1) < 0.02
        self.colours = unit(colours.reshape(len(looks), -1))
        self.outlines = unit(outlines.reshape(len(looks), -1))
        self.mirrored_colours = unit(colours[:, :, ::-1].reshape(len(looks), -1))
        self.mirrored_outlines = unit(outlines[:, :, ::-1].reshape(len(looks), -1))

    def to(self, i):
        colour = np.maximum(self.colours @ self.colours[i], self.mirrored_colours @ self.colours[i])
        outline = np.maximum(self.outlines @ self.outlines[i], self.mirrored_outlines @ self.outlines[i])
        far = np.abs(self.ratio - self.ratio[i]) > 0.15
        colour[far | self.flat] = 0
        outline[far | self.plain] = 0
        if self.flat[i]:
            colour[:] = 0
        if self.plain[i]:
            outline[:] = 0
        return colour, outline


def group(paths, labels, likeness):
    groups = Groups(len(paths))
    by_series = {}
    for i, path in enumerate(paths):
        groups.join(i, by_series.setdefault(series_of(path), i))
    names = np.array(labels)
    for i in range(len(paths)):
        colour, outline = likeness.to(i)
        same = (names == names[i]) & (names[i] != "")
        alike = (colour > np.where(same, 0.87, 0.97)) | (outline > np.where(same, 0.95, 0.985))
        for j in np.nonzero(alike)[0]:
            groups.join(i, int(j))
    return [groups.of(i) for i in range(len(paths))]


def key_of(path):
    return hashlib.sha256(path.encode()).hexdigest()


def splits_of(labels, groups):
    """{group: split}: of each class a fifth of its drawings and at least one group for test, an eighth for validation."""
    members = collections.defaultdict(list)
    for i, name in enumerate(labels):
        members[groups[i]].append(i)
    by_class = collections.defaultdict(list)
    for number, drawings in members.items():
        names = {labels[i] for i in drawings} - {""}
        for name in names:
            by_class[name].append(number)
    split = {}
    for name in sorted(by_class):
        numbers = sorted(by_class[name], key=lambda number: key_of(f"{name} {number}"))
        size = {number: sum(labels[i] == name for i in members[number]) for number in numbers}
        total = sum(size.values())
        biggest = max(numbers, key=lambda number: size[number])
        wanted = {"test": total / 5, "validation": total / 8}
        for number in sorted(numbers, key=lambda number: number == biggest):
            if number in split:
                wanted[split[number]] = wanted.get(split[number], 0) - size[number]
                continue
            free = [one for one in ("test", "validation") if wanted[one] > 0 and number != biggest and size[number] <= total / 2.5]
            split[number] = free[0] if free else "train"
            if free:
                wanted[free[0]] -= size[number]
        for missing in {"test", "validation"} - {split[number] for number in numbers}:
            rest = [number for number in numbers if split[number] == "train" and number != biggest]
            if len(rest) > 1:
                split[min(rest, key=lambda number: (size[number], number))] = missing
    return split


def main():
    kept = {}
    if TABLE.exists():
        rows = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")]
        kept = {row[0]: row[1] for row in rows[1:]}
    paths, looks, texts, seen = [], [], [], {}
    for svg in sorted(FOLDER.glob("svg/**/*.svg"), key=lambda path: str(path)):
        path = str(svg.relative_to(FOLDER / "svg"))[:-4]
        png = FOLDER / "png" / (path + ".png")
        if not png.exists():
            continue
        digest = hashlib.sha256(png.read_bytes()).digest()
        if digest in seen:  # the same drawing in another folder: the first that has a class stands for it
            if not kept.get(seen[digest]) and kept.get(path):
                kept[seen[digest]] = kept[path]
            continue
        one = look(png)
        if one is None:
            continue
        seen[digest] = path
        paths.append(path)
        looks.append(one)
        texts.append(texts_of(svg))
    labels = []
    for path, one in zip(paths, looks):
        name = kept.get(path, "")
        # No mask to be had from a filled rectangle, nothing to be seen of a hair line.
        unfit = (one[2] > 0.985 and name not in RECTANGULAR) or one[2] < 0.06 or min(one[4]) < 12
        labels.append("" if unfit else name)
    likeness = Likeness(looks)
    groups = group(paths, labels, likeness)
    split = splits_of(labels, groups)
    many = collections.defaultdict(collections.Counter)
    for i, name in enumerate(labels):
        if name:
            many[name][split[groups[i]]] += 1
    poor = {name for name, counts in many.items() if len(counts) < 3 or counts["train"] < 3}
    print("too few that are not alike:", sorted(poor), file=sys.stderr)
    labels = ["" if name in poor else name for name in labels]
    split = splits_of(labels, groups)
    where = [split.get(number, "train") for number in groups]
    # Those without a class are for training alone, unless they are like one that is for evaluation.
    for i in range(len(paths)):
        if where[i] == "train" or not labels[i]:
            continue
        colour, outline = likeness.to(i)
        for j in np.nonzero((colour > 0.9) | (outline > 0.95))[0]:
            if not labels[j]:
                where[j] = "none"
    counts = collections.Counter((where[i], bool(labels[i])) for i in range(len(paths)))
    print(len(set(labels)) - 1, "classes;", counts, file=sys.stderr)
    with TABLE.open("w") as table:
        print("# Drawings of Debian's openclipart-png (public domain): made by tests/reference/openclipart.py, the classes by hand.",
              file=table)
        print("\t".join(HEADER), file=table)
        for i, path in enumerate(paths):
            print("\t".join([path, labels[i], str(groups[i]), where[i], *texts[i]]), file=table)


main()
