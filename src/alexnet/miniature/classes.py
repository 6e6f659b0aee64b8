"""All classes that can be drawn, in the order of their labels: the miniature's twelve come first.

The 24 after them are what a net sees besides when it is pretrained on the wide set.
"""

from alexnet.miniature import shapes_basic, shapes_living, shapes_objects, shapes_tools

KINDS = (shapes_basic, shapes_tools, shapes_objects, shapes_living)

CLASSES = tuple(named for kind in KINDS for named in kind.CLASSES)  # wnid, words
SHAPES = tuple(shape for kind in KINDS for shape in kind.SHAPES)
UPRIGHT = tuple(shape for kind in KINDS for shape in kind.UPRIGHT)  # seldom seen on their heads
