"""Write the miniature's devkit: its synsets and the labels of its validation images."""

import gzip
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np

from alexnet.dataset.matlab import Numbers, write_table
from alexnet.miniature.classes import CLASSES

KIT = "ILSVRC2012_devkit_t12"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
README = """A small ILSVRC-2012, drawn by this project: not ImageNet's images, but its layout.
data/meta.mat: synsets; classes have ILSVRC2012_ID 1, 2, … and no children, inner synsets follow.
data/ILSVRC2012_validation_ground_truth.txt: the ILSVRC2012_ID of each validation image, in order.
"""

# words and glosses are written to the archives: rewording changes its bytes
ENTITY, ARTIFACT, ANIMAL = "n00001740", "n00021939", "n00015388"
PLANT, PLANT_PART, FUNGUS = "n00017222", "n13086908", "n12992868"
INNER = {
    ENTITY: ("entity", "whatever there is"),
    ARTIFACT: ("artifact, artefact", "a thing that somebody made"),
    ANIMAL: ("animal, animate being, beast, brute, creature, fauna", "a living thing that moves"),
    PLANT: ("plant, flora, plant life", "a living thing that stays where it grows"),
    PLANT_PART: ("plant part, plant structure", "any part of a plant"),
    FUNGUS: ("fungus", "a living thing that feeds on what others leave"),
}
LEAVES = {  # wnid → parent, gloss
    "n04574999": (ARTIFACT, "a round frame with spokes that turns on an axle"),
    "n02317335": (ANIMAL, "a sea animal with five or more arms round a central disc"),
    "n03632277": (ARTIFACT, "two uprights joined by rungs, for climbing"),
    "n11939491": (PLANT, "a flower head of narrow rays round a disc of small florets"),
    "n03014317": (ARTIFACT, "a board of squares in two alternating colours"),
    "n02512053": (ANIMAL, "a cold-blooded animal with fins that lives in water"),
    "n03430551": (ARTIFACT, "a wheel whose teeth drive those of another"),
    "n02814224": (ARTIFACT, "a large and light ball for the seaside"),
    "n02165456": (ANIMAL, "a small round beetle, bright and spotted"),
    "n04394261": (ARTIFACT, "rings round a centre, to be shot at"),
    "n13152742": (PLANT_PART, "the flat organ with which plants catch the light"),
    "n01944390": (ANIMAL, "a slow animal with a spiral shell"),
    "n03544143": (ARTIFACT, "two bulbs through whose neck sand runs for an hour"),
    "n03874599": (ARTIFACT, "a lock to take off, with a shackle that goes through a hasp"),
    "n04153751": (ARTIFACT, "a fastener with a thread, turned by the slot in its head"),
    "n03481172": (ARTIFACT, "a heavy head on a handle, to strike with"),
    "n03613294": (ARTIFACT, "the piece of metal whose bit turns a lock"),
    "n02709367": (ARTIFACT, "an iron with two flukes that holds a ship"),
    "n04148054": (ARTIFACT, "two blades on a pivot that cut what is between them"),
    "n04507155": (ARTIFACT, "a canopy on ribs, folded up when it does not rain"),
    "n03291819": (ARTIFACT, "a flat wrapper with a flap, for a letter"),
    "n03944341": (ARTIFACT, "sails on a stick that the wind turns"),
    "n02948072": (ARTIFACT, "a stick of wax with a wick"),
    "n04380533": (ARTIFACT, "a lamp with a shade, to stand on a table"),
    "n03544360": (ARTIFACT, "walls and a roof for a family to live in"),
    "n04128499": (ARTIFACT, "a small boat that the wind moves"),
    "n04275548": (ARTIFACT, "threads round and across, as a spider spins them"),
    "n13001041": (FUNGUS, "a cap with gills on a stem"),
    "n02274259": (ANIMAL, "an insect with four broad wings and knobbed feelers"),
    "n07767847": (PLANT_PART, "a sweet fruit, narrow towards its stalk"),
    "n13104059": (PLANT, "a tall plant with a trunk of wood"),
    "n11842204": (PLANT, "a fleshy plant of the desert, spiny and without leaves"),
    "n01772222": (ANIMAL, "an animal of eight legs that spins"),
    "n01726692": (ANIMAL, "a long reptile without legs"),
    "n07758680": (PLANT_PART, "the small fruit of the vine, in clusters"),
    "n01855672": (ANIMAL, "a large water bird with a long neck"),
}


def write_devkit(path: Path, classes: int, train_per_class: int, truth: list[int]) -> None:
    """Write the devkit of a miniature; `truth`: the labels of the validation images, in order."""
    members = {
        "readme.txt": README.encode(),
        "data/meta.mat": write_table("synsets", synset_rows(classes, train_per_class)),
        f"data/{TRUTH}": "".join(f"{label + 1}\n" for label in truth).encode(),
    }
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(f"{KIT}/{name}")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    path.write_bytes(gzip.compress(file.getvalue(), mtime=0))


def synset_rows(classes: int, train_per_class: int) -> list[dict[str, str | Numbers]]:
    """Return the rows of `synsets`: the classes with ids 1 … `classes`, then their ancestors."""
    parents = {wnid: LEAVES[wnid][0] for wnid, _ in CLASSES[:classes]}
    inner = [wnid for wnid in INNER if wnid == ENTITY or wnid in parents.values()]
    parents |= {wnid: ENTITY for wnid in inner if wnid != ENTITY}
    ids = {wnid: n for n, wnid in enumerate([*(w for w, _ in CLASSES[:classes]), *inner], start=1)}
    rows = [
        _row(ids[wnid], wnid, words, LEAVES[wnid][1], np.zeros(0), 0, train_per_class)
        for wnid, words in CLASSES[:classes]
    ]
    for wnid in inner:
        children = [ids[child] for child, parent in parents.items() if parent == wnid]
        height = 2 if wnid == ENTITY else 1
        rows.append(_row(ids[wnid], wnid, *INNER[wnid], np.array(children, np.uint16), height, 0))
    return rows


def _row(
    number: int, wnid: str, words: str, gloss: str, children: Numbers, height: int, images: int
) -> dict[str, str | Numbers]:
    return {
        "ILSVRC2012_ID": np.array([number]),
        "WNID": wnid,
        "words": words,
        "gloss": gloss,
        "num_children": np.array([len(children)]),
        "children": children,
        "wordnet_height": np.array([height]),
        "num_train_images": np.array([images]),
    }
