//! Links between nodes keep their promises: pure parts against every cut and damage, whole links on a simulated network.

#[path = "peers/links.rs"]
mod links;
#[path = "peers/pure.rs"]
mod pure;

type Case = (&'static str, fn() -> Result<(), String>);

fn ensure(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    pure::CASES.iter().chain(links::CASES)
}

#[cfg(not(mutants))]
#[test]
fn links_keep_their_promises() {
    for (name, case) in cases() {
        if let Err(violation) = case() {
            panic!("{name}: {violation}");
        }
    }
}

#[cfg(mutants)]
#[test]
fn every_planted_bug_is_found() {
    let found = || {
        cases().find_map(|(name, case)| {
            let judged = std::panic::catch_unwind(case);
            judged.map_or(true, |judged| judged.is_err()).then_some(*name)
        })
    };
    assert_eq!(found(), None, "nothing is found where no bug is planted");
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (name, mutant) in net::mutants::ALL {
        types::mutants::set_live(mutant.0);
        match found() {
            Some(case) => println!("{name}: found by {case}"),
            None => missed.push(*name),
        }
        types::mutants::set_live(0);
    }
    let _default = std::panic::take_hook();
    let count = net::mutants::ALL.len();
    println!("count: {} of {count} planted bugs of links found", count - missed.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
