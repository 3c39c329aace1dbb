"""My own timings as an epskew result: tables, a result file and a page. record_my_library.py OUT.json OUT.html"""

import sys
import time

import numpy as np

import epskew

if len(sys.argv) != 3:
    sys.exit("record_my_library.py OUT.json OUT.html")

plan = epskew.plan_bench([
    "--num-processes", "4", "--num-tokens", "64", "--num-experts", "32", "--num-topk", "4", "--hidden", "1024",
    "--dispatch-format", "bf16", "--imbalance-factors", "1,2,3", "--iterations", "40", "--passes", "2", "--json", sys.argv[1],
])
recorder = epskew.Recorder(plan, backend="numpy-gather", facts=[f"numpy: {np.__version__}"], clock="perf_counter")
x = np.zeros((plan.num_ranks * plan.max_tokens, plan.hidden), np.uint16)


def my_dispatch(wanted):
    """Microseconds of gathering the tokens for one rank's experts. Put your library here."""
    begin = time.perf_counter_ns()
    x[wanted].sum()
    return (time.perf_counter_ns() - begin) / 1e3


for visit in plan.visits:  # rounds take turns, so that drift of the machine hits all alike
    routing = plan.rounds[visit.round].routing
    owner = np.where(routing.topk_idx < 0, -1, routing.topk_idx // routing.experts_per_rank)
    wanted = [np.nonzero(owner == rank)[0] for rank in range(plan.num_ranks)]
    samples = [[my_dispatch(rows) for rows in wanted] for _ in range(plan.warmup + visit.iterations)]
    recorder.add_visit(visit.round, {"dispatch": samples[plan.warmup :]})  # [iterations, ranks]

result = recorder.finish()
result.save(plan.json)
with open(sys.argv[2], "w", encoding="utf-8") as page:
    page.write(epskew.report_page([("numpy", result)]))
print(result.tables())
