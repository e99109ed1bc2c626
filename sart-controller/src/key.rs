//! Names of objects and of the things a plan is made for.

use kube::Resource;

/// Namespace and name; the namespace of a cluster-scoped object is empty.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name {
    /// Namespace, or nothing.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Name {
    /// A namespaced name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The name of a cluster-scoped object.
    #[must_use]
    pub fn cluster(name: &str) -> Self {
        Self::new("", name)
    }

    /// The name of an object.
    #[must_use]
    pub fn of<T: Resource>(object: &T) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// What a plan is made for; the order is the order of planning when several wait.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Key {
    /// Every AddressPool at once, because they exclude each other.
    Pools,
    /// The blocks of a pod pool, their requests and advertisements.
    Blocks(String),
    /// The NodeBGP of a node and its peers.
    Node(String),
    /// The status of a ClusterBGP.
    Cluster(String),
    /// A Service's addresses and advertisements.
    Service(Name),
    /// The status of a BGPAdvertisement.
    Advertisement(Name),
}

impl Key {
    /// The kind of work, as a metric label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Pools => "pools",
            Self::Blocks(_) => "blocks",
            Self::Node(_) => "node",
            Self::Cluster(_) => "cluster",
            Self::Service(_) => "service",
            Self::Advertisement(_) => "advertisement",
        }
    }
}
