"""Several hosts on one machine: network namespaces with host names and addresses of their own, joined by a bridge.

    with Hosts(2) as hosts:
        subprocess.run(hosts.mpirun(4) + [program])

Needs root and iproute2. why_not() says what is missing.
"""

import os
import shutil
import stat
import subprocess
import tempfile
import textwrap


# What may follow mpirun(): the daemons of the other hosts stay children of mpirun instead of becoming ones of the system, so that who
# measures beside other work can tell their processes from the rest.
ATTACHED = ["--leave-session-attached"]


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)


def why_not():
    """None where hosts can be made here, else the reason."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "iproute2 is not installed"
    name = f"epskew-try-{os.getpid()}"
    made = ip("netns", "add", name, check=False)
    if made.returncode != 0:
        return "network namespaces are not allowed: " + made.stderr.strip()
    try:
        made = ip("link", "add", f"ept{os.getpid() % 10000}", "type", "veth", "peer", "name", f"epu{os.getpid() % 10000}",
                  check=False)
        if made.returncode != 0:
            return "virtual network links are not allowed: " + made.stderr.strip()
        ip("link", "del", f"ept{os.getpid() % 10000}")
    finally:
        ip("netns", "del", name)
    return None


class Hosts:
    """`count` hosts; host i is named <prefix>i and has the address 10.77.<net>.<i+1>."""

    def __init__(self, count):
        self.count = count
        self.prefix = f"h{os.getpid()}x"
        self.net = os.getpid() % 250
        self.bridge = f"{self.prefix}br"[:15]
        self.folder = None

    def name(self, host):
        return f"{self.prefix}{host}"

    def address(self, host):
        return f"10.77.{self.net}.{host + 1}"

    def port(self, host):
        return f"{self.prefix}p{host}"[:15]

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="epskew-hosts-")
        try:
            ip("netns", "add", self.bridge)
            ip("-n", self.bridge, "link", "add", "br0", "type", "bridge")
            ip("-n", self.bridge, "link", "set", "br0", "up")
            for host in range(self.count):
                self._add(host)
            self._write_agent()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill_all()
        for host in range(self.count):
            ip("netns", "del", self.name(host), check=False)
        ip("netns", "del", self.bridge, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self, host):
        return [int(pid) for pid in ip("netns", "pids", self.name(host), check=False).stdout.split()]

    def running(self, program, host):
        """The processes of `program` on a host."""
        found = []
        for pid in self.pids(host):
            try:
                if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(program):
                    found.append(pid)
            except OSError:
                pass
        return found

    def kill_all(self):
        """Ends everything on these hosts."""
        for host in range(self.count):
            for pid in self.pids(host):
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass

    def _add(self, host):
        name, port = self.name(host), self.port(host)
        ip("netns", "add", name)
        ip("-n", self.bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self.bridge, "link", "set", port, "master", "br0", "up")
        ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")

    def _write_agent(self):
        """What mpirun calls in place of ssh: agent ADDRESS COMMAND..."""
        names = "\n".join(f"    {self.address(host)}) name={self.name(host)} ;;" for host in range(self.count))
        agent = os.path.join(self.folder, "agent")
        with open(agent, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent("""\
                #!/bin/sh
                case $1 in
                {names}
                    *) echo "no such host: $1" >&2; exit 1 ;;
                esac
                shift
                # A host name of its own makes MPI see another machine; an own /tmp and /dev/shm keep it from meeting itself.
                exec ip netns exec $name unshare --uts --mount sh -c '
                  hostname "$0" && mount -t tmpfs none /dev/shm && export TMPDIR={folder}/$0 && mkdir -p "$TMPDIR" && eval "$@"
                ' $name "$@"
                """).format(names=names, folder=self.folder))
        os.chmod(agent, os.stat(agent).st_mode | stat.S_IXUSR)

    def mpirun(self, processes, per_host, launcher="mpirun"):
        """The command that starts `processes` of what follows, `per_host` on each host, from host 0."""
        hosts = ",".join(f"{self.address(host)}:{per_host}" for host in range(self.count))
        network = f"10.77.{self.net}.0/24"
        return ["ip", "netns", "exec", self.name(0), "unshare", "--uts", "--mount", "sh", "-c",
                f'hostname {self.name(0)} && mount -t tmpfs none /dev/shm && mkdir -p {self.folder}/{self.name(0)} && '
                f'export TMPDIR={self.folder}/{self.name(0)} && exec "$@"', "sh",
                launcher, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
                "--host", hosts, "-n", str(processes),
                "--mca", "plm_rsh_agent", os.path.join(self.folder, "agent"), "--mca", "plm_rsh_no_tree_spawn", "1",
                "--mca", "oob_tcp_if_include", network, "--mca", "btl_tcp_if_include", network,
                "--mca", "btl", "tcp,vader,self", "--mca", "mpi_yield_when_idle", "1"]

    def limit(self, host, rate):
        """Limits both directions of a host's link, for instance to "1gbit". A burst of 64 kB goes out at once (0.5 ms of 1 Gbit/s);
        what TCP hands over is kept shorter than that, since cutting it up would take processor time."""
        for end in self._ends(host):
            namespace, device = end
            ip("-n", namespace, "link", "set", "dev", device, "gso_max_size", "32768")
            self._tc(end, "tbf", "rate", rate, "burst", "64kb", "latency", "200ms", check=True)

    def sent_bytes(self, host):
        """Bytes that have left the host through its limit."""
        name, device = self._ends(host)[0]
        shown = subprocess.run(["tc", "-n", name, "-s", "qdisc", "show", "dev", device], capture_output=True, text=True, check=True)
        return int(shown.stdout.split(" Sent ")[1].split()[0])

    def delay(self, host, time):
        """Delays both directions of a host's link; returns why that is not possible here, or None."""
        for end in self._ends(host):
            done = self._tc(end, "netem", "delay", time, check=False)
            if done.returncode != 0:
                return "this kernel has no tc netem: " + done.stderr.strip()
        return None

    def _ends(self, host):
        return (self.name(host), "eth0"), (self.bridge, self.port(host))

    @staticmethod
    def _tc(end, *discipline, check):
        namespace, device = end
        return subprocess.run(["tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", *discipline],
                              capture_output=True, text=True, check=check)

    def cut(self, host):
        """The host's link goes down at the bridge; packets vanish without a word to anybody."""
        ip("-n", self.bridge, "link", "set", self.port(host), "down")
