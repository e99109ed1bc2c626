//! What fuzzing begins with: good messages of every kind, and messages that broke other implementations in the field.
//! Only bytes.

mod good;
mod incidents;

pub use self::incidents::{INCIDENTS, Incident};

use crate::Target;
use crate::targets::framed;

/// The seeds of a target.
#[must_use]
pub fn seeds(target: Target) -> Vec<Vec<u8>> {
    let incidents = INCIDENTS.iter().filter(|incident| incident.target == target);
    let mut seeds: Vec<_> = incidents.map(|incident| incident.bytes.to_vec()).collect();
    seeds.extend(match target {
        Target::Open => good::opens(),
        Target::Update => good::updates(),
        Target::Notification => good::notifications(),
        Target::Refresh => good::refreshes(),
        Target::Stream => streams(),
        Target::Session => good::scripts(),
    });
    seeds
}

/// Every message of the other targets behind a good header, one by one and all together.
fn streams() -> Vec<Vec<u8>> {
    let mut messages: Vec<_> = seeds(Target::Open).iter().map(|body| framed(1, body)).collect();
    messages.extend(seeds(Target::Update).iter().filter_map(|seed| Some(framed(2, seed.get(1..)?))));
    messages.extend(seeds(Target::Notification).iter().map(|body| framed(3, body)));
    messages.extend(seeds(Target::Refresh).iter().filter_map(|seed| Some(framed(5, seed.get(1..)?))));
    messages.push(framed(4, &[]));
    messages.retain(|message| message.len() <= 1024);
    let few: Vec<u8> = messages.iter().step_by(7).flatten().copied().take(4000).collect();
    messages.push(few);
    messages.into_iter().map(|message| [&[0x20], &message[..]].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_keeps_the_properties_of_its_target() {
        for target in Target::ALL {
            let seeds = seeds(target);
            assert!(seeds.len() > 3, "{}", target.name());
            for seed in seeds {
                target.run(&seed);
            }
        }
    }
}
