"""All 36 classes that can be drawn, in label order; the miniature uses the first twelve.

The wide set, for pretraining, uses all of them.
"""

from alexnet.miniature import shapes_basic, shapes_living, shapes_objects, shapes_tools

KINDS = (shapes_basic, shapes_tools, shapes_objects, shapes_living)

CLASSES = tuple(entry for kind in KINDS for entry in kind.CLASSES)  # wnid, words
SHAPES = tuple(shape for kind in KINDS for shape in kind.SHAPES)
UPRIGHT = tuple(shape for kind in KINDS for shape in kind.UPRIGHT)  # never drawn upside down
