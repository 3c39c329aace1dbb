"""Takes what a machine measured out of the outputs of bench, so that the rest can be compared byte for byte."""
import csv
import io
import json
import re

BLANK = "(measured)"
# Members of the result file that depend on the machine, the build or the clock, by path.
MACHINE = ["tool.version", "argv", "created", "host", "cpu", "gpu", "driver", "libraries", "build", "config.backend_facts",
           "config.clock", "config.flush_bytes"]
ROUND = ["timing", "cost_of_imbalance", "memory", "misalignment"]


def blank_path(instance, path):
    *parents, last = path.split(".")
    for key in parents:
        instance = instance[key]
    instance[last] = BLANK


def blank_json(text):
    record = json.loads(text)
    for path in MACHINE:
        blank_path(record, path)
    for each in record["rounds"]:
        for name in ROUND:
            # Which phases were timed, and what has a cost, is no measurement.
            present = each[name]
            each[name] = present and {key: value and BLANK for key, value in present.items()}
        for rates in ("send_logical", "hot_receive", "wire"):
            for rate in each["bandwidth"][rates].values():
                rate["gb_per_s"] = rate["gb_per_s"] and BLANK
    return json.dumps(record, indent=1) + "\n"


def blank_csv(text):
    rows = list(csv.reader(io.StringIO(text)))
    measured = [i for i, name in enumerate(rows[0]) if re.search(r"_us$|gb_per_s$|^cost_", name)]
    for row in rows[1:]:
        for i in measured:
            # A half so short that the clock saw no time pass has no cost.
            row[i] = BLANK if row[i] or rows[0][i].startswith("cost_") else ""
    return "".join(",".join(row) + "\n" for row in rows)


def blank_figures(line):
    """Every number behind the row's label becomes #, a bar too; columns shrink to one blank."""
    end = line.index(")") + 1 if ")" in line else 1
    label, figures = line[:end], line[end:]
    figures = re.sub(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", "#", figures)
    figures = re.sub(r" -$", " # [#, #]", figures)  # a half so short that the clock saw no time pass has no cost
    return label + re.sub(r"  #+$", "", figures)


def blank_text(text):
    """The tables of times keep their heads and labels; the table of loads stays as it is."""
    lines = []
    measured = False
    for line in text.splitlines():
        if re.search(r"\(us\)$|^What imbalance costs", line):
            measured = True
        elif line.startswith("Per-rank token distribution") or line.startswith("Not measured"):
            measured = False
        if re.match(r"epskew \d", line):
            line = re.sub(r"\d+\.\d+\.\d+", BLANK, line, count=1)
        line = re.sub(r"p50 [\d.]+ us", "p50 # us", line)
        lines.append(blank_figures(line) if measured and re.match(r"\s*(\d|uniform)", line) and "us," not in line else line)
    # Heads of columns are as wide as the figures below them.
    return re.sub(r" +", " ", "\n".join(lines)) + "\n"
