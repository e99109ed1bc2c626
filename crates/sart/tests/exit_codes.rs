//! What a script sees: exit code 1 and one sentence when something fails, 2 when the usage is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails at its failed step")]

use std::process::Command;

fn run(line: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sart")).args(line).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_failure_is_one_sentence_and_one() {
    for (line, wanted) in [
        (&["bgp", "-e", "/nonexistent/bgpd.sock", "global", "get"][..], "/nonexistent/bgpd.sock"),
        (&["-o", "json", "bgp", "-e", "unix:/nonexistent/x", "neighbor", "list"], "/nonexistent/x"),
        (&["bgp", "-e", "10.0.0.1:5000", "rib"], "TCP is not supported"),
        (&["fib", "-e", "/nonexistent/fibd.sock", "channel", "list"], "/nonexistent/fibd.sock"),
        (&["cni", "-e", "/nonexistent/agent.sock", "check"], "/nonexistent/agent.sock"),
    ] {
        let (code, stdout, stderr) = run(line);
        assert_eq!(code, Some(1), "{line:?}: {stderr}");
        assert_eq!(stdout, "");
        assert!(stderr.starts_with("sart: ") && stderr.contains(wanted), "{stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    }
}

#[test]
fn wrong_usage_is_two() {
    let (code, stdout, stderr) = run(&["bgp", "--colour"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("--colour"), "{stderr}");
}
