"""Expected values of tests/pictures: what Pillow decodes and resizes.

Needs Python with Pillow (13.0.0) and numpy. Run it from any folder: it writes tests/data/pictures.safetensors, with the
files themselves as bytes ("jpeg_444.file") beside what they show ("jpeg_444.rgb", [H, W, 3]).
"""

import io
import json
import pathlib
import struct

import numpy as np
from PIL import Image, ImageOps

FILE = pathlib.Path(__file__).resolve().parent.parent / "data" / "pictures.safetensors"
tensors = {}


def save():
    header, offset = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "U8", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    FILE.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(v.tobytes() for v in tensors.values()))


def scene(width, height, seed):
    """Smooth colours, an edge and some noise, as a photograph has them."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, 127 + 100 * np.sin(x / 7) * np.cos(y / 5)], -1)
    rgb[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2] = (220, 40, 60)
    return np.clip(rgb + random.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)


def add(name, content):
    """`content`: a file's bytes."""
    tensors[name + ".file"] = np.frombuffer(content, np.uint8)
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    tensors[name + ".rgb"] = np.asarray(picture.convert("RGB"))


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


photo = Image.fromarray(scene(75, 51, 1))
add("jpeg_444", encoded(photo, "JPEG", quality=90, subsampling=0))
add("jpeg_422", encoded(photo, "JPEG", quality=90, subsampling=1))
add("jpeg_420", encoded(photo, "JPEG", quality=90, subsampling=2))
add("jpeg_progressive", encoded(photo, "JPEG", quality=85, progressive=True))
add("jpeg_grey", encoded(photo.convert("L"), "JPEG", quality=90))
add("jpeg_cmyk", encoded(photo.convert("CMYK"), "JPEG", quality=90))
for orientation in range(1, 9):
    add(f"jpeg_exif_{orientation}",
        encoded(photo, "JPEG", quality=90, subsampling=2, exif=with_orientation(orientation)))
add("png_rgb", encoded(photo, "PNG"))
add("png_exif_6", encoded(photo, "PNG", exif=with_orientation(6)))
add("png_grey", encoded(photo.convert("L"), "PNG"))
add("png_palette", encoded(photo.quantize(16), "PNG"))
add("png_one_bit", encoded(photo.convert("1"), "PNG"))
alpha = photo.convert("RGBA")
alpha.putalpha(photo.convert("L"))
add("png_alpha", encoded(alpha, "PNG"))
add("png_grey_alpha", encoded(alpha.convert("LA"), "PNG"))
add("png_palette_transparent", encoded(photo.quantize(16), "PNG", transparency=3))
add("webp_lossless", encoded(photo, "WEBP", lossless=True))
add("webp_lossy", encoded(photo, "WEBP", quality=90))
add("webp_alpha", encoded(alpha, "WEBP", lossless=True, exact=True))
add("webp_exif_6", encoded(photo, "WEBP", lossless=True, exif=with_orientation(6)))
add("webp_animated", encoded(photo, "WEBP", lossless=True, save_all=True,
                             append_images=[Image.fromarray(scene(75, 51, 2))], duration=100))
add("one_pixel", encoded(Image.new("RGB", (1, 1), (10, 200, 30)), "PNG"))

# 16 bits by their upper eight: written out, since Pillow reads no 16-bit colours.
grey16 = (np.arange(20 * 12, dtype=np.uint32).reshape(12, 20) * 271 % 65536).astype(np.uint16)
tensors["png_grey_16.file"] = np.frombuffer(encoded(Image.fromarray(grey16), "PNG"), np.uint8)
tensors["png_grey_16.rgb"] = np.repeat((grey16 >> 8).astype(np.uint8)[..., None], 3, -1)

labels = np.random.default_rng(3).integers(0, 256, (9, 13), np.uint8)
tensors["labels_grey.file"] = np.frombuffer(encoded(Image.fromarray(labels), "PNG"), np.uint8)
tensors["labels_grey.values"] = labels
few = labels % 4
palette = Image.fromarray(few, "P")
palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
tensors["labels_palette.file"] = np.frombuffer(encoded(palette, "PNG", bits=2), np.uint8)
tensors["labels_palette.values"] = few

# A drawing with a soft edge and a margin around it, cropped and resized with its colours multiplied by its coverage.
drawing = Image.fromarray(scene(75, 51, 6)).convert("RGBA")
y, x = np.mgrid[0:51, 0:75]
coverage = np.clip((18 - np.hypot((x - 40) / 1.5, y - 24)) * 60, 0, 255).astype(np.uint8)
drawing.putalpha(Image.fromarray(coverage))
tensors["cutout.png"] = np.frombuffer(encoded(drawing, "PNG"), np.uint8)
drawing = drawing.crop(drawing.getchannel("A").getbbox()).convert("RGBa")
for width, height in ((20, 13), drawing.size, (70, 50), (1, 1)):
    resized = np.asarray(drawing.resize((width, height), Image.Resampling.BILINEAR))
    tensors[f"cutout.{width}x{height}.colours"] = resized[..., :3].copy()
    tensors[f"cutout.{width}x{height}.coverage"] = resized[..., 3].copy()

source = Image.fromarray(scene(61, 47, 4))
noise = Image.fromarray(np.random.default_rng(5).integers(0, 2, (47, 61, 3), np.uint8) * 255)
tensors["resize.scene"] = np.asarray(source)
tensors["resize.noise"] = np.asarray(noise)
for name, picture in (("scene", source), ("noise", noise)):
    for filter_name, resampling in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)):
        for width, height in ((16, 16), (24, 40), (61, 47), (90, 70), (1, 1)):
            tensors[f"resize.{name}.{filter_name}.{width}x{height}"] = np.asarray(
                picture.resize((width, height), resampling))
        # A crop first, as RandomResizedCrop has it.
        cropped = picture.crop((7, 5, 50, 38))
        tensors[f"resize.{name}.{filter_name}.crop"] = np.asarray(cropped.resize((20, 20), resampling))

save()
