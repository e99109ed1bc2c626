//! Finds circles between the top-level modules of a crate: an arrow is a path that starts with `crate::`, or enough
//! `super::` to reach the root. Reads syntax only, so a macro's expansion is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};

use crate::source::{self, Source, is_test};

type Edges = BTreeMap<String, BTreeSet<String>>;

/// One sentence per circle.
pub(super) fn breaches() -> anyhow::Result<Vec<String>> {
    let mut crates: BTreeMap<String, Edges> = BTreeMap::new();
    for file in source::shipped()? {
        let edges = crates.entry(file.crate_dir.display().to_string()).or_default();
        if let Some(module) = module_path(&file) {
            collect(&file, &module, edges);
        }
    }
    Ok(crates.iter().flat_map(|(name, edges)| circles(name, edges)).collect())
}

/// Path of the file's module inside the crate; none for a crate root (which declares all modules and may name them).
fn module_path(file: &Source) -> Option<Vec<String>> {
    let inside = file.path.strip_prefix(file.crate_dir.join("src")).ok()?;
    let mut parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let stem = Path::new(&parts.pop()?).file_stem()?.to_string_lossy().into_owned();
    if parts.is_empty() && matches!(stem.as_str(), "lib" | "main")
        || parts.first().is_some_and(|p| p == "bin")
    {
        return None;
    }
    parts.push(stem);
    Some(parts)
}

fn collect(file: &Source, module: &[String], edges: &mut Edges) {
    let Some(own) = module.first() else { return };
    let mut paths = Paths { depth: module.len(), targets: BTreeSet::new() };
    paths.visit_file(&file.tree);
    paths.targets.remove(own);
    edges.entry(own.clone()).or_default().extend(paths.targets);
}

/// Gathers the first module below the crate root that each path names.
struct Paths {
    depth: usize,
    targets: BTreeSet<String>,
}

impl Paths {
    fn note(&mut self, segments: &[String]) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        let target = match segments.first().map(String::as_str) {
            Some("crate") => segments.get(1),
            Some("super") if supers >= self.depth => segments.get(supers),
            _ => None,
        };
        self.targets.extend(target.filter(|name| name.starts_with(char::is_lowercase)).cloned());
    }

    fn walk_use(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.walk_use(&path.tree, prefix);
                prefix.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.walk_use(item, prefix)),
            syn::UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.note(prefix);
                prefix.pop();
            }
            syn::UseTree::Rename(_) | syn::UseTree::Glob(_) => self.note(prefix),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            self.depth += 1;
            visit::visit_item_mod(self, module);
            self.depth -= 1;
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.walk_use(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&segments);
        visit::visit_path(self, path);
    }
}

/// Every module that can reach itself, grouped into one sentence per circle.
fn circles(name: &str, edges: &Edges) -> Vec<String> {
    let mut found = BTreeSet::new();
    for start in edges.keys() {
        let reached = reachable(edges, start);
        if reached.contains(start) {
            let circle: Vec<&str> = reached
                .iter()
                .filter(|other| reachable(edges, other).contains(start))
                .map(String::as_str)
                .collect();
            found.insert(format!("{name}: modules in a circle: {}", circle.join(", ")));
        }
    }
    found.into_iter().collect()
}

fn reachable(edges: &Edges, start: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(next) = open.pop() {
        for target in edges.get(&next).into_iter().flatten() {
            // A name that is no module (a re-exported function, say) has no entry and ends the walk.
            if edges.contains_key(target) && reached.insert(target.clone()) {
                open.push(target.clone());
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::{Edges, circles};

    fn edges(arrows: &[(&str, &str)]) -> Edges {
        let mut edges = Edges::new();
        for (from, to) in arrows {
            edges.entry((*to).to_owned()).or_default();
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        edges
    }

    #[test]
    fn two_modules_that_use_each_other_are_a_circle() {
        assert_eq!(circles("x", &edges(&[("a", "b"), ("b", "a")])), ["x: modules in a circle: a, b"]);
    }

    #[test]
    fn a_chain_is_no_circle() {
        assert!(circles("x", &edges(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    }
}
