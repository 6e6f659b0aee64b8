"""Everything before it → data/report: one page that shows it all, and its figures as PNG files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.report.collect import gathered
from alexnet.report.page import write_report
from alexnet.runtime.files import replace_folder

FOLDER = Path("data/report")


@stage
def main(config: Config) -> None:
    report = gathered(Path())
    with replace_folder(FOLDER) as folder:
        write_report(folder, report)
    print(f"report: {FOLDER / 'index.html'}: open it in a browser")


if __name__ == "__main__":
    main()
