"""check_wheel.py PYTHON WHEEL: does this wheel stand on its own? Says what it holds and needs; exit code 1 if it is not fit.

PYTHON makes a clean environment, which gets the wheel and what that asks for. There the package makes routing, checks a toy
exchange, runs a small job on the CPU, and, where the same Python has torch, measures torch through its adapter.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
#: What every Linux with this C library has; all else must lie in the wheel.
SYSTEM = re.compile(r"lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so\.\d+|ld-linux-x86-64\.so\.2|ld-linux-aarch64\.so\.1")
JOB = ["--num-processes", "2", "--num-tokens", "16", "--hidden", "256", "--num-experts", "16", "--num-topk", "2", "--iterations",
       "4", "--imbalance-factors", "1", "--dispatch-format", "bf16"]
PROGRAM = f"""
import epskew, sys
assert 'torch' not in sys.modules
routing = epskew.routing(model='deepseek-v3', imbalance_factor=2.5)
assert round(routing.factor, 3) == 2.5, routing.factor
for backend in epskew.backends():
    print(backend.name, backend.unusable or 'usable')
print(epskew.run_bench(epskew.plan_bench({JOB!r}), backend='cpu').tables())
"""


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, text=True, stdin=subprocess.DEVNULL, **more)


def needed_libraries(wheel, folder):
    """Of every shared object in the wheel, what it asks the system for."""
    zipfile.ZipFile(wheel).extractall(folder)
    objects = [path for path in folder.rglob("*") if ".so" in path.name]
    inside = {path.name for path in objects}
    needed = set()
    for path in objects:
        listed = run("readelf", "-d", path, capture_output=True).stdout
        needed.update(re.findall(r"\(NEEDED\).*\[(.*)\]", listed))
    return sorted(inside), sorted(needed - inside)


def check_environment(python, wheel, folder, *options):
    run(python, "-m", "venv", *options, folder)
    inside = folder / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--find-links", ROOT / "build/python/wheels",
        wheel)
    run(inside, "-c", PROGRAM, cwd=folder)
    run(inside, ROOT / "examples" / "check_my_library.py", cwd=folder)
    return inside


def main(python, wheel):
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        inside, needed = needed_libraries(wheel, temporary / "content")
        print(f"{pathlib.Path(wheel).name}\n  holds {', '.join(inside)}\n  needs {', '.join(needed)}", flush=True)
        foreign = [name for name in needed if not SYSTEM.fullmatch(name)]
        if foreign:
            sys.exit(f"it needs what another machine may lack: {', '.join(foreign)}")
        check_environment(python, wheel, temporary / "clean")
        if subprocess.run([python, "-c", "import torch"], check=False, capture_output=True).returncode == 0:
            with_torch = check_environment(python, wheel, temporary / "torch", "--system-site-packages")
            run(with_torch, "-m", "epskew.bench", "--adapter", "torch", "--device", "cpu", *JOB, cwd=temporary)
        else:
            print("no torch here: adapters were not run")
    print("fit for use")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve())
