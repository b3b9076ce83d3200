//! The three steps of the build that need the component model's own libraries, as one small command:
//!
//!   wasm-build bindings WIT WORLD OUT              C bindings of a world              (as `wit-bindgen c` does)
//!   wasm-build component MODULE OUT                core module to component           (as `wasm-tools component new` does)
//!   wasm-build compose FILE.wac OUT NAME=PATH...   components to one component        (as `wac compose` does)
//!
//! Installing those three commands instead takes three times as long, which is most of what a first build would wait for.
//! `compose` refuses a state machine that imports anything but the names of types: whatever one node gives it, a clock for
//! instance, another node gives it differently. `component` also compares the component's imports with its world: a part
//! gets what its contract names and no more. It uses all of that, too, except of WASI, of which worlds import whole groups.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs};
use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_component::{ComponentEncoder, DecodedWasm};

/// What a state machine may import: names of types; in tests, orders to break (wit/faults.wit), which no node of a cluster
/// at work gives.
const MAY_IMPORT: [&str; 2] = ["synod:paxos/types@", "synod:paxos/faults@"];
const NOTHING_FROM_OUTSIDE: &str = "a state machine gets nothing from outside, since all nodes must come to the same state";

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["bindings", wit, world, out] => bindings(wit, world, out),
        ["component", module, out] => component(module, out).with_context(|| format!("cannot make {out}")),
        ["compose", wac, out, ref parts @ ..] => compose(wac, out, parts),
        _ => bail!("usage: wasm-build bindings WIT WORLD OUT | component MODULE OUT | compose FILE.wac OUT NAME=PATH..."),
    }
}

fn bindings(wit: &str, world: &str, out: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Default::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    for (name, contents) in files.iter() {
        write(&Path::new(out).join(name), contents)?;
    }
    Ok(())
}

fn component(module: &str, out: &str) -> Result<()> {
    let module = read(module)?;
    let (_, contract) = wit_component::metadata::decode(&module)?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&component)? else {
        bail!("the encoder made no component");
    };
    let may = imports(&contract.resolve, contract.world);
    let does = imports(&resolve, world);
    if let Some(import) = does.difference(&may).next() {
        bail!("it imports {import}, which its world does not");
    }
    if let Some(import) = may.difference(&does).find(|import| !import.starts_with("wasi:")) {
        bail!("its world imports {import}, which it never uses");
    }
    write(Path::new(out), &component)
}

fn imports(resolve: &Resolve, world: WorldId) -> BTreeSet<String> {
    resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect()
}

fn compose(wac: &str, out: &str, parts: &[&str]) -> Result<()> {
    let source = fs::read_to_string(wac).with_context(|| wac.to_owned())?;
    let mut paths = HashMap::new();
    for part in parts {
        let (name, path) = part.split_once('=').with_context(|| format!("{part}: not NAME=PATH"))?;
        paths.insert(name.to_owned(), PathBuf::from(path));
    }
    let document = wac_parser::Document::parse(&source).map_err(|e| place(wac, &source, e))?;
    let names = wac_resolver::packages(&document).map_err(|e| place(wac, &source, e))?;
    for (name, path) in &paths {
        check_state_machine(path).with_context(|| format!("{name} is {}", path.display()))?;
    }
    let resolver = wac_resolver::FileSystemPackageResolver::new("", paths, true);
    let packages = resolver.resolve(&names).map_err(|e| place(wac, &source, e))?;
    let resolution = document.resolve(packages).map_err(|e| place(wac, &source, e))?;
    let options = wac_graph::EncodeOptions { define_components: true, validate: true, ..Default::default() };
    let bytes = resolution.encode(options).map_err(|e| place(wac, &source, e))?;
    write(Path::new(out), &bytes)
}

/// A part that exports the contract of a state machine may import no more than MAY_IMPORT. The host looks again when a node
/// starts (host/component_file.c).
fn check_state_machine(path: &Path) -> Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&fs::read(path)?)? else {
        bail!("that is no component");
    };
    let mut exports = resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key));
    if !exports.any(|export| export.starts_with("synod:paxos/state-machine@")) {
        return Ok(());
    }
    match imports(&resolve, world).iter().find(|import| !MAY_IMPORT.iter().any(|may| import.starts_with(may))) {
        Some(import) => bail!("it imports {import}; {NOTHING_FROM_OUTSIDE}"),
        None => Ok(()),
    }
}

/// `file:line: message` from an error that knows where in the source it happened.
fn place(file: &str, source: &str, error: impl miette::Diagnostic + Send + Sync + 'static) -> anyhow::Error {
    let label = error.labels().and_then(|mut labels| labels.next());
    let before = label.map_or("", |label| source.get(..label.offset()).unwrap_or(""));
    let line = before.matches('\n').count() + 1;
    anyhow::Error::from(error).context(format!("{file}:{line}"))
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.to_owned())
}

/// Writes the folder too. Each file appears whole or not at all.
fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let name = || path.display().to_string();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(name)?;
    }
    let temporary = path.with_extension("new");
    fs::write(&temporary, contents).with_context(name)?;
    fs::rename(&temporary, path).with_context(name)
}
