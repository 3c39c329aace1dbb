#!/usr/bin/env python3
"""Starts COMMAND once per rank with the variables of torchrun: run_job.py PROCESSES COMMAND...

Ends all when one fails, and exits with the first status that is not 0.
"""
import os
import subprocess
import sys
import time


def start(size, rank, command):
    job = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "localhost",
           "MASTER_PORT": f"run_job.{os.getpid()}"}
    return subprocess.Popen(command, env={**os.environ, **{name: str(value) for name, value in job.items()}})


def main():
    size, command = int(sys.argv[1]), sys.argv[2:]
    processes = [start(size, rank, command) for rank in range(size)]
    while True:
        states = [process.poll() for process in processes]
        failed = [state for state in states if state not in (None, 0)]
        if failed or None not in states:
            break
        time.sleep(0.02)
    grace = time.monotonic() + 10  # the others say why, too
    while None in [p.poll() for p in processes] and time.monotonic() < grace:
        time.sleep(0.05)
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    sys.exit(failed[0] if failed and failed[0] > 0 else 1 if failed else 0)


if __name__ == "__main__":
    main()
