"""Makes emma-sans.ttf and emma-sans.woff2 out of LiberationSans-Regular.ttf; see README.md beside this file.

    python3 subset.py /usr/share/fonts/truetype/liberation2/LiberationSans-Regular.ttf

Needs fonttools 4.60 or newer with brotli. The result does not depend on the time or the machine.
"""

import sys

from fontTools import subset
from fontTools.pens.reverseContourPen import ReverseContourPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

RANGES = [
    (0x0020, 0x007E),  # ASCII
    (0x00A0, 0x017F),  # Latin-1 and Latin Extended-A
    (0x0391, 0x03CE),  # Greek
    (0x2010, 0x2026),  # dashes, quotes, daggers, bullet, ellipsis
]
SIGNS = "ϕϑϵ‰′″ℓ←↑→↓↔∂∆∏∑−√∞∩∫≈≠≡≤≥◊●■▲▼"


def add_nabla(font):
    """Adds the missing nabla: a capital delta upside down."""
    delta = font.getBestCmap()[0x2206]
    glyphs = font.getGlyphSet()
    pen = TTGlyphPen(None)
    height = font["glyf"][delta].yMax
    glyphs[delta].draw(TransformPen(pen, (1, 0, 0, -1, 0, height)))
    glyph = pen.glyph()
    # Mirroring turned the outlines round; fonts have them clockwise.
    reverse = TTGlyphPen(None)
    glyph.draw(ReverseContourPen(reverse), font["glyf"])
    font["glyf"]["nabla"] = reverse.glyph()
    font["glyf"]["nabla"].recalcBounds(font["glyf"])
    font["hmtx"]["nabla"] = font["hmtx"][delta]
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[0x2207] = "nabla"


def rename(font):
    """The name of the original is reserved by its license."""
    table = font["name"]
    keep = {0: None, 1: "EMMA Sans", 2: "Regular", 3: "EMMA Sans Regular", 4: "EMMA Sans"}
    keep |= {5: "Version 1.0", 6: "EMMASans-Regular", 13: None, 14: None}
    table.names = [n for n in table.names if n.platformID == 3 and n.nameID in keep]
    for name in table.names:
        if keep[name.nameID]:
            name.string = keep[name.nameID]


def main(source):
    font = TTFont(source, recalcTimestamp=False)
    add_nabla(font)
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.legacy_kern = True
    options.name_IDs = ["*"]
    options.notdef_outline = True
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "DSIG", "FFTM", "meta"]
    subsetter = subset.Subsetter(options)
    wanted = {code for first, last in RANGES for code in range(first, last + 1)}
    wanted |= {ord(sign) for sign in SIGNS} | {0x2207}
    missing = {code for code in map(ord, SIGNS) if code not in font.getBestCmap()}
    print("not in the source:", "".join(map(chr, sorted(missing))))
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    rename(font)
    font.save("emma-sans.ttf", reorderTables=True)
    font = TTFont("emma-sans.ttf", recalcTimestamp=False)
    font.flavor = "woff2"
    font.save("emma-sans.woff2")


if __name__ == "__main__":
    main(*sys.argv[1:])
