"""The compiled module: epskew's C++ library as Python sees it. Import from `epskew`, which re-exports all of this.

Arrays are numpy arrays; [N, K] states a shape. bf16 values travel as their bits in uint16, FP8 e4m3 values in uint8,
since numpy has neither. Views are read-only and keep their owner alive. Whatever the command line refuses is refused
here with the same message, which names the flag: the keyword `num_experts` is the flag `--num-experts`.
"""

from os import PathLike
from typing import Any, Callable, Literal, Mapping, Sequence, Union

import numpy as np
import numpy.typing as npt

Path = Union[str, PathLike[str]]
DispatchFormat = Literal["bf16", "fp8", "fp8_pow2", "fp8_ue8m0"]
CombineFormat = Literal["bf16", "logfmt10"]
Rounding = Literal["in_order", "any_order", "summed_on_the_way"]
Phase = Literal[
    "dispatch_send", "dispatch_recv", "combine_send", "combine_recv", "dispatch", "combine", "dispatch_combine"
]

__version__: str

class UsageError(ValueError):
    """The caller's mistake: "problem (why); remedy". Raised before any resource is touched. Exit code 2."""

class WrongResult(RuntimeError):
    """The oracle found a wrong result. Exit code 3."""

class RankLost(RuntimeError):
    """A rank died, or a wait ran out of time; the message says who waited for whom. Exit code 4."""

class EnvironmentFailure(RuntimeError):
    """The system refused something (a call, a device, a disk). Exit code 1."""

class RankRouting:
    """One rank's part of a routing: views into it."""

    @property
    def topk_idx(self) -> npt.NDArray[np.int64]:
        """[T, K]; -1 = masked."""

    @property
    def topk_weights(self) -> npt.NDArray[np.float32]:
        """[T, K]; 0 where masked."""

class Routing:
    """Who sends which token to which experts, for all ranks: tokens ordered by source rank, then by index within it.

    Rank r owns the experts [r * L, (r + 1) * L), L = num_experts / num_ranks. Immutable.
    """

    @staticmethod
    def from_arrays(
        topk_idx: npt.ArrayLike,
        topk_weights: npt.ArrayLike | None = None,
        *,
        num_experts: int,
        num_ranks: int | None = None,
        tokens_per_rank: Sequence[int] | None = None,
        distribution: str = "given",
        seed: int = 0,
    ) -> Routing:
        """A routing from anyone's generator: [R, T, K], or [N, K] with `num_ranks` (equal shares) or `tokens_per_rank`.

        Weights default to 1 / K, and count as 0 where an id is -1. UsageError for ids out of range or twice in a token.
        """

    @staticmethod
    def load(path: Path) -> Routing:
        """A routing file that `save` or `epskew gen` wrote; its digest is verified."""

    def save(self, path: Path) -> None:
        """Writes a routing file: safetensors with topk_idx [R, T, K] int64, topk_weights [R, T, K] float32."""

    @property
    def topk_idx(self) -> npt.NDArray[np.int64]:
        """[N, K]; -1 = masked."""

    @property
    def topk_weights(self) -> npt.NDArray[np.float32]:
        """[N, K]; 0 where masked."""

    def torch(self, rank: int | None = None) -> tuple[Any, Any]:
        """(topk_idx int64, topk_weights float32) as torch CPU tensors, without a copy; of one rank if given.

        torch has no read-only tensors: writing into one changes the views of this object, never the routing itself.
        """

    def rank(self, rank: int) -> RankRouting: ...
    @property
    def num_ranks(self) -> int: ...
    @property
    def num_experts(self) -> int: ...
    @property
    def experts_per_rank(self) -> int: ...
    @property
    def topk(self) -> int: ...
    @property
    def num_tokens(self) -> int:
        """N: the tokens of all ranks."""

    @property
    def max_tokens(self) -> int:
        """M: the largest number of tokens of a rank; it sizes the buffers of a library."""

    @property
    def tokens_per_rank(self) -> list[int]: ...
    @property
    def digest(self) -> str:
        """32 hexadecimal digits: equal digests, identical routing, on every machine."""

    @property
    def factor(self) -> float:
        """The realised imbalance factor: largest rank load / mean rank load, after masking."""

    @property
    def hot_rank(self) -> int: ...
    @property
    def label(self) -> str:
        """Of a replayed round "layer 3 window 1"; else the distribution."""

    @property
    def distribution(self) -> str: ...
    @property
    def parameters(self) -> dict[str, float]:
        """What the distribution was made with, e.g. the solved shape {"sigma": 0.81}."""

    @property
    def seed(self) -> int: ...
    @property
    def feasible_max(self) -> float:
        """The largest imbalance factor this shape can reach."""

    @property
    def uniform_floor(self) -> float:
        """Mean factor of uniform random routing of the same shape."""

    def metrics(self) -> dict[str, Any]:
        """Every metric of the loads, as "load" of a round in the result file: rank, expert, message, …"""

    def __eq__(self, other: object) -> bool: ...

