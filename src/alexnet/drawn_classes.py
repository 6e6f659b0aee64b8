"""All classes that can be drawn, in the order of their labels: the miniature's twelve come first.

The 24 after them are what a net sees besides when it is pretrained on the wide set.
"""

from alexnet import grown_shapes, made_shapes, shapes, tool_shapes

KINDS = (shapes, tool_shapes, made_shapes, grown_shapes)

CLASSES = tuple(named for kind in KINDS for named in kind.CLASSES)  # wnid, words
SHAPES = tuple(shape for kind in KINDS for shape in kind.SHAPES)
UPRIGHT = tuple(shape for kind in KINDS for shape in kind.UPRIGHT)  # seldom seen on their heads
