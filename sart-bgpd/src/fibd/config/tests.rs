//! Files that work and files that are refused.

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("fib.yaml"), text)
}

const UPSTREAM: &str = "
endpoint: 127.0.0.1:5001
channels:
- name: bgp-to-kernel
  ip_version: ipv4
  subscribers:
  - protocol: bgp
    endpoint: 127.0.0.1:5010
  publishers:
  - protocol: kernel
    tables:
    - 254
";

#[test]
fn upstreams_file_means_the_local_speaker_and_the_main_table() {
    let config = parse(UPSTREAM).unwrap();
    assert_eq!(config.channels, [Config::default().channels[0].clone()]);
    assert_eq!(config.api, PathBuf::from(FIBD_SOCKET));
    assert!(!config.resolve_via_default);
}

#[test]
fn our_own_keys_are_read() {
    let text = format!("{UPSTREAM}\nprotected_prefixes: [10.96.0.1/32]\nresolve_via_default: true\n");
    let config = parse(&text.replace("127.0.0.1:5010", "unix:/tmp/x.sock")).unwrap();
    assert_eq!(config.protected, ["10.96.0.1/32".parse().unwrap()]);
    assert!(config.resolve_via_default);
    assert_eq!(config.channels[0].subscribers, [Subscriber::Bgp("/tmp/x.sock".into())]);
}

#[test]
fn a_refused_file_names_itself_and_the_place_in_one_line() {
    for (from, to, expected) in [
        ("ip_version: ipv4", "ip_version: 4", "fib.yaml:5: channels[0].ip_version: `4`"),
        ("ip_version: ipv4", "ip_versoin: ipv4", "fib.yaml:5: unknown field `ip_versoin`"),
        ("protocol: bgp", "protocol: ospf", "channels[0].subscribers[0].protocol: `ospf`"),
        ("protocol: kernel", "protocol: bgp", "channels[0].publishers[0].protocol: `bgp`"),
        ("127.0.0.1:5010", "10.0.0.1:5010", "channels[0].subscribers[0].endpoint"),
        ("127.0.0.1:5001", "fib.sock", "fib.yaml:2: endpoint: endpoint `fib.sock`"),
        ("    - 254", "    - 0", "channels[0].publishers[0].tables"),
        ("    - 254", "    - 255", "fib.yaml:10: channels[0].publishers[0].tables: table 255"),
        ("    - 254", "    - main", "fib.yaml:12: "),
        ("channels:", "channels: []\nx:", "fib.yaml:4: unknown field `x`"),
    ] {
        let error = parse(&UPSTREAM.replace(from, to)).unwrap_err().to_string();
        assert!(error.starts_with("fib.yaml:") && error.contains(expected), "{to}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert!(parse("channels: []").unwrap_err().to_string().contains("channels: is empty"));
    let twice = UPSTREAM.to_owned() + UPSTREAM.split_once("channels:\n").unwrap().1;
    assert!(parse(&twice).unwrap_err().to_string().contains("channels[1].name"));
    let prefix = parse(&format!("{UPSTREAM}protected_prefixes: [10.0.0.0/33]")).unwrap_err();
    assert!(prefix.to_string().contains("protected_prefixes[0]: `10.0.0.0/33`"), "{prefix}");
    let missing = Config::load(Path::new("/nonexistent/fib.yaml")).unwrap_err();
    assert_eq!(missing.reason(), "unreadable");
}
