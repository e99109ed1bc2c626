//! Random packets in random states: what the kernel programs do equals what the reference model does, in every byte of the
//! frame, the flows, the tables and the counters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sart_dataplane::model::{Model, Outcome};
use sart_ebpf_common::layout::{Count, VipStats};
use sart_ebpf_common::reason::Reason;
use sart_ebpf_common::verdict::NO_STAT;

use crate::bench::{Bench, DROPPED, Hook, WENT_ON, XDP_PASSED, tick};
use crate::random::{BACKENDS, Random, STATS};

const PACKETS: u32 = 20_000;
/// Some reasons need a coincidence that so many packets do not always bring; this many would have to miss it.
const MOST_PACKETS: u32 = 20 * PACKETS;
/// Packets between two fresh states.
const ROUND: u32 = 25;

/// What the counters must show; they are never set back.
#[derive(Default)]
struct Expected {
    reasons: BTreeMap<Reason, Count>,
    vips: BTreeMap<u32, VipStats>,
}

impl Expected {
    fn count(&mut self, hook: Hook, outcome: &Outcome, bytes: u64) {
        let reason = self.reasons.entry(outcome.reason).or_default();
        reason.packets += 1;
        reason.bytes += bytes;
        if outcome.stat == NO_STAT {
            return;
        }
        let vip = self.vips.entry(outcome.stat).or_default();
        match hook {
            _ if outcome.reason.is_drop() => vip.drops += 1,
            Hook::Xdp => vip.xdp_packets += 1,
            Hook::Out => vip.replies += 1,
            _ => {
                vip.packets += 1;
                vip.bytes += bytes;
                vip.flows += u64::from(outcome.reason.opens());
            }
        }
    }
}

/// Of the environment, or another one each time.
pub fn seed() -> u64 {
    let given = std::env::var("SART_SEED").ok().map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64)
}

/// A tick with enough left of it for a packet.
pub fn steady_tick() -> u32 {
    loop {
        let (now, left) = tick();
        if left > Duration::from_millis(5) {
            return now;
        }
        std::thread::sleep(left);
    }
}

/// Runs a frame both ways and compares what comes out; false if the clock ticked meanwhile: whether the programs saw it is
/// not known then.
fn compare(bench: &mut Bench, model: &mut Model, random: &mut Random, expected: &mut Expected) -> bool {
    let (hook, frame) = random.frame();
    model.now = steady_tick();
    let before = model.clone();
    let ran = bench.run(hook, &frame);
    if tick().0 != model.now {
        return false;
    }
    let wanted = match hook {
        Hook::Out => model.egress(&frame),
        Hook::Xdp => model.xdp(&frame),
        _ => model.ingress(&frame),
    };
    let action = match hook {
        Hook::Xdp => XDP_PASSED,
        _ if wanted.reason.is_drop() => DROPPED,
        _ => WENT_ON,
    };
    expected.count(hook, &wanted, frame.len() as u64);
    let told = || format!("{hook:?} {frame:02x?}\nwith {before:#?}\nthe model: {wanted:02x?}\n");
    assert_eq!((ran.action, &ran.frame), (action, &wanted.frame), "{}", told());
    assert_eq!(
        bench.reason(wanted.reason),
        expected.reasons[&wanted.reason],
        "counted otherwise: {}",
        told()
    );
    true
}

fn assert_tables(bench: &mut Bench, model: &Model, expected: &Expected) {
    assert_eq!(bench.flows(), model.flows, "flows");
    assert_eq!(bench.vips(), model.tables.vips, "rows of virtual addresses");
    for index in 0..BACKENDS {
        assert_eq!(bench.backend(index), model.tables.backends[&index], "endpoint {index}");
    }
    for reason in Reason::ALL {
        let wanted = expected.reasons.get(&reason).copied().unwrap_or_default();
        assert_eq!(bench.reason(reason), wanted, "counter {}", reason.label());
    }
    for stat in 0..STATS {
        let wanted = expected.vips.get(&stat).copied().unwrap_or_default();
        assert_eq!(bench.stats(stat), wanted, "counters of virtual address {stat}");
    }
}

/// Whatever the rules can decide on a healthy kernel.
fn reachable() -> BTreeSet<Reason> {
    let faults = [Reason::FlowTable, Reason::Rewrite];
    let uplinks = Reason::ALL.into_iter().filter(|reason| reason.index() < Reason::PodPeer.index());
    uplinks.filter(|reason| !faults.contains(reason)).collect()
}

#[test]
fn random_packets_in_random_states_fare_as_in_the_reference_model() {
    let seed = seed();
    println!("SART_SEED={seed}");
    let mut random = Random::new(seed);
    let Some(mut bench) = Bench::new() else { return };
    let mut expected = Expected::default();
    let (mut done, mut seen) = (0, BTreeSet::new());
    while done < PACKETS || (done < MOST_PACKETS && seen != reachable()) {
        let mut model = random.model(steady_tick());
        bench.become_like(&model);
        let whole = (0..ROUND).all(|_| compare(&mut bench, &mut model, &mut random, &mut expected));
        if whole {
            assert_tables(&mut bench, &model, &expected);
            done += ROUND;
            seen.extend(expected.reasons.keys().copied());
        } else {
            // Loaded anew, everything is zero again.
            bench = Bench::new().unwrap();
            seen.extend(expected.reasons.keys().copied());
            expected = Expected::default();
        }
    }
    println!("{done} packets agree; reasons seen: {}", seen.len());
    assert_eq!(seen, reachable(), "random packets reach every reason that needs no fault");
}
