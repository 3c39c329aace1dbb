"""epskew: expert-parallel dispatch/combine under the load imbalance that real models produce.

    routing = epskew.routing(imbalance_factor=3.0, seed=7)      # what `epskew gen` makes, exact to the selection
    routing.topk_idx                                            # numpy [N, K]; routing.torch() for tensors
    oracle = epskew.Oracle(routing, hidden=7168)                # the right answer for any library's exchange

`python -m epskew.bench --adapter NAME` measures a library as `epskew bench` measures epskew's own exchange. Everything
here is the C++ library's work; docs/python.md has examples. help() shows signatures; `_core.pyi` beside this file, which
editors read, says of every name what it takes and gives.
"""

from ._core import (
    Backend,
    BenchPlan,
    Comparison,
    EnvironmentFailure,
    Exchange,
    Mismatch,
    Oracle,
    OracleReport,
    PlannedRound,
    RankInput,
    RankLost,
    RankRouting,
    Received,
    Recorder,
    Result,
    Routing,
    Trace,
    TraceLayer,
    UsageError,
    Visit,
    WrongResult,
    __version__,
    backends,
    bench_help,
    compare,
    dequantise_fp8,
    fit,
    join_exchange,
    load_trace,
    metrics,
    plan_bench,
    quantise_fp8,
    report_page,
    routing,
    run_bench,
    to_bfloat16,
    to_float32,
    write_file,
)

__all__ = [name for name in dir() if not name.startswith("_")] + ["__version__"]
