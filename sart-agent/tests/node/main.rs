//! The agent on a node of its own: real API server, kube-proxy, speaker and FRR router in namespaces. Skipped, with the reason
//! printed, where a part is missing.

mod checks;
mod lab;

use lab::Lab;

#[test]
fn a_node_announces_exactly_what_it_serves_through_every_restart() -> anyhow::Result<()> {
    let mut lab = match Lab::start()? {
        Ok(lab) => lab,
        Err(reason) => {
            assert!(sart_testkit::skips(Some(&reason)), "a lacking part is a reason to skip");
            return Ok(());
        }
    };
    let result = checks::all(&mut lab);
    if result.is_err() {
        println!("{}", lab.logs());
    }
    result
}
