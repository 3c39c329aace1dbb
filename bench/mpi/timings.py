"""Times in a result file of `epskew bench`."""


def slowest(measured, phase):
    """Median over iterations of the slowest rank's time in microseconds, or the mean of too few for one."""
    summary = measured["timing"][phase]["slowest_rank"]
    return summary["mean"] if summary["p50"] is None else summary["p50"]
