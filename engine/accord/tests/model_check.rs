//! Bounded model checks of the protocol over several nodes, on the real code: small worlds to their last state, larger ones
//! to their nearest states, and random deep schedules of worlds that no machine can exhaust.
//!
//! `MODEL_STATES=n` lets larger worlds have n states (default [`STATES`]; the smallest of them ends after 12,530,104), `MODEL_WALKS=n` takes n random schedules of each deep
//! world, `MODEL_SEED=n` other ones, `MODEL_WORLD=text` only worlds whose name contains the text.

#[path = "model_check/adapter.rs"]
mod adapter;
#[path = "model_check/explore.rs"]
mod explore;
#[path = "model_check/judge.rs"]
mod judge;
#[path = "burn/lists.rs"]
mod lists;
#[path = "model_check/worlds.rs"]
mod worlds;

use explore::{Explorer, Report, World};
use types::prng::Prng;

const STATES: u64 = 100_000;
const WALKS: u64 = 600;
const PORTION: u64 = 200;

fn given(name: &str, default: u64) -> u64 {
    let text = std::env::var(name);
    text.map_or(default, |text| text.parse().expect("a number"))
}

fn chosen(worlds: Vec<World>) -> impl Iterator<Item = World> {
    let wanted = std::env::var("MODEL_WORLD").unwrap_or_default();
    worlds.into_iter().filter(move |world| world.name.contains(&wanted))
}

fn print(world: &World, report: &Report) {
    println!(
        "{}: {} states, {} steps, {} hosts, {} messages{}",
        world.name,
        report.states,
        report.steps,
        report.hosts,
        report.messages,
        if report.whole { ", whole" } else { "" }
    );
}

fn explore(world: &World, most: u64) -> Report {
    let (mut explorer, start) = Explorer::new(world.clone());
    explorer.breadth_first(start, most as usize)
}

/// Random schedules, by portions: what one portion has computed helps the next one too little to keep it.
fn walk(world: &World, walks: u64, seed: u64) -> Report {
    let mut prng = Prng::new(seed);
    let mut total = Report::default();
    for portion in 0..walks.div_ceil(PORTION) {
        let (mut explorer, start) = Explorer::new(world.clone());
        let walks = PORTION.min(walks - portion * PORTION);
        let report = explorer.walk(start, walks, 4, &mut prng);
        total.states += report.states;
        total.steps += report.steps;
        total.hosts = total.hosts.max(report.hosts);
        total.messages = total.messages.max(report.messages);
        if report.violation.is_some() {
            return Report { violation: report.violation, ..total };
        }
    }
    total
}

fn expect_none(world: &World, report: &Report) {
    print(world, report);
    if let Some(found) = &report.violation {
        panic!("{}: {}\n  {}", world.name, found.what, found.trace.join("\n  "));
    }
}

#[cfg(not(mutants))]
#[test]
fn small_worlds_hold_in_every_state() {
    let mut states = 0;
    for world in chosen(worlds::whole()) {
        let report = explore(&world, u64::MAX);
        expect_none(&world, &report);
        assert!(report.whole, "{} was not explored to its end", world.name);
        states += report.states;
    }
    println!("count: {states} states of small worlds of the protocol, all there are");
}

#[cfg(not(mutants))]
#[test]
fn large_worlds_hold_in_their_nearest_states() {
    let mut states = 0;
    for world in chosen(worlds::large()) {
        let report = explore(&world, given("MODEL_STATES", STATES));
        expect_none(&world, &report);
        states += report.states;
    }
    println!("count: {states} nearest states of large worlds of the protocol");
}

#[cfg(not(mutants))]
#[test]
fn deep_schedules_hold() {
    let (mut states, walks) = (0, given("MODEL_WALKS", WALKS));
    for world in chosen(worlds::deep()) {
        let report = walk(&world, walks, given("MODEL_SEED", 1));
        expect_none(&world, &report);
        states += report.states;
    }
    println!("count: {states} states of deep worlds of the protocol in {walks} schedules of each");
}
