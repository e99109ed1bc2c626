//! Random packets of pods in random states: what `pod_in` and `pod_out` do equals what the reference model does, in every
//! byte of the frame, the flows and the counters.

use std::collections::{BTreeMap, BTreeSet};

use sart_dataplane::model::pods::PodModel;
use sart_ebpf_common::layout::Count;
use sart_ebpf_common::reason::Reason;

use crate::bench::{Bench, DROPPED, Hook, WENT_ON, tick};
use crate::differential::{seed, steady_tick};
use crate::podlink::{LINK, REDIRECTED};
use crate::podrandom::PodHook;
use crate::random::Random;

const PACKETS: u32 = 20_000;
/// Some reasons need a coincidence that 20,000 packets do not always bring; this many would have to miss it.
const MOST_PACKETS: u32 = 20 * PACKETS;
/// Packets between two fresh states.
const ROUND: u32 = 25;

/// Runs a frame both ways and compares what comes out; false if the clock ticked meanwhile.
fn compare(
    bench: &mut Bench,
    model: &mut PodModel,
    random: &mut Random,
    counts: &mut BTreeMap<Reason, Count>,
) -> bool {
    let (hook, frame) = random.pod_frame();
    model.now = steady_tick();
    let before = model.clone();
    let ran = bench.run(if hook == PodHook::In { Hook::PodIn } else { Hook::PodOut }, &frame);
    if tick().0 != model.now {
        return false;
    }
    let wanted = match hook {
        PodHook::In => model.pod_in(&frame, LINK),
        PodHook::Out => model.pod_out(&frame, LINK),
    };
    let action = match wanted.redirect {
        Some(_) => REDIRECTED,
        None if wanted.reason.is_drop() => DROPPED,
        None => WENT_ON,
    };
    let count = counts.entry(wanted.reason).or_default();
    count.packets += 1;
    count.bytes += frame.len() as u64;
    let told = || format!("{hook:?} {frame:02x?}\nwith {before:#?}\nthe model: {wanted:02x?}\n");
    assert_eq!((ran.action, &ran.frame), (action, &wanted.frame), "{}", told());
    assert_eq!(bench.reason(wanted.reason), counts[&wanted.reason], "counted otherwise: {}", told());
    true
}

/// Whatever the rules for pods can decide on a healthy kernel.
fn reachable() -> BTreeSet<Reason> {
    let pods = Reason::ALL.into_iter().filter(|reason| reason.index() >= Reason::PodPeer.index());
    pods.filter(|reason| *reason != Reason::PodTable).collect()
}

#[test]
fn random_packets_of_pods_fare_as_in_the_reference_model() {
    let seed = seed();
    println!("SART_SEED={seed}");
    let mut random = Random::new(seed);
    let Some(mut bench) = Bench::new() else { return };
    let mut counts = BTreeMap::new();
    let (mut done, mut seen) = (0, BTreeSet::new());
    while done < PACKETS || (done < MOST_PACKETS && seen != reachable()) {
        let mut model = random.pod_model(steady_tick());
        bench.pods_like(&model);
        let whole = (0..ROUND).all(|_| compare(&mut bench, &mut model, &mut random, &mut counts));
        if whole {
            assert_eq!(bench.pod_flows(), model.flows, "flows");
            assert_eq!(bench.pods(), model.pods, "rows");
            done += ROUND;
            seen.extend(counts.keys().copied());
        } else {
            // Loaded anew, everything is zero again.
            bench = Bench::new().unwrap();
            seen.extend(std::mem::take(&mut counts).into_keys());
        }
    }
    println!("{done} packets agree; reasons seen: {}", seen.len());
    assert_eq!(seen, reachable(), "random packets reach every reason that needs no fault");
}
