"""The sources built for another MPI than the test suite's own, in a folder that later runs build on."""

import subprocess


def build(source, folder, name, target, *options):
    """Builds `target` with -DEPSKEW_MPI=name in `folder`; raises with what was said."""
    configure = ["cmake", "-S", source, "-B", folder, "-G", "Ninja", f"-DEPSKEW_MPI={name}", "-DEPSKEW_ENABLE_MPI=ON",
                 "-DCMAKE_BUILD_TYPE=Debug", "-DEPSKEW_ENABLE_CUDA=OFF", "-DEPSKEW_ENABLE_PYTHON=OFF", "-DEPSKEW_BUILD_BENCH=OFF", *options]
    for command in (configure, ["cmake", "--build", folder, "--target", target]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed with {done.returncode}\n{done.stdout[-4000:]}")
