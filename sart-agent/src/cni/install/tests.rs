//! Criteria 47 to 50.

use super::*;

struct Place {
    dir: tempfile::TempDir,
    installer: Installer,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("image"), "version 1").unwrap();
    let installer = Installer {
        source: path("image"),
        binaries: path("bin"),
        configurations: path("net.d"),
        ..Installer::default()
    };
    Place { dir, installer }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn cni_criterion_47_old_runtimes_read_the_list_and_new_ones_may_choose() {
    let Place { dir, installer } = place();
    installer.configuration().unwrap();
    let read = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(dir.path().join("net.d/10-sart.conflist")).unwrap()).unwrap()
    };
    let list = read();
    assert_eq!(list["cniVersion"], "1.0.0");
    assert_eq!(list["cniVersions"].as_array().unwrap().last().unwrap(), "1.1.0");
    assert_eq!(list["plugins"].as_array().unwrap().len(), 1);
    assert_eq!(list["plugins"][0]["capabilities"], serde_json::json!({"mac": true}));
    let config = serde_json::json!({"cniVersion": "1.0.0", "name": list["name"]});
    let mut config = config;
    config["endpoint"] = list["plugins"][0]["endpoint"].clone();
    let verb = sart_cni::environment::Verb::Add;
    let parsed = sart_cni::config::parse(config.to_string().as_bytes(), verb).unwrap();
    assert_eq!(parsed.socket, Path::new(sart_cni::config::SOCKET));
    // Debian's portmap speaks 1.0.0 at most, and a runtime asks all of a chain in one version.
    fs::create_dir_all(dir.path().join("bin")).unwrap();
    std::os::unix::fs::symlink("/usr/lib/cni/portmap", dir.path().join("bin/portmap")).unwrap();
    assert!(installer.configuration().unwrap());
    let list = read();
    assert_eq!(list["cniVersions"].as_array().unwrap().last().unwrap(), "1.0.0");
    assert_eq!(
        list["plugins"][1],
        serde_json::json!({"type": "portmap", "capabilities": {"portMappings": true}})
    );
    // The limits go to the plugin that keeps them and to us, who leave the link's disciplines to it.
    std::os::unix::fs::symlink("/usr/lib/cni/bandwidth", dir.path().join("bin/bandwidth")).unwrap();
    assert!(installer.configuration().unwrap());
    let list = read();
    assert_eq!(list["plugins"][0]["capabilities"], serde_json::json!({"mac": true, "bandwidth": true}));
    assert_eq!(
        list["plugins"][2],
        serde_json::json!({"type": "bandwidth", "capabilities": {"bandwidth": true}})
    );
}

#[test]
fn cni_criterion_48_a_file_appears_whole_by_a_rename_and_the_same_is_not_written_again() {
    let Place { dir, installer } = place();
    assert!(installer.configuration().unwrap());
    let inode = || {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(dir.path().join("net.d/10-sart.conflist")).unwrap().ino()
    };
    let first = inode();
    assert!(!installer.configuration().unwrap());
    assert_eq!(inode(), first);
    fs::write(dir.path().join("net.d/10-sart.conflist"), "{").unwrap();
    let kept = fs::File::open(dir.path().join("net.d/10-sart.conflist")).unwrap();
    assert!(installer.configuration().unwrap());
    // Who has the old file open still reads the old bytes: it was replaced, not rewritten.
    assert_eq!(io::read_to_string(kept).unwrap(), "{");
    assert_eq!(names(&dir.path().join("net.d")), ["10-sart.conflist"]);
}

#[test]
fn cni_criterion_49_a_running_plugin_is_replaced_and_the_previous_one_kept() {
    let Place { dir, installer } = place();
    assert!(installer.binary().unwrap());
    assert!(!installer.binary().unwrap());
    let target = dir.path().join("bin/sart-cni");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o755);
    // A real program, running while it is replaced: writing into it would be ETXTBSY.
    fs::copy("/bin/sleep", dir.path().join("image")).unwrap();
    installer.binary().unwrap();
    let mut running = std::process::Command::new(&target).arg("60").spawn().unwrap();
    fs::write(dir.path().join("image"), "version 3").unwrap();
    let replaced = installer.binary();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(replaced.unwrap());
    assert_eq!(fs::read(&target).unwrap(), b"version 3");
    assert_eq!(fs::read(dir.path().join("bin").join(PREVIOUS)).unwrap(), fs::read("/bin/sleep").unwrap());
    assert_eq!(names(&dir.path().join("bin")), [PREVIOUS, "sart-cni"]);
}

#[test]
fn cni_criterion_50_foreign_files_stay_and_removal_takes_only_ours() {
    let Place { dir, installer } = place();
    for file in ["net.d/05-other.conflist", "net.d/sub/x", "bin/portmap"] {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "theirs").unwrap();
    }
    let installer = Installer { name: "01-first.conflist".into(), ..installer };
    installer.binary().unwrap();
    installer.configuration().unwrap();
    assert_eq!(names(&dir.path().join("net.d")), ["01-first.conflist", "05-other.conflist", "sub"]);
    // What a crash in the middle of an upgrade leaves.
    fs::write(dir.path().join("bin/.sart-cni.sart-new"), "half").unwrap();
    let removed = installer.remove().unwrap();
    let wanted = ["net.d/01-first.conflist", "bin/sart-cni", "bin/.sart-cni.sart-new"];
    assert_eq!(removed, wanted.map(|name| dir.path().join(name)), "the configuration goes first");
    assert_eq!(installer.remove().unwrap(), Vec::<PathBuf>::new());
    assert_eq!(names(&dir.path().join("net.d")), ["05-other.conflist", "sub"]);
    assert_eq!(names(&dir.path().join("bin")), ["portmap"]);
    assert_eq!(fs::read(dir.path().join("net.d/sub/x")).unwrap(), b"theirs");
}

#[test]
fn a_missing_plugin_or_folder_is_named() {
    let Place { installer, .. } = place();
    let missing = Installer { source: "/none/sart-cni".into(), ..installer.clone() };
    assert!(missing.binary().unwrap_err().to_string().contains("/none/sart-cni"));
    let unwritable = Installer { configurations: "/proc/none".into(), ..installer };
    assert!(unwritable.configuration().unwrap_err().to_string().contains("/proc/none"));
}
