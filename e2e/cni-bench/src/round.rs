//! The rounds: each contender in turn, so that whatever disturbs the machine disturbs all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use sart_testkit::Namespace;
use serde_json::Value;

use crate::contender::Contender;

/// The times of one contender.
#[derive(Debug, Default)]
pub struct Times {
    /// Its name.
    pub name: &'static str,
    /// ADD, one at a time.
    pub add: Vec<Duration>,
    /// DEL, one at a time.
    pub del: Vec<Duration>,
    /// ADD, several at once.
    pub parallel_add: Vec<Duration>,
    /// DEL, several at once.
    pub parallel_del: Vec<Duration>,
}

/// One container's way: ADD, DEL, and the addresses between.
struct Way {
    add: Duration,
    del: Duration,
    addresses: Vec<String>,
}

/// Measures all of them.
pub fn measure(contenders: &[Contender], samples: usize, parallel: usize) -> anyhow::Result<Vec<Times>> {
    let mut all: Vec<Times> =
        contenders.iter().map(|contender| Times { name: contender.name, ..Times::default() }).collect();
    for number in 0..samples {
        for (contender, times) in contenders.iter().zip(&mut all) {
            let way = walk(contender, &format!("one{number}"), || ())?;
            times.add.push(way.add);
            times.del.push(way.del);
        }
    }
    for number in 0..samples.div_ceil(4) {
        for (contender, times) in contenders.iter().zip(&mut all) {
            for way in together(contender, number, parallel)? {
                times.parallel_add.push(way.add);
                times.parallel_del.push(way.del);
            }
        }
    }
    Ok(all)
}

fn walk(contender: &Contender, container: &str, between: impl FnOnce()) -> anyhow::Result<Way> {
    let space = Namespace::new("cni-bench-pod")?;
    let netns = format!("/run/netns/{}", space.name());
    let (add, said) = contender.call("ADD", container, &netns)?;
    let result: Value = serde_json::from_slice(&said).context("the result of ADD")?;
    let ips = result.get("ips").and_then(Value::as_array).context("addresses in the result")?;
    let addresses = ips.iter().filter_map(|ip| ip.get("address")?.as_str().map(str::to_owned)).collect();
    between();
    let (del, _) = contender.call("DEL", container, &netns)?;
    Ok(Way { add, del, addresses })
}

/// All hold their addresses until the last one has one: no two may be the same.
fn together(contender: &Contender, round: usize, parallel: usize) -> anyhow::Result<Vec<Way>> {
    let barrier = std::sync::Barrier::new(parallel);
    let ways: Vec<anyhow::Result<Way>> = std::thread::scope(|scope| {
        let start = |number: usize| {
            let barrier = &barrier;
            scope.spawn(move || {
                let container = format!("many{round}x{number}");
                let mut met = false;
                let way = walk(contender, &container, || {
                    barrier.wait();
                    met = true;
                });
                if !met {
                    // The others must not wait for one that failed before it came here.
                    barrier.wait();
                }
                way
            })
        };
        let running: Vec<_> = (0..parallel).map(start).collect();
        let joined =
            running.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a caller panicked"))?);
        joined.collect()
    });
    let ways = ways.into_iter().collect::<anyhow::Result<Vec<Way>>>()?;
    let distinct: BTreeSet<&String> = ways.iter().flat_map(|way| &way.addresses).collect();
    let count: usize = ways.iter().map(|way| way.addresses.len()).sum();
    ensure!(distinct.len() == count, "{}: the same address twice", contender.name);
    Ok(ways)
}
