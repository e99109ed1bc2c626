//! The result of ADD in every version that we speak (specification 1.1.0, section 5, "ADD Success").

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::{Failure, code};
use crate::version::Version;

/// What an attachment consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Host link first, then the container's.
    pub interfaces: Vec<Interface>,
    /// The container's addresses.
    pub ips: Vec<Ip>,
    /// The routes that stand in the container.
    pub routes: Vec<Route>,
    /// Handed through from the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
}

/// A link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its MAC, colon-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its MTU in bytes (1.1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// `CNI_NETNS` as it came; none on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ip {
    /// With its prefix length.
    pub address: String,
    /// The gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Index into the interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<usize>,
}

/// A route in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination with prefix length.
    pub dst: String,
    /// Next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gw: Option<IpAddr>,
}

/// The `dns` block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// Servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Local domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Search list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Resolver options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Attached {
    /// The document of a version.
    #[must_use]
    pub fn document(&self, version: Version) -> String {
        let mut document = json!({
            "cniVersion": version.text(),
            "interfaces": self.interfaces.iter().map(|link| interface(link, version)).collect::<Vec<_>>(),
            "ips": self.ips.iter().map(|ip| address(ip, version)).collect::<Vec<_>>(),
            "routes": self.routes,
        });
        if let Some(dns) = &self.dns {
            document["dns"] = json!(dns);
        }
        document.to_string()
    }

    /// Reads a `prevResult` of any version from 0.3.1 on; extra keys of later plugins are passed over.
    ///
    /// # Errors
    /// Code 7.
    pub fn previous(value: &Value) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Previous {
            #[serde(default)]
            interfaces: Vec<Interface>,
            #[serde(default)]
            ips: Vec<Ip>,
            #[serde(default)]
            routes: Vec<Route>,
        }
        let previous = Previous::deserialize(value).map_err(|error| {
            Failure::detailed(code::INVALID_CONFIG, "`prevResult` cannot be read", error.to_string())
        })?;
        Ok(Self { interfaces: previous.interfaces, ips: previous.ips, routes: previous.routes, dns: None })
    }
}

fn interface(link: &Interface, version: Version) -> Value {
    let shown = if version < Version::V110 { Interface { mtu: None, ..link.clone() } } else { link.clone() };
    json!(shown)
}

/// Until 0.4.0 each address names its family.
fn address(ip: &Ip, version: Version) -> Value {
    let mut value = json!(ip);
    if version < Version::V100 {
        value["version"] = if ip.address.contains(':') { "6" } else { "4" }.into();
    }
    value
}
