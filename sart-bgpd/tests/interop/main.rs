//! The speaker daemon against FRR, BIRD, GoBGP and a raw peer: the acceptance criteria that need more than one speaker.
//! Needs root and the peers' packages; says so and skips without.

#[cfg(test)]
mod again;
#[cfg(test)]
mod as_numbers;
#[cfg(test)]
mod decision;
#[cfg(test)]
mod establish;
#[cfg(test)]
mod extended_next_hop;
#[cfg(test)]
mod fib;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the daemon's own tests, which use more of it")]
#[path = "../bgpd/fixture.rs"]
mod fixture;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod marks;
#[cfg(test)]
mod next_hops;
#[cfg(test)]
mod packing;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod several;
#[cfg(test)]
mod speakers;
