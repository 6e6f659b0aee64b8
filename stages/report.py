"""The outputs of all stages → data/report: one HTML page, and its figures as PNG files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.report.collect import collect_report
from alexnet.report.page import write_report
from alexnet.runtime.files import replace_folder


@stage
def main(config: Config) -> None:
    report = collect_report(Path())
    with replace_folder(Path(config.into, "report")) as folder:
        write_report(folder, report)
    print(f"report: open {Path(config.into, 'report/index.html')} in a browser")


if __name__ == "__main__":
    main()
