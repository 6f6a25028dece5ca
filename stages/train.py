"""Stage `train`: the baseline model of a cell."""

from stages import baselines, checkpoints, console, processes, trials


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the baseline's weights and its training curve."""
    trial = trials.begin(representation, architecture, fold)
    with baselines.trained(trial, trial.cell.stage("train"), trial.cell.curve("baseline")) as (model, facts):
        if processes.is_first():
            checkpoints.write(trial.cell.model("baseline"), model, trial.card, facts)


if __name__ == "__main__":
    console.run(main)
