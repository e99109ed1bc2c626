//! An agent whose rights were taken away: it names what is missing, and can still take the programs out of the way.

use super::*;

const PINS: &str = "SART_TEST_PINS";

#[test]
fn an_agent_without_cap_bpf_says_so_and_still_takes_the_programs_away() {
    alone(|config| {
        drop(Dataplane::open(config.clone()).unwrap());
        // A root that executes a program has what its bounding set leaves (capabilities(7)); 39 is CAP_BPF.
        let status = Command::new("setpriv")
            .args(["--bounding-set", "-cap_39,-sys_admin"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "rights::with_fewer_rights", "--ignored", "--nocapture"])
            .env(PINS, &config.pin_root)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&status.stdout);
        assert!(status.status.success() && said.contains("1 passed"), "{said}{status:?}");
        assert!(!config.pin_root.exists(), "stale programs are gone");
    });
}

#[test]
#[ignore = "the other half of the test above, run by it in a process with fewer rights"]
fn with_fewer_rights() {
    let pin_root = PathBuf::from(std::env::var_os(PINS).unwrap());
    let error = Dataplane::open(Config { pin_root: pin_root.clone() }).unwrap_err();
    assert_eq!(error.reason(), "MissingCapability", "{error}");
    assert!(error.to_string().contains("CAP_BPF"), "{error}");
    assert!(pin_root.join("progs/up_in").exists(), "a refusal alone changes nothing");
    Dataplane::remove_all(&pin_root).unwrap();
}
