#!/usr/bin/env python3
"""Puts four figures of experiment 1 together: docs/figures/energies.png.

    cargo xtask experiment1
    python3 -m venv /tmp/figure && /tmp/figure/bin/pip install pillow
    /tmp/figure/bin/python docs/checks/energies_figure.py results/experiment1 docs/figures/energies.png
"""

import sys
from pathlib import Path

from PIL import Image

NAMES = (
    ("fields", "energy_potential_energy"),
    ("energy_reconstruction_error", "energy_integrable_energy"),
)
WIDTH = 900


def main():
    results, target = map(Path, sys.argv[1:])
    rows = []
    for names in NAMES:
        pictures = [Image.open(results / "figures" / f"{name}.png").convert("RGB") for name in names]
        rows.append([p.resize((WIDTH, p.height * WIDTH // p.width), Image.LANCZOS) for p in pictures])
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new("RGB", (2 * WIDTH, sum(heights)), "white")
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            sheet.paste(picture, (column * WIDTH, sum(heights[:number])))
    sheet.save(target, optimize=True)


if __name__ == "__main__":
    main()
