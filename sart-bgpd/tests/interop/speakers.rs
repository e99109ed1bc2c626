//! Configurations of FRR, BIRD and GoBGP whose sessions all carry both families.

use crate::scene::HOLD;

/// A neighbour of the daemon: our end's address and its own, and its AS number.
pub struct Session {
    pub own: String,
    pub peer: String,
    pub asn: u32,
}

/// For [`sart_testkit::Frr::start_alone`].
pub fn frr_config(asn: u32, router_id: &str, sessions: &[Session]) -> String {
    let mut text = format!(
        "router bgp {asn}\n bgp router-id {router_id}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         no bgp default ipv4-unicast\n"
    );
    let mut families = String::new();
    for session in sessions {
        let peer = &session.peer;
        text.push_str(&format!(
            " neighbor {peer} remote-as {}\n neighbor {peer} timers 80 {HOLD}\n neighbor {peer} timers connect 1\n \
             neighbor {peer} advertisement-interval 0\n",
            session.asn
        ));
        families.push_str(&format!("  neighbor {peer} activate\n"));
    }
    for family in ["ipv4", "ipv6"] {
        text.push_str(&format!(" address-family {family} unicast\n{families} exit-address-family\n"));
    }
    text
}

/// For [`sart_testkit::Bird::start`]; the sessions are named s0, s1 and so on.
pub fn bird_config(asn: u32, router_id: &str, sessions: &[Session]) -> String {
    let mut text = format!("router id {router_id};\nprotocol device {{}}\n");
    for (at, session) in sessions.iter().enumerate() {
        text.push_str(&format!(
            "protocol bgp s{at} {{ local {} as {asn}; neighbor {} as {}; connect delay time 1; hold time {HOLD}; \
             ipv4 {{ import all; export all; }}; ipv6 {{ import all; export all; }}; }}\n",
            session.own, session.peer, session.asn
        ));
    }
    text
}

/// For [`sart_testkit::Gobgp::start`].
pub fn gobgp_config(asn: u32, router_id: &str, sessions: &[Session]) -> String {
    let mut text = format!("[global.config]\n as = {asn}\n router-id = \"{router_id}\"\n");
    for session in sessions {
        text.push_str(&format!(
            "[[neighbors]]\n [neighbors.config]\n  neighbor-address = \"{}\"\n  peer-as = {}\n \
             [neighbors.timers.config]\n  hold-time = {HOLD}\n  keepalive-interval = 80\n  connect-retry = 5\n",
            session.peer, session.asn
        ));
        for family in ["ipv4-unicast", "ipv6-unicast"] {
            text.push_str(&format!(
                " [[neighbors.afi-safis]]\n  [neighbors.afi-safis.config]\n   afi-safi-name = \"{family}\"\n"
            ));
        }
    }
    text
}
