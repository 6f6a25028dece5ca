"""Stage `report`: one summary of the grid, the comparison of both models, and a page for people."""

from stages.core import cli, params
from stages.core.compute import ComputeParams
from stages.core.grid import GridParams
from stages.evaluation.transfer import transfer_matrix
from stages.reporting import report_files
from stages.reporting.report_files import Context, ReportParams
from stages.reporting.sections import read_sections, recordings, require_checks


def main() -> None:
    """Write the summary, its details and the comparison to metrics/, the curves for plots, and metrics/report.html."""
    grid = params.read("grid", GridParams)
    settings = params.read("report", ReportParams)
    sections = read_sections(grid)
    if settings.require_checks:
        require_checks(sections)
    replays = transfer_matrix(grid, params.read("compute", ComputeParams), recordings(sections))
    context = Context(
        dataset=params.name("dataset.name"),
        method=params.name("harden.method"),
        eps=params.number("attack.eps"),
        eps_l2=params.number("attack.eps_l2"),
        eps_l1=params.number("attack.eps_l1"),
        snr=params.number("attack.snr"),
    )
    report_files.write(sections, replays, settings.model, context)


if __name__ == "__main__":
    cli.run(main)
