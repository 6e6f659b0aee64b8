"""The pipeline as the report shows it follows dvc.yaml."""

from pathlib import Path

import pytest
import yaml

from alexnet.report import collect
from alexnet.report.collect import HASHED, read_stages
from alexnet.runtime.errors import InputError

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    for path in (path for paths in HASHED.values() for path in paths):
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).write_text(path)
    return tmp_path


def test_stages_are_the_archives_and_those_of_dvc_yaml(run: Path) -> None:
    archives, *stages = read_stages(run, [("train.tar", 94_607_360)])
    assert archives == ("archives", "as downloaded", (), [("train.tar", "94.6 MB")])
    assert [stage.name for stage in stages] == list(PIPELINE)
    assert [stage.description for stage in stages] == [s["desc"] for s in PIPELINE.values()]
    assert stages[-1].name == "report"


def test_each_stage_reads_the_stages_whose_outputs_it_depends_on(run: Path) -> None:
    assert {stage.name: stage.reads for stage in read_stages(run, [])} == {
        "archives": (),
        "index": ["archives"],
        "resize": ["archives", "index"],
        "moments": ["resize"],
        "train": ["index", "resize", "moments"],
        "evaluate": ["index", "resize", "train"],
        "retrieve": ["resize", "train"],
        "report": ["index", "resize", "moments", "train", "evaluate", "retrieve"],
    }


def test_hashes_are_of_the_stages_own_outputs(run: Path) -> None:
    for stage in read_stages(run, [])[1:]:
        outs = [Path(out) for out in PIPELINE[stage.name]["outs"]]
        for path, _ in stage.files:
            assert any(Path("data", path).is_relative_to(out) for out in outs)
    assert read_stages(run, [])[1].files[0] == ("index/train.npy", "707e02d600d7")


def test_of_many_archives_the_first_four_are_listed(run: Path) -> None:
    archives = read_stages(run, [(f"{n}.tar", 147_897_477_120) for n in range(1004)])[0]
    assert archives.description == "as downloaded; 1,000 more"
    assert archives.files == [(f"{n}.tar", "147.9 GB") for n in range(4)]


def test_settings_have_dotted_names() -> None:
    lrn = {"k": 2.0, "across_towers": False}
    nested = {"model": {"lrn": lrn, "padding": [0, 3]}, "plateau": {}}
    assert list(collect.flatten(nested)) == [
        ("model.lrn.k", "2.0"),
        ("model.lrn.across_towers", "false"),
        ("model.padding", "[0, 3]"),
        ("plateau", "{}"),
    ]


def test_a_missing_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train cannot be read: .*; fix: dvc repro") as error:
        collect.collect_report(tmp_path)
    assert "\n" not in str(error.value)
