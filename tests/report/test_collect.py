"""What the page says of the pipeline, against dvc.yaml."""

from pathlib import Path

import yaml

from alexnet.report.collect import STAGES, _settings, _size

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_the_lines_of_the_dag_are_the_dependencies_of_dvc_yaml() -> None:
    made = {out: stage for stage, told in PIPELINE.items() for out in told["outs"]}
    drawn = {name: set(reads) - {"archives"} for name, _, reads, _ in STAGES}
    for stage, told in PIPELINE.items():
        read = {
            maker
            for dep in told["deps"]
            for out, maker in made.items()
            if Path(dep).is_relative_to(out) or Path(out).is_relative_to(dep)
        }
        assert drawn.get(stage, set(drawn)) == read, stage
    assert [*drawn, "report"] == list(PIPELINE)


def test_every_file_with_a_hash_is_an_output_of_its_stage() -> None:
    for name, _, _, files in STAGES:
        outs = [Path(out) for out in PIPELINE[name]["outs"]]
        assert all(any(Path("data", file).is_relative_to(out) for out in outs) for file in files)


def test_settings_are_told_under_dotted_names() -> None:
    lrn = {"k": 2.0, "across_towers": False}
    nested = {"model": {"lrn": lrn, "padding": [0, 3]}, "plateau": {}}
    assert list(_settings(nested)) == [
        ("model.lrn.k", "2.0"),
        ("model.lrn.across_towers", "false"),
        ("model.padding", "[0, 3]"),
        ("plateau", "{}"),
    ]


def test_sizes_are_told_in_the_unit_that_fits() -> None:
    assert [_size(n) for n in (94_607_360, 147_897_477_120)] == ["94.6 MB", "147.9 GB"]
