//! What the programs of Rust libraries have in common (../../README.md says what they do).

use std::env::args;
use std::fmt::Debug;
use std::process::exit;

pub fn mode() -> String {
    args().nth(1).unwrap()
}

pub fn addresses() -> Vec<String> {
    args().nth(2).unwrap().split(',').map(String::from).collect()
}

pub fn pattern() -> String {
    format!("*{}*", args().nth(3).unwrap())
}

/// All keys of a program have one slot, so that a cluster client takes them in one command.
pub fn key(name: impl ToString) -> String {
    format!("{{{}}}:{}", args().nth(3).unwrap(), name.to_string())
}

/// The version of a library, as it is pinned.
pub fn version(library: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let package = lock.split("[[package]]").find(|package| package.contains(&format!("name = \"{library}\"\n")));
    package.and_then(|package| package.split('"').nth(3)).unwrap_or("?")
}

pub fn must<T, E: Debug>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        println!("failed {what}: {error:?}");
        exit(1)
    })
}

pub fn check<T: Debug + PartialEq, E: Debug>(what: &str, got: Result<T, E>, wanted: T) {
    let got = must(what, got);
    if got != wanted {
        println!("failed {what}: {got:?} instead of {wanted:?}");
        exit(1)
    }
}
