"""Hosts for tests: each with a network, processes, a home folder and an sshd of its own, as far as any program can tell, made of
Linux namespaces. They share the file system, but neither home folders nor /run, and the checkout is out of their sight.

    operator --- outside --- jump --- inside --- node-1, node-2, ..., client

The operator is where the tests stand. It has no way to the inside but through the jump host, which does not route.

A host is the first process of its namespaces, and ends with the test run whatever happens to that: with it go all its
processes, its network devices and its mounts. Nothing has to be taken down by name, and nothing is left."""

import os
import pwd
import subprocess
from pathlib import Path

from cluster import BUILD, ROOT, wait_until

OUTSIDE, INSIDE = "10.77.0", "10.78.0"
HOME = pwd.getpwuid(0).pw_dir
NEW_HOST = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"]

SSHD = f"""\
HostKey {HOME}/.ssh/host_key
AuthorizedKeysFile {HOME}/.ssh/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""

# $1: the host's own home folder; $2...: what it must not see. Waits for a line, until its network is there.
BOOT = f"""\
set -e
mount --bind "$1" {HOME}
mount --bind {HOME}/.ssh/shadow /etc/shadow
mount -t tmpfs tmpfs /run
mkdir /run/sshd
shift
for hidden in "$@"; do
  if [ -d "$hidden" ]; then mount -t tmpfs tmpfs "$hidden"; fi
  if [ -f "$hidden" ]; then mount --bind /dev/null "$hidden"; fi
done
cd {HOME}
read -r _
exec /usr/sbin/sshd -D -e -f {HOME}/.ssh/sshd_config
"""


def why_impossible():
    """Why hosts cannot be made on this machine, or None."""
    if os.geteuid() != 0:
        return "making network namespaces and sshd take root"
    done = subprocess.run([*NEW_HOST, "ip", "link", "add", "name", "probe", "type", "bridge"], capture_output=True, text=True)
    return f"this machine cannot make network namespaces: {done.stderr.strip()}" if done.returncode != 0 else None


class Host:
    def __init__(self, name, command, log):
        self.name, self.log = name, log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *NEW_HOST, *command], stdin=subprocess.PIPE, stdout=out, stderr=out
            )
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = int(wait_until(lambda: self.check_up() and children.read_text(), 10, f"{name} is up"))

    def check_up(self):
        assert self.process.poll() is None, f"{self.name} is down: {self.log.read_text()}"
        return True

    def command(self, *arguments):
        """What to run so that `arguments` run on this host."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--wd=.", *map(str, arguments)]

    def run(self, *arguments, timeout_s=60, **more):
        """Runs a command on this host to its end, and returns what subprocess.run does."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, **more
        )

    def check(self, *arguments, **more):
        """As `run`, for a command that must succeed. Returns what it printed."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"{arguments} on {self.name}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def off(self):
        """Pulls the plug."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


class Site:
    """The operator, the jump host, and hosts by these names inside."""

    def __init__(self, folder, names, hidden=()):
        self.folder, self.hidden = Path(folder), [str(BUILD), str(ROOT), *map(str, hidden)]
        self.hosts = {}
        self.addresses = {name: f"{INSIDE}.{i + 11}" for i, name in enumerate(names)}
        self.ssh_config = self.folder / "ssh_config"
        self._keygen("key")
        try:
            self.operator = self._add(Host("operator", ["sleep", "infinity"], self.folder / "operator.log"))
            for name in ("jump", *names):
                self._boot(name)
            self._connect()
            self._start_sshds()
        except BaseException:
            self.close()
            raise

    def home(self, name):
        """The home folder of a host, as seen from outside of it."""
        return self.folder / name

    def close(self):
        for host in self.hosts.values():
            host.off()

    def _add(self, host):
        self.hosts[host.name] = host
        return host

    def _keygen(self, file):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(self.folder / file)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return (self.folder / f"{file}.pub").read_text()

    def _boot(self, name):
        folder = self.home(name) / ".ssh"
        folder.mkdir(parents=True, mode=0o700)
        host_key = self._keygen(f"{name}/.ssh/host_key")
        (folder / "authorized_keys").write_text((self.folder / "key.pub").read_text())
        (folder / "shadow").write_text("root:*:19000:0:99999:7:::\n")  # no password, and not locked
        (folder / "sshd_config").write_text(SSHD + f"AllowTcpForwarding {'yes' if name == 'jump' else 'no'}\n")
        with open(self.folder / "known_hosts", "a") as known:
            known.write(f"{self.addresses.get(name, f'{OUTSIDE}.2')} {host_key}")
        command = ["sh", "-c", BOOT, "boot", str(self.home(name)), *self.hidden]
        self._add(Host(name, command, self.folder / f"{name}.log"))

    def _connect(self):
        """Cables: operator to jump, and a switch in the jump host to which all others are plugged."""
        jump = self.hosts["jump"]

        def plug(host, address, *more):
            # From outside of its processes, where the host's number is known.
            enter = ["nsenter", f"--target={jump.pid}", "--net", "ip", "link", "add", "name", host.name, "type", "veth"]
            subprocess.run([*enter, "peer", "name", "net", "netns", str(host.pid)], check=True)
            jump.check("ip", "link", "set", host.name, *more, "up")
            host.check("ip", "address", "add", f"{address}/24", "dev", "net")
            host.check("ip", "link", "set", "net", "up")

        for host in self.hosts.values():
            host.check("ip", "link", "set", "lo", "up")
        jump.check("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
        plug(self.operator, f"{OUTSIDE}.1")
        jump.check("ip", "address", "add", f"{OUTSIDE}.2/24", "dev", "operator")
        jump.check("ip", "link", "add", "name", "switch", "type", "bridge")
        jump.check("ip", "address", "add", f"{INSIDE}.1/24", "dev", "switch")
        jump.check("ip", "link", "set", "switch", "up")
        for name, address in self.addresses.items():
            plug(self.hosts[name], address, "master", "switch")

    def _start_sshds(self):
        self.ssh_config.write_text(
            f"Host jump\n  HostName {OUTSIDE}.2\n"
            f"Host *\n  User root\n  IdentityFile {self.folder}/key\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  StrictHostKeyChecking yes\n  ConnectTimeout 5\n"
            "  Ciphers aes128-gcm@openssh.com\n  KexAlgorithms curve25519-sha256\n"  # a third of the time
        )
        for name in ("jump", *self.addresses):
            host = self.hosts[name]
            host.process.stdin.write(b"go\n")
            host.process.stdin.flush()
            wait_until(lambda: host.check_up() and "Server listening" in host.log.read_text(), 10, f"sshd of {name}")
