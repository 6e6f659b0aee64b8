"""The files of conf/, with what a preset inherits from paper.yaml."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[2] / "conf"


def preset(group: str, name: str) -> dict[str, Any]:
    """Return the values of conf/<group>/<name>.yaml, composed as Hydra does."""
    own = OmegaConf.load(CONF / group / f"{name}.yaml")
    bases = own.pop("defaults", ["_self_"])
    layers = [
        own if base == "_self_" else OmegaConf.load(CONF / group / f"{base}.yaml") for base in bases
    ]
    values: Any = OmegaConf.to_container(OmegaConf.merge(*layers))
    return dict(values)
