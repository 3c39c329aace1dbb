#!/usr/bin/env python3
"""Converts SGLang's expert distribution dumps (.pt) to .npy files that epskew reads.

    python3 tools/convert_pt.py DUMP.pt... -o OUT.npy

Recorder mode `stat` (one file): a dict with logical_count, int [steps, layers, experts], already summed over ranks.
Written as it is; read it with `epskew inspect OUT.npy --npy counts`. Steps that the recorder's ring buffer left zero
and dense layers are zero rows, which epskew leaves out and says so.

Recorder mode `per_token` (one file a rank, name them all): a dict with records, a list of forward passes with
topk_ids_of_layer, int [layers, tokens, K] (-1 padded), and last_physical_to_logical_map, int [layers, physical experts].
The ids are physical; they are mapped to logical ones, columns that are -1 throughout are cut, and passes and ranks are
joined to int64 [tokens, layers, K]. Layers without any selection (dense ones) stay -1. Read it with --npy ids.

torch is imported only to load the file, with weights_only=True: a dump cannot run code.
"""

import argparse
import os
import struct
import sys
import tempfile


class Refused(Exception):
    """The user's mistake, as one line."""


def npy_bytes(shape, values):
    """A .npy file, format version 1, of int64 in C order; `values` is flat."""
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<%dq" % len(values), *values)


def shape_of(nested):
    shape = []
    while isinstance(nested, list):
        shape.append(len(nested))
        nested = nested[0] if nested else None
    return shape


def flatten(nested):
    if not isinstance(nested, list):
        return [nested]
    return [value for inner in nested for value in flatten(inner)]


def convert_stat(dump, source):
    counts = dump["logical_count"]
    shape = shape_of(counts)
    if len(shape) != 3 or 0 in shape:
        raise Refused(f"{source}: logical_count has shape {shape} ([steps, layers, experts] was expected); record again")
    return shape, flatten(counts)


def logical_ids(record, to_logical, source):
    """[tokens][layers][K] of one forward pass, in logical ids."""
    by_layer = record["topk_ids_of_layer"]
    shape = shape_of(by_layer)
    if len(shape) != 3 or shape[0] != len(to_logical):
        raise Refused(f"{source}: topk_ids_of_layer has shape {shape} ([{len(to_logical)} layers, tokens, K] was expected); record again")
    tokens = []
    for token in range(shape[1]):
        rows = []
        for layer, mapping in enumerate(to_logical):
            row = by_layer[layer][token]
            wrong = [id for id in row if not -1 <= id < len(mapping)]
            if wrong:
                raise Refused(f"{source}: layer {layer} names physical expert {wrong[0]} (of {len(mapping)}); record again")
            rows.append([-1 if id < 0 else mapping[id] for id in row])
        tokens.append(rows)
    return tokens


def convert_per_token(dumps, sources):
    tokens = []
    for dump, source in zip(dumps, sources):
        for record in dump["records"]:
            tokens += logical_ids(record, dump["last_physical_to_logical_map"], source)
    if not tokens:
        raise Refused(f"{sources[0]}: no tokens in any record (nothing to convert); record again")
    widths = {len(row) for rows in tokens for row in rows}
    layers = {len(rows) for rows in tokens}
    if len(widths) != 1 or len(layers) != 1:
        raise Refused(f"{sources[0]}: files differ in layers or top-k (they are one recording); name the files of one run")
    used = [k for k in range(widths.pop()) if any(row[k] >= 0 for rows in tokens for row in rows)]
    if not used:
        raise Refused(f"{sources[0]}: every id is -1 (no selections); record again")
    cut = [[[row[k] for k in used] for row in rows] for rows in tokens]
    return shape_of(cut), flatten(cut)


def convert(dumps, sources):
    """Shape and flat int64 values of the array that stands for these dumps, plain lists in place of tensors."""
    for dump, source in zip(dumps, sources):
        if not isinstance(dump, dict) or not ({"logical_count"} <= dump.keys() or {"records", "last_physical_to_logical_map"} <= dump.keys()):
            raise Refused(f"{source} is no SGLang dump (logical_count, or records and last_physical_to_logical_map, were expected); check the file")
    if "logical_count" in dumps[0]:
        if len(dumps) > 1:
            raise Refused("stat dumps are already summed over ranks (several were named); convert one at a time")
        return convert_stat(dumps[0], sources[0])
    return convert_per_token(dumps, sources)


def plain(value):
    """Tensors to nested lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def load(path):
    try:
        import torch
    except ImportError:
        raise Refused("torch is not installed (it reads .pt files); pip install torch, here or where the dump was made")
    try:
        return plain(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many kinds, some of several lines
        raise Refused(f"cannot read {path} ({str(error).splitlines()[0] if str(error) else type(error).__name__}); check the file")


def write_whole(path, data):
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=folder)
    except OSError as error:
        raise Refused(f"cannot write {path} ({error.strerror}); choose another place")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise Refused(f"cannot write {path} ({error.strerror}); choose another place")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dumps", nargs="+", metavar="DUMP.pt")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.npy")
    arguments = parser.parse_args()
    try:
        shape, values = convert([load(path) for path in arguments.dumps], arguments.dumps)
        write_whole(arguments.output, npy_bytes(shape, values))
    except Refused as refused:
        print(f"convert_pt: {refused}", file=sys.stderr)
        return 2
    print(f"{arguments.output}: int64 {shape}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
