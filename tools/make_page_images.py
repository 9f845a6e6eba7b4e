#!/usr/bin/python3
"""Draws the images of printed text in examples/images: line.png (one line) and page.png (960x960).

    tools/make_page_images.py [OUTDIR]

Needs python3-pil and fonts-dejavu-core.
"""

import os
import pathlib
import sys

from PIL import Image, ImageDraw, ImageFont

FONT_DIRECTORY = pathlib.Path("/usr/share/fonts/truetype/dejavu")
PAPER = 250
INK = 25

LINE_TEXT = "Small boats carry great cargo 2026"
PAGE_TITLE = "The Coracle, a Small Boat"
PAGE_PARAGRAPHS = (
    ("A coracle is a small round boat, made of split",
     "willow and covered with hide or canvas. One",
     "person can carry it on the back for miles, and",
     "yet it bears the load of a boat twice its size."),
    ("Its owner sits in the middle and draws the",
     "paddle towards the bow. Nothing on board is",
     "there without need: a seat, a strap, a net."),
)
PAGE_TABLE = (
    ("Boat", "Weight", "Cargo"),
    ("Coracle", "14 kg", "160 kg"),
    ("Currach", "95 kg", "900 kg"),
    ("Barge", "40 t", "250 t"),
)


def font(name, size):
    return ImageFont.truetype(str(FONT_DIRECTORY / name), size)


def draw_line():
    """The margins are narrow: a text recogniser reads wide ones as spaces."""
    image = Image.new("L", (552, 48), PAPER)
    ImageDraw.Draw(image).text((6, 24), LINE_TEXT, fill=INK, font=font("DejaVuSerif.ttf", 30), anchor="lm")
    return image


def draw_page():
    image = Image.new("L", (960, 960), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((480, 90), PAGE_TITLE, fill=INK, font=font("DejaVuSerif-Bold.ttf", 46), anchor="mm")
    y = 180
    body = font("DejaVuSans.ttf", 28)
    for paragraph in PAGE_PARAGRAPHS:
        for line in paragraph:
            draw.text((100, y), line, fill=INK, font=body)
            y += 48
        y += 32
    draw_table(draw, top=y + 10)
    return image


def draw_table(draw, top):
    left, row_height, column_width = 140, 64, 226
    width = column_width * len(PAGE_TABLE[0])
    height = row_height * len(PAGE_TABLE)
    for row, cells in enumerate(PAGE_TABLE):
        face = font("DejaVuSans-Bold.ttf" if row == 0 else "DejaVuSans.ttf", 27)
        for column, cell in enumerate(cells):
            at = (left + column * column_width + 24, top + row * row_height + row_height // 2)
            draw.text(at, cell, fill=INK, font=face, anchor="lm")
    for row in range(len(PAGE_TABLE) + 1):
        y = top + row * row_height
        draw.line((left, y, left + width, y), fill=INK, width=2)
    draw.line((left, top, left, top + height), fill=INK, width=2)
    draw.line((left + width, top, left + width, top + height), fill=INK, width=2)


def write_image(image, path):
    """Writes a temporary file beside `path`, then renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    image.save(temporary, format="PNG", optimize=True)
    os.replace(temporary, path)
    print(f"{path}: {path.stat().st_size} bytes", file=sys.stderr)


def main(arguments):
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__, file=sys.stderr)
        return 0 if arguments[0] in ("-h", "--help") else 2
    default = pathlib.Path(__file__).resolve().parent.parent / "examples" / "images"
    directory = pathlib.Path(arguments[0]) if arguments else default
    # Three channels, as photographs have.
    write_image(draw_line().convert("RGB"), directory / "line.png")
    write_image(draw_page().convert("RGB"), directory / "page.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
