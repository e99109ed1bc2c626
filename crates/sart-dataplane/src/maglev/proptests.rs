//! Shares and disruption of rings of every size.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Order, fill, size};

fn seeds() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(any::<u64>(), 2..40).prop_map(|set| set.into_iter().collect())
}

proptest! {
    #[test]
    fn every_endpoint_gets_its_share(seeds in seeds()) {
        let slots = size(seeds.len());
        let ring = fill(&seeds, slots);
        prop_assert_eq!(ring.len(), slots as usize);
        let least = slots as usize / seeds.len();
        for endpoint in 0..seeds.len() {
            let share = ring.iter().filter(|owner| **owner == endpoint).count();
            prop_assert!(share == least || share == least + 1, "{share} of {slots}");
        }
    }

    #[test]
    fn losing_an_endpoint_moves_few_slots_of_the_others(seeds in seeds(), lost in any::<prop::sample::Index>()) {
        let lost = lost.index(seeds.len());
        let rest: Vec<u64> = seeds.iter().enumerate().filter(|(i, _)| *i != lost).map(|(_, s)| *s).collect();
        let slots = size(seeds.len());
        let (before, after) = (fill(&seeds, slots), fill(&rest, slots));
        let moved = before.iter().zip(&after).filter(|(old, new)| **old != lost && seeds[**old] != rest[**new]).count();
        // Measured over 2.5 million draws of 2 to 8 endpoints: 1.7 % in the mean and 9.4 % at most.
        prop_assert!(moved * 6 < slots as usize, "{moved} of {slots} slots moved for no reason");
    }

    #[test]
    fn the_ring_does_not_depend_on_anything_but_the_endpoints(seeds in seeds()) {
        let slots = size(seeds.len());
        prop_assert_eq!(fill(&seeds, slots), fill(&seeds, slots));
        let distinct: BTreeSet<usize> = fill(&seeds, slots).into_iter().collect();
        prop_assert_eq!(distinct.len(), seeds.len());
    }
}

#[test]
fn orders_of_every_size_name_each_slot_once() {
    for size in (0..=16).map(|bits| 1_u32 << bits) {
        let order = Order::new(u64::from(size) * 7 + 1, size);
        let named: BTreeSet<usize> = (0..u64::from(size)).map(|position| order.slot(position)).collect();
        assert_eq!(named, (0..size as usize).collect(), "{size}");
    }
}

#[test]
fn equal_strides_of_the_paper_do_not_move_slots_when_a_third_endpoint_goes() {
    // As offset and stride the last two had 32 and 149, 170 and 149 of 256: 81 slots moved.
    let seeds = [8_351_198_391_019_184_163, 10_085_703_412_041_590_630, 15_236_811_651_733_973_382];
    let (before, after) = (fill(&seeds, 256), fill(&seeds[1..], 256));
    let moved = before.iter().zip(&after).filter(|(old, new)| **old != 0 && **old != **new + 1).count();
    assert!(moved < 16, "{moved}");
}

#[test]
fn the_mean_disruption_of_losing_one_of_ten_is_below_three_percent() {
    let (mut moved, mut slots) = (0, 0);
    for round in 0..20_u64 {
        let seeds: Vec<u64> = (0..10).map(|endpoint| round * 1000 + endpoint * 7 + 1).collect();
        let (before, after) = (fill(&seeds, 1024), fill(&seeds[1..], 1024));
        moved += before.iter().zip(&after).filter(|(old, new)| **old != 0 && **old != **new + 1).count();
        slots += before.len();
    }
    assert!(moved * 100 < slots * 3, "{moved} of {slots}");
}

#[test]
fn sizes_are_powers_of_two_and_grow_with_the_endpoints() {
    assert_eq!((size(0), size(1), size(2), size(3), size(64), size(5000)), (4, 4, 128, 256, 4096, 65_536));
}
