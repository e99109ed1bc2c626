//! Two controllers with views of different age write to one API server while nodes ask, give back, die and return: no two
//! blocks ever share an address, and in the end every living node has what it asked for or the pool is empty.

use ipnet::IpNet;
use proptest::prelude::*;

use super::observe::Life;
use super::tests::Model;

#[derive(Clone, Debug)]
enum Op {
    Ask { node: u8, blocks: u32 },
    GiveBack { pick: u8 },
    Die { node: u8, taint: bool },
    Return { node: u8 },
    Look { second: bool },
    Write { second: bool },
    Wait,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u8..4, 0u32..5).prop_map(|(node, blocks)| Op::Ask { node, blocks }),
        2 => any::<u8>().prop_map(|pick| Op::GiveBack { pick }),
        1 => (0u8..4, any::<bool>()).prop_map(|(node, taint)| Op::Die { node, taint }),
        1 => (0u8..4).prop_map(|node| Op::Return { node }),
        4 => any::<bool>().prop_map(|second| Op::Look { second }),
        6 => any::<bool>().prop_map(|second| Op::Write { second }),
        2 => Just(Op::Wait),
    ]
}

fn name(node: u8) -> String {
    format!("n{node}")
}

fn step(server: &mut Model, views: &mut [Model; 2], op: Op) {
    match op {
        Op::Ask { node, blocks } => server.ask(&name(node), blocks),
        Op::GiveBack { pick } => {
            let count = server.observed.blocks.len();
            let Some(block) = (count > 0).then(|| server.observed.blocks[usize::from(pick) % count].clone())
            else {
                return;
            };
            let node = block.spec.node_ref.clone().unwrap();
            if server.observed.requests.iter().any(|r| r.spec.node == node) {
                server.release(&node, block.metadata.name.as_deref().unwrap());
            }
        }
        Op::Die { node, taint } => {
            let life = if taint { Life::OutOfService } else { Life::Gone };
            server.observed.nodes.insert(name(node), life);
        }
        Op::Return { node } => {
            server.observed.nodes.insert(name(node), Life::Alive);
        }
        Op::Look { second } => views[usize::from(second)] = server.clone(),
        Op::Write { second } => {
            let view = &mut views[usize::from(second)];
            let actions = view.plan().actions;
            server.apply(actions);
            // The answers to its own writes are part of what it knows.
            *view = server.clone();
        }
        Op::Wait => server.wait_all(),
    }
}

proptest! {
    #[test]
    fn no_two_blocks_share_an_address_whatever_the_age_of_the_views(
        ops in prop::collection::vec(op(), 1..80), extra in 0u8..4,
    ) {
        let mut server = Model::new("p", "10.1.0.0/28", 28 + extra);
        let mut views = [server.clone(), server.clone()];
        for op in ops {
            step(&mut server, &mut views, op);
            let nets: Vec<IpNet> =
                server.observed.blocks.iter().map(|b| b.spec.cidr.parse().unwrap()).collect();
            for (at, net) in nets.iter().enumerate() {
                prop_assert!(nets[at + 1..].iter().all(|other| !net.contains(other) && !other.contains(net)));
            }
        }
        server.settle();
        let slots = 1usize << extra;
        let full = server.observed.blocks.len() == slots;
        for request in &server.observed.requests {
            let alive = server.observed.nodes[&request.spec.node] == Life::Alive;
            let has = server.observed.blocks.iter()
                .filter(|b| b.spec.node_ref.as_ref() == Some(&request.spec.node)).count();
            prop_assert!(!alive || full || has >= super::grant::wanted(request));
        }
    }
}
