//! The OCI image layout in one tar file. Same input, same bytes: no time, user or order of this machine gets in.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An archive with one image of one layer: the files, executable, in the root folder.
pub fn oci(reference: &str, files: &[(String, Vec<u8>)], entrypoint: &[&str]) -> Result<Vec<u8>> {
    let layer = tar(files, 0o755)?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = serde_json::to_vec(&config).context("cannot encode the image's configuration")?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar", &layer)],
    });
    let manifest = serde_json::to_vec(&manifest).context("cannot encode the image's manifest")?;
    let tag = reference.rsplit(':').next().unwrap_or_default();
    let mut entry = descriptor("manifest.v1+json", &manifest);
    // containerd names the image by the first, others by the second.
    entry["annotations"] =
        json!({"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag});
    let index = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [entry]}))
        .context("cannot encode the index")?;
    let mut members = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index),
    ];
    members.extend(
        [layer, config, manifest].map(|blob| (format!("blobs/{}", digest(&blob).replace(':', "/")), blob)),
    );
    tar(&members, 0o644)
}

fn tar(members: &[(String, Vec<u8>)], mode: u32) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        builder
            .append_data(&mut header, name, bytes.as_slice())
            .with_context(|| format!("cannot archive {name}"))?;
    }
    builder.into_inner().context("cannot finish the archive")
}

fn descriptor(kind: &str, blob: &[u8]) -> Value {
    json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(blob), "size": blob.len()})
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Go's names for processors, which OCI uses.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read as _;

    fn members(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut members = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            members.insert(entry.path()?.display().to_string(), bytes);
        }
        Ok(members)
    }

    #[test]
    fn the_same_files_give_the_same_bytes() -> Result<()> {
        let files = [("app".to_owned(), b"binary".to_vec())];
        assert_eq!(
            oci("sart.terassyi.net/app:1", &files, &["/app"])?,
            oci("sart.terassyi.net/app:1", &files, &["/app"])?
        );
        Ok(())
    }

    #[test]
    fn every_digest_leads_to_the_blob_it_names() -> Result<()> {
        let archive = oci("sart.terassyi.net/app:1", &[("app".to_owned(), b"binary".to_vec())], &["/app"])?;
        let members = members(&archive)?;
        let index: Value = serde_json::from_slice(members.get("index.json").context("no index")?)?;
        let blob = |digest: &Value| {
            members
                .get(&format!("blobs/{}", digest.as_str().unwrap_or_default().replace(':', "/")))
                .context("no blob")
        };
        let manifest: Value = serde_json::from_slice(blob(&index["manifests"][0]["digest"])?)?;
        let config: Value = serde_json::from_slice(blob(&manifest["config"]["digest"])?)?;
        let layer = blob(&manifest["layers"][0]["digest"])?;
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(layer));
        assert_eq!(self::members(layer)?.get("app").map(Vec::as_slice), Some(b"binary".as_slice()));
        assert_eq!(
            index["manifests"][0]["annotations"]["io.containerd.image.name"],
            "sart.terassyi.net/app:1"
        );
        Ok(())
    }
}
