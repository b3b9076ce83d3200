"""scripts/sbom: a valid CycloneDX document that has all that is pinned."""
import json
import re
import subprocess
import tomllib

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cluster import ROOT

LOCKS = {"host/wasmtime-typed/Cargo.lock": "required", "scripts/wasm-build/Cargo.lock": "excluded",
         "tests/clients/rust/Cargo.lock": "excluded"}
NPM = ["tests/e2e/wasi_host", "tests/clients/node", "tests/clients/apps/node"]
PYTHON = ["scripts/python-packages.txt", "tests/clients/python/requirements.txt", "tests/clients/apps/python/requirements.txt",
          "tests/clients/go/requirements.txt"]


def read(name):
    return (ROOT / name).read_text()


@pytest.fixture(scope="module")
def text():
    return subprocess.run([ROOT / "scripts/sbom"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def found(text):
    """{(ecosystem, name): {version: component}}"""
    by_name = {}
    for one in json.loads(text)["components"]:
        ecosystem = re.match(r"pkg:(\w+)/", one["purl"])[1]
        by_name.setdefault((ecosystem, one["name"]), {})[one.get("version")] = one
    return by_name


def test_the_format_validates(text):
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    wrong = json.loads(text)
    del wrong["components"][0]["name"]
    assert validator.validate_str(json.dumps(wrong)) is not None


def test_the_versions_of_what_is_compiled_are_there(found):
    versions = dict(re.findall(r"^([A-Z_]+)=(\d+\.\d+\.\d+)$", read("scripts/versions.env"), re.M))
    crates = {"WASMTIME": ["wasmtime", "wasmtime-wasi"], "WIT_BINDGEN": ["wit-bindgen-c"], "WIT_COMPONENT": ["wit-component"],
              "WAC": ["wac-parser", "wac-graph"]}
    assert set(versions) == set(crates), "a version that no component stands for: name its crates here"
    for name, version in versions.items():
        for crate in crates[name]:
            assert version in found["cargo", crate]


@pytest.mark.parametrize("lock", LOCKS)
def test_all_crates_are_there(found, lock):
    crates = [package for package in tomllib.loads(read(lock))["package"] if "source" in package]
    assert len(crates) > 20
    for crate in crates:
        one = found["cargo", crate["name"]][crate["version"]]
        assert one["hashes"] == [{"alg": "SHA-256", "content": crate["checksum"]}]
        assert LOCKS[lock] == "excluded" or one["scope"] == "required"


def test_all_python_and_npm_packages_are_there(found):
    python = re.findall(r"^([\w.-]+)==(\S+)", "\n".join(map(read, PYTHON)), re.M)
    npm = [(path.split("node_modules/")[-1], package["version"])
           for folder in NPM for path, package in json.loads(read(f"{folder}/package-lock.json"))["packages"].items() if path]
    assert len(python) > 20 and len(npm) > 20
    for ecosystem, packages in (("pypi", python), ("npm", npm)):
        for name, version in packages:
            assert found[ecosystem, name][version]["scope"] == "excluded"


def test_all_go_modules_and_jars_are_there(found):
    modules = re.findall(r"^(\S+) (v\S+) h1:", read("tests/clients/go/go.sum") + read("tests/clients/apps/go/go.sum"), re.M)
    jars = [(name, version) for pom in ROOT.glob("tests/clients/java/*/pom.xml")
            for name, version in re.findall(r"<artifactId>(.*?)</artifactId><version>(.*?)</version>", pom.read_text())]
    assert len(modules) > 5 and len(jars) > 3
    for ecosystem, packages in (("golang", modules), ("maven", jars)):
        for name, version in packages:
            assert found[ecosystem, name][version]["scope"] == "excluded"


def test_all_debian_packages_are_there(found):
    packages = [line.split("#")[0].strip() for line in read("scripts/debian-packages.txt").splitlines()]
    packages = [name for name in packages if name and not name.startswith("==")]
    assert len(packages) > 20
    for name in packages:
        assert ("deb", name) in found
    for name in ("libuv1", "libssl3", "libcyaml-dev", "wasi-libc"):  # what the programs and nodes are made of, or linked with
        assert [one["scope"] for one in found["deb", name].values()] == ["required"]


def test_base_images_are_there(found):
    digests = re.findall(r"^FROM \S+@(sha256:\w+)", read("deploy/Containerfile"), re.M)
    assert set(found["oci", "debian"]) == set(digests) and len(digests) == 2


def test_what_depends_on_what(text):
    bill = json.loads(text)
    refs = {one["bom-ref"] for one in bill["components"]} | {"synod"}
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert set(needs) <= refs and all(set(more) <= refs for more in needs.values())
    reached, left = set(), ["synod"]
    while left:
        ref = left.pop()
        if ref not in reached:
            reached.add(ref)
            left += needs.get(ref, [])
    assert reached == refs


def test_the_same_checkout_gives_the_same_bytes(text):
    assert subprocess.run([ROOT / "scripts/sbom"], capture_output=True, text=True, check=True).stdout == text