def routing(
    *,
    model: str | None = None,
    num_processes: int | None = None,
    num_tokens: int | None = None,
    num_tokens_per_rank: Sequence[int] | None = None,
    num_topk: int | None = None,
    num_experts: int | None = None,
    num_groups: int | None = None,
    num_topk_groups: int | None = None,
    distribution: str | None = None,
    imbalance_factor: float | None = None,
    law: Path | None = None,
    law_level: Literal["rank", "expert"] | None = None,
    placement: str | None = None,
    sampling: Literal["exact", "multinomial"] = "exact",
    num_masked: int | None = None,
    hot_rank: int | None = None,
    pattern: Literal[
        "none", "hot-rank", "k-hot", "rotating", "burst", "matrix", "skew-in-nodes", "skew-across-nodes"
    ] = "none",
    hot_experts: int | None = None,
    hot_fraction: float | None = None,
    step: int | None = None,
    burst_period: int | None = None,
    matrix: Path | None = None,
    seed: int = 0,
    imbalance_level: Literal["rank", "node"] = "rank",
    ranks_per_node: int | None = None,
) -> Routing:
    """The routing that `epskew gen` makes from the flags of these names, digest included.

    Unset: 8 ranks of 128 tokens, top-8 of 288 experts, lognormal, 10 entries a rank masked. Without `imbalance_factor`
    (and law or pattern) experts are drawn uniformly.
    """

