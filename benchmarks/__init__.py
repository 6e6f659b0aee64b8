"""`make bench`: our speed compared with the libraries a user would use otherwise."""

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):  # one core for all
    os.environ.setdefault(name, "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no network access
os.environ.setdefault("TQDM_DISABLE", "1")
sys.path.insert(0, str(CHECKOUT / "src"))
