//! The speaker daemon against FRR and a raw peer, in network namespaces. Needs root and FRR; says so and skips without.

#[cfg(test)]
mod allocator;
#[cfg(test)]
mod config;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod guarded;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod path_rules;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod record;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod sessions;