def metrics(
    topk_idx: npt.ArrayLike,
    num_experts: int,
    *,
    num_ranks: int | None = None,
    tokens_per_rank: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Routing.metrics of ids of shape [R, T, K], or [N, K] with `num_ranks` or `tokens_per_rank`."""

class TraceLayer:
    """One MoE layer of a recording."""

    @property
    def layer(self) -> int: ...
    @property
    def topk_idx(self) -> npt.NDArray[np.int32] | None:
        """[T, K]; None for a recording of counts."""

    @property
    def topk_weights(self) -> npt.NDArray[np.float32] | None:
        """[T, K]; None where not recorded."""

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """[E] selections of each expert."""

class Trace:
    """Recorded routing, whatever file it came from."""

    @staticmethod
    def from_counts(counts: npt.ArrayLike, *, num_topk: int | None = None) -> Trace:
        """From expert loads: [E] for one layer, [layers, E] for several."""

    @property
    def format(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def num_experts(self) -> int: ...
    @property
    def topk(self) -> int:
        """0 where the recording has counts only."""

    @property
    def layers(self) -> list[TraceLayer]: ...
    @property
    def notes(self) -> list[str]:
        """What a user should know: layers left out, rows that look like warm-up."""

    def replay(
        self,
        *,
        num_processes: int | None = None,
        num_tokens: int | None = None,
        num_tokens_per_rank: Sequence[int] | None = None,
        num_topk: int | None = None,
        windows: int | Literal["all"] | None = None,
        deal: Literal["contiguous", "round-robin"] = "contiguous",
        placement: str | None = None,
        seed: int = 0,
    ) -> list[Routing]:
        """One routing a layer and window, as `epskew bench --trace` replays them."""

def load_trace(
    path: Path,
    *,
    model: str | None = None,
    num_experts: int | None = None,
    num_topk: int | None = None,
    layers: Sequence[int] | Literal["all"] = "all",
    npy: Literal["counts", "ids"] | None = None,
    drop_constant: bool = False,
    max_file_bytes: int | None = None,
) -> Trace:
    """Reads a recording, a file or a folder; the format is recognised by its content."""

def fit(
    source: Trace | npt.ArrayLike,
    *,
    levels: Sequence[Literal["expert", "rank"]] = ("expert", "rank"),
    num_processes: Sequence[int] = (),
    windows: Sequence[int] = (128,),
    placement: Path | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """Which distribution a recording follows: the document of `epskew fit --json` (schema/fit.schema.json).

    `source` may be expert counts instead, as of Trace.from_counts; loads of windows need tokens, and are left out then.
    """

class PlannedRound:
    """One routing to be measured."""

    @property
    def label(self) -> str:
        """ "uniform", "1.0", "3.0", "layer 7 window 0", …"""

    @property
    def target_factor(self) -> float | None:
        """None for uniform and replayed rounds. routing.factor is what came out."""

    @property
    def routing(self) -> Routing: ...

class Visit:
    """A turn of one round: rounds take turns (`--passes`), so that drift of the machine hits all of them alike."""

    @property
    def round(self) -> int:
        """Index into BenchPlan.rounds."""

    @property
    def turn(self) -> int:
        """Of `passes`, from 0."""

    @property
    def iterations(self) -> int:
        """Timed iterations of each timing mode, in this visit. Before them come `warmup` untimed ones."""

    @property
    def first(self) -> bool: ...
    @property
    def last(self) -> bool: ...

class BenchPlan:
    """What a command line of `epskew bench` asks for, checked."""

    @property
    def argv(self) -> list[str]: ...
    @property
    def rounds(self) -> list[PlannedRound]: ...
    @property
    def visits(self) -> list[Visit]:
        """In the order in which they are to be made."""

    @property
    def num_ranks(self) -> int: ...
    @property
    def num_experts(self) -> int: ...
    @property
    def topk(self) -> int: ...
    @property
    def hidden(self) -> int: ...
    @property
    def max_tokens(self) -> int:
        """M over all rounds."""

    @property
    def dispatch_format(self) -> DispatchFormat: ...
    @property
    def combine_format(self) -> CombineFormat: ...
    @property
    def variants(self) -> dict[str, str]:
        """Of `--variant name=value`; what they mean is the library's business, as is refusing unknown ones."""

    @property
    def micro_batches(self) -> int: ...
    @property
    def backend(self) -> str | None:
        """Of `--backend`; None where not given."""

    @property
    def iterations(self) -> int: ...
    @property
    def warmup(self) -> int: ...
    @property
    def passes(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def flush_cache(self) -> bool: ...
    @property
    def distribution(self) -> str: ...
    @property
    def imbalance_factors(self) -> list[float]: ...
    @property
    def trace(self) -> str | None: ...
    @property
    def notes(self) -> list[str]:
        """For the user: default factors left out, layers left out, …"""

    @property
    def json(self) -> str | None:
        """Where the result file goes; "-" = standard output; checked to be writable. None: not asked for."""

    @property
    def csv(self) -> str | None: ...
    @property
    def html(self) -> str | None: ...

def plan_bench(argv: Sequence[str], *, command: Sequence[str] = ("epskew", "bench")) -> BenchPlan:
    """Parses and checks the flags of `epskew bench` (without the program's name) and makes the routing of every round.

    `command` is what the record's argv begins with. UsageError for an unknown flag, a bad value, an unreachable factor,
    an output file that cannot be written. `--help` is unknown here, see bench_help.
    """

def bench_help() -> str:
    """The help text of the flags that plan_bench takes."""

class Mismatch:
    """The first difference found, in (phase, rank, token, column) order. str() names all of it."""

    @property
    def phase(self) -> Literal["dispatch", "combine"]: ...
    @property
    def rank(self) -> int:
        """Where the wrong data is."""

    @property
    def source_rank(self) -> int: ...
    @property
    def token(self) -> int:
        """-1 where no token is to blame (a count, a size)."""

    @property
    def expert(self) -> int:
        """-1 for combine."""

    @property
    def column(self) -> int:
        """-1 where a count or index is wrong."""

    @property
    def detail(self) -> str:
        """Expected and found."""

class OracleReport:
    """What a check found. True where all is right."""

    @property
    def ok(self) -> bool: ...
    @property
    def checked(self) -> int:
        """Rows (dispatch) or tokens (combine) that had to be right."""

    @property
    def wrong(self) -> int:
        """Of these, how many are not; where counts or ranges are wrong already, rows cannot be told and all count."""

    @property
    def mismatches(self) -> list[Mismatch]:
        """The first differences, at most 8, one a row or token."""

    @property
    def message(self) -> str:
        """ "passed", or the first mismatch in words."""

    def require(self, when: str) -> None:
        """Raises WrongResult "<when>: <first mismatch>" unless ok; `when`: "round 3.0, before the timing"."""

    def __bool__(self) -> bool: ...

class Received:
    """What one rank received in a dispatch, in a library's own arrays; borrowed, not copied.

    slots:  rows [L, S, H], as DeepEP's low-latency mode delivers them: expert e's rows are the first counts[e] of S.
    packed: rows [n, H], expert e's rows after those of the experts before it.
    rank-major: rows [m, H] hold each token once, and `storage_row` [n] says where row i of the packed order lies.

    Leading axes of `scales` are those of `rows`; those of `source_token` too, but [n] for rank-major.
    """

    def __init__(
        self,
        rows: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
        counts: npt.ArrayLike,
        source_begin: npt.ArrayLike,
        source_count: npt.ArrayLike,
        source_token: npt.ArrayLike,
        *,
        scales: npt.NDArray[np.float32] | npt.NDArray[np.uint8] | None = None,
        storage_row: npt.ArrayLike | None = None,
    ) -> None:
        """rows: C-contiguous, uint16 (bf16 bits) or uint8 (e4m3 codes).
        counts: [L] rows of each local expert.
        source_begin, source_count: [L, R], for each source rank its rows: those from `begin` on, counted from the
            expert's first row. (DeepEP's layout_range is begin << 32 | count.)
        source_token: for each row the token's index on its source rank.
        scales: float32, or uint8 exponent bytes for fp8_ue8m0, one per 128 columns; None for bf16.
        """

class RankInput:
    """What one rank sends: views into the oracle."""

    @property
    def x(self) -> npt.NDArray[np.uint16]:
        """[T, H] bf16 bits."""

    @property
    def topk_idx(self) -> npt.NDArray[np.int64]:
        """[T, K]; -1 = masked."""

    @property
    def topk_weights(self) -> npt.NDArray[np.float32]:
        """[T, K], for combine. Not those of the routing: they undo what the experts do, so that a swap shows."""

class Oracle:
    """The right answer, from the routing alone and independent of every library's code.

    data="exact": values that survive every format unchanged, compared bit for bit. data="random": near normal with
    deviation 0.1, compared within the formats' rounding. A round is right when both are.
    """

    def __init__(
        self,
        routing: Routing,
        hidden: int,
        *,
        dispatch: DispatchFormat = "fp8",
        combine: CombineFormat = "bf16",
        data: Literal["exact", "random"] = "exact",
        seed: int = 0,
        rounding: Rounding = "any_order",
    ) -> None:
        """`rounding`: how the library's combine may round on random data (docs/protocol.md, "What the oracle accepts").

        in_order: binary32 in top-k order, rounded once, to the last bit. any_order: binary32, rounded once.
        summed_on_the_way: sums of a rank are rounded to bf16 on the way.
        """

    def input(self, rank: int) -> RankInput: ...
    def renew(self) -> None:
        """The same routing with other data in every token. Arrays of an earlier input() are void: ask anew."""

    def use_blind_experts(self, blind: bool = True) -> None:
        """From now on expert_output ignores the rows: each is one token that nobody sends, times the expert's factor.

        For a dispatch and combine in one call, whose results must be there before the rows, in whatever order these come.
        check_combine then expects that; it sees which contributions arrive, how often and with which weight.
        """

    def check_dispatch(self, rank: int, received: Received) -> OracleReport:
        """Everything a dispatch delivers: counts, ranges, source tokens, payload and scales."""

    def expert_factors(self, rank: int) -> npt.NDArray[np.float32]:
        """[L]: expert e's result is its rows, dequantised, times factor[e], plus or minus a power of two, rounded to bf16."""

    def expert_output(
        self, rank: int, received: Received, out: npt.NDArray[np.uint16] | None = None
    ) -> npt.NDArray[np.uint16]:
        """What the experts of `rank` make of a dispatch: bf16 bits, to be given to the library's combine.

        Shaped as `rows` ([n, H] in packed order for rank-major); slots beyond an expert's count stay as they are in
        `out`, and are 0 without it. Precondition: check_dispatch passed.
        """

    def check_combine(self, rank: int, out: npt.NDArray[np.uint16]) -> OracleReport:
        """[T, H] bf16 bits: the combined tokens of `rank`."""

class Result:
    """A finished run. What `epskew bench --json` writes, and everything that is rendered from it."""

    @staticmethod
    def load(path: Path) -> Result: ...
    @staticmethod
    def from_json(text: str) -> Result: ...
    def json(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """json() parsed; schema/result.schema.json."""

    def csv(self) -> str: ...
    def describe_run(self) -> str:
        """What was run, a few lines."""

    def tables(self) -> str:
        """The tables of `epskew bench`."""

    def html(self, name: str | None = None) -> str:
        """One self-contained page with plots."""

    def save(self, path: Path) -> None:
        """Writes json(), whole or not at all."""

class Recorder:
    """Turns measured matrices into a Result with the reductions of `epskew bench`."""

    def __init__(
        self,
        plan: BenchPlan,
        *,
        backend: str,
        facts: Sequence[str] = (),
        clock: str = "steady_clock",
        clock_resolution_ns: float | None = None,
        libraries: Mapping[str, str] | None = None,
        gpu: Sequence[str] | None = None,
        driver: str | None = None,
        variants: Mapping[str, str] | None = None,
        num_devices: int = 0,
    ) -> None:
        """backend: the adapter's name, as tables and `compare` show it.
        facts: "library: version" lines about it. libraries: more versions for the record.
        gpu, driver: what ran; unset: what this process sees.
        variants: unset: those of the plan.
        num_devices: GPUs that the ranks ran on; fewer than ranks is said to be an emulation. 0: they ran on none.
        """

    def add_visit(
        self,
        round: int,
        samples_us: Mapping[Phase, npt.ArrayLike],
        *,
        misalignment_us: npt.ArrayLike | None = None,
        kernel_us: Mapping[Phase, npt.ArrayLike] | None = None,
        memory_bytes: Sequence[int] | None = None,
        flush_bytes: int = 0,
        before: str | None = None,
        after: str | None = None,
    ) -> None:
        """One visit of plan.rounds[round], visits in the order of plan.visits.

        samples_us: phase → [iterations, ranks] microseconds; a phase that was not measured is left out.
        misalignment_us: [iterations of all timing modes, ranks], a rank's start minus the first rank's.
        kernel_us: as samples_us, the durations of the library's kernels alone.
        memory_bytes: [ranks] exchange memory of each. flush_bytes: written by all ranks before each iteration.
        before, after: the oracle's verdicts, "passed" or what was wrong; None where nobody checked. Of a round's visits the
        worst stands in the record: a wrong result, else one that was not checked.
        UsageError for a matrix of another width or length than the visit's, or one with a value that is not finite.
        """

    def describe_round(self, round: int) -> str:
        """One line about a round whose last visit was added."""

    def finish(self) -> Result:
        """UsageError unless every visit of the plan was added."""

def run_bench(plan: BenchPlan, *, backend: str | None = None, on_round: Callable[[str], None] | None = None) -> Result | None:
    """Runs a plan on epskew's own exchange: "cpu", "reference", "cuda", "mpi", as `epskew bench` does.

    Backend: this one, else the plan's, else the first that can run here. on_round: called with a line about each
    finished round. None in the processes of an MPI job that do not hold the result. Raises UsageError, WrongResult,
    RankLost and EnvironmentFailure.
    """

class Backend:
    """One of epskew's own exchanges, compiled in or not."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def unusable(self) -> str | None:
        """None where it can run here; else why not and how to get it."""

    @property
    def facts(self) -> list[str]: ...

def backends() -> list[Backend]: ...
class Exchange:
    """One rank of epskew's own exchange, in a world whose processes somebody else started. See join_exchange.

    An operation is dispatch, received, (results into expert_output, commit_expert_output,) combine, combined; on all
    ranks alike. Each call returns when it is done, and raises RankLost where a rank does not come.
    """

    @property
    def rank(self) -> int: ...
    @property
    def memory_bytes(self) -> int:
        """Reserved by this rank for the exchange."""

    @property
    def combine_rounding(self) -> Rounding:
        """How its combine rounds, for Oracle."""

    def set_input(self, x: npt.NDArray[np.uint16], topk_idx: npt.ArrayLike, topk_weights: npt.NDArray[np.float32]) -> None:
        """The batch of all operations from now on, copied: x [T, H] bf16 bits, topk_idx and topk_weights [T, K]."""

    def dispatch(self) -> None: ...
    def combine(self) -> None: ...
    def dispatch_send(self) -> None: ...
    def dispatch_recv(self) -> None: ...
    def combine_send(self) -> None: ...
    def combine_recv(self) -> None: ...
    def received(self) -> Received:
        """The latest dispatch, not copied: it changes with the next one."""

    def expert_output(self) -> npt.NDArray[np.uint16]:
        """[n, H] bf16 bits, writable: where the experts' results go, in the packed order of the rows received."""

    def commit_expert_output(self) -> None:
        """Makes what was written there visible to combine."""

    def combined(self) -> npt.NDArray[np.uint16]:
        """[T, H] bf16 bits of the latest combine, not copied."""

def join_exchange(
    backend: str,
    *,
    rank: int,
    num_ranks: int,
    meeting_place: Path,
    num_experts: int,
    topk: int,
    hidden: int,
    max_tokens: int,
    dispatch: DispatchFormat = "fp8",
    combine: CombineFormat = "bf16",
    variants: Mapping[str, str] = {},
    timeout_s: float = 30.0,
) -> Exchange:
    """This process's rank in a world of `num_ranks` processes; collective.

    meeting_place: a folder that all of them see, empty before the first joins; it may go once all have.
    UsageError for a backend that starts its ranks itself; RankLost where a rank does not come within timeout_s.
    """

def report_page(results: Sequence[tuple[str, Result]]) -> str:
    """One page with plots from named results, drawn over one another: `epskew report`."""

def write_file(flag: str, path: Path, text: str) -> None:
    """Writes a file as the program does: whole or not at all, what lies behind a link, a device or a pipe in place.

    UsageError, which names `flag`, where the path is no place for a file; EnvironmentFailure where the disk refuses.
    """

class Comparison:
    """Two results held against each other: `epskew compare`."""

    def table(self) -> str: ...
    def json(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """schema/compare.schema.json."""

def compare(
    a: tuple[str, Result],
    b: tuple[str, Result],
    *,
    phases: Sequence[Phase] = ("dispatch_combine", "dispatch", "combine"),
    allow_different_routing: bool = False,
    fail_above: float | None = None,
) -> Comparison: ...
def quantise_fp8(
    x: npt.NDArray[np.uint16], *, power_of_two: bool = False
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """[n, H] bf16 bits → e4m3 codes [n, H] and scales [n, H / 128], by the definition that every backend follows."""

def dequantise_fp8(
    codes: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32] | npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint16]:
    """[n, H] codes and [n, H / 128] scales (float32, or exponent bytes) → bf16 bits [n, H], rounded once."""

def to_bfloat16(x: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Rounded to nearest, ties to even; any shape."""

def to_float32(x: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Exact; any shape."""
