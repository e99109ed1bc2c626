//! What a person reads about pools and blocks.

use super::rows::{BLOCK_COLUMNS, BlockRow, POOL_COLUMNS, PoolRow, blocks, pools};
use crate::output::table;
use sart_api::{AddressBlock, AddressPool, BlockRequest};
use serde_json::{Value, json};

fn read<T: serde::de::DeserializeOwned>(values: Vec<Value>) -> Vec<T> {
    values.into_iter().map(|value| serde_json::from_value(value).unwrap()).collect()
}

fn cut() -> Vec<AddressBlock> {
    let block = |name: &str, cidr: &str, node: &str, status: Value| {
        json!({"metadata": {"name": name}, "status": status,
            "spec": {"cidr": cidr, "type": "pod", "poolRef": "pods", "nodeRef": node, "autoAssign": true}})
    };
    let lost = json!({"index": 10, "conditions": [{"type": "Lost", "status": "True", "message": "node n2 is gone"}]});
    read(vec![
        block("pods-10", "10.1.0.80/29", "n2", lost),
        block("pods-2", "10.1.0.16/29", "n1", json!({"index": 2})),
    ])
}

#[test]
fn the_pools_say_how_much_is_left_and_who_waits() {
    let accepted = json!({"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted"}]});
    let list: Vec<AddressPool> = read(vec![
        json!({"metadata": {"name": "pods"}, "status": accepted,
            "spec": {"cidr": "10.1.0.0/24", "type": "pod", "blockSize": 29, "autoAssign": true}}),
        json!({"metadata": {"name": "lb"}, "spec": {"cidr": "10.0.1.0/24", "type": "service"}}),
    ]);
    let waiting: Vec<BlockRequest> =
        read(vec![json!({"metadata": {"name": "pods-n3"}, "spec": {"pool": "pods", "node": "n3"}})]);
    let rows = pools(&list, &cut(), &waiting);
    let text = table(&POOL_COLUMNS, rows.iter().map(PoolRow::cells));
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    assert_eq!(cells[1], ["lb", "10.0.1.0/24", "service", "false", "0", "-", "-", "not", "yet", "judged"]);
    assert_eq!(cells[2], ["pods", "10.1.0.0/24", "pod", "true", "2", "30", "n3", "Accepted"]);
}

#[test]
fn the_blocks_are_in_order_of_their_addresses() {
    let rows = blocks(&cut());
    let text = table(&BLOCK_COLUMNS, rows.iter().map(BlockRow::cells));
    let lines: Vec<String> =
        text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "NAME CIDR TYPE POOL NODE STATE");
    assert_eq!(lines[1], "pods-2 10.1.0.16/29 pod pods n1 claimed");
    assert_eq!(lines[2], "pods-10 10.1.0.80/29 pod pods n2 lost: node n2 is gone");
}
