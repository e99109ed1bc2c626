//! The budgets of the house: function length, arguments, nesting, file length. Measures the shipped sources, prints the
//! table, and fails on a breach that has no recorded reason. It never changes a file.

mod measure;
mod reasons;

use std::collections::BTreeMap;

use measure::Function;

use crate::source::{self, Source, say};

/// Longest function, in lines from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 60;
/// 90th percentile of function lengths, per crate.
const P90_FUNCTION_LINES: usize = 30;
/// Arguments of a function, `self` included.
const MAX_ARGUMENTS: usize = 5;
/// Nested control-flow blocks.
const MAX_NESTING: usize = 4;
/// Source lines of a file, lines inside `#[cfg(test)]` left out.
const MAX_FILE_LINES: usize = 500;

/// One crate's row of the table.
#[derive(Default)]
struct Row {
    files: Vec<usize>,
    functions: Vec<usize>,
}

/// Prints the table and fails if a budget is broken.
pub fn run() -> anyhow::Result<()> {
    let sources = source::shipped()?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut breaches = Vec::new();
    for file in &sources {
        let row = rows.entry(file.crate_dir.display().to_string()).or_default();
        check_file(file, row, &mut breaches);
    }
    print_table(&mut rows, &mut breaches);
    breaches.extend(reasons::stale(&sources));
    for breach in &breaches {
        say(&format!("breach: {breach}"));
    }
    anyhow::ensure!(
        breaches.is_empty(),
        "{} breach(es) of the budgets; mend them or record a reason",
        breaches.len()
    );
    Ok(())
}

fn check_file(file: &Source, row: &mut Row, breaches: &mut Vec<String>) {
    let path = file.path.display().to_string();
    let lines = measure::source_lines(file);
    row.files.push(lines);
    if lines > MAX_FILE_LINES && reasons::long_file(&path).is_none() {
        breaches.push(format!("{path}: {lines} source lines, the budget is {MAX_FILE_LINES}"));
    }
    if !file.text.starts_with("//!") && !file.text.starts_with("#!") {
        breaches.push(format!("{path}: does not open with a //! paragraph"));
    }
    if is_forbidden_name(&path) {
        breaches.push(format!("{path}: the name says nothing about its one idea"));
    }
    for function in measure::functions(file) {
        row.functions.push(function.lines);
        check_function(&path, &function, breaches);
    }
}

fn check_function(path: &str, function: &Function, breaches: &mut Vec<String>) {
    let name = &function.name;
    let at = format!("{path}:{} fn {name}", function.line);
    if function.lines > MAX_FUNCTION_LINES {
        breaches.push(format!("{at}: {} lines, the budget is {MAX_FUNCTION_LINES}", function.lines));
    }
    if function.arguments > MAX_ARGUMENTS {
        breaches.push(format!("{at}: {} arguments, the budget is {MAX_ARGUMENTS}", function.arguments));
    }
    if function.nesting > MAX_NESTING {
        breaches.push(format!("{at}: nesting of {}, the budget is {MAX_NESTING}", function.nesting));
    }
}

fn is_forbidden_name(path: &str) -> bool {
    let stem = path.rsplit('/').next().unwrap_or_default();
    matches!(stem, "mod.rs" | "utils.rs" | "util.rs" | "common.rs" | "helpers.rs" | "types.rs" | "misc.rs")
}

fn print_table(rows: &mut BTreeMap<String, Row>, breaches: &mut Vec<String>) {
    say("crate                     files  lines  file med/p90/max   fns  fn med/p90/max");
    for (name, row) in rows {
        row.files.sort_unstable();
        row.functions.sort_unstable();
        let p90 = percentile(&row.functions, 90);
        say(&format!(
            "{name:<25} {:>5} {:>6}  {:>4}/{:>4}/{:>4}    {:>5}  {:>3}/{p90:>3}/{:>3}",
            row.files.len(),
            row.files.iter().sum::<usize>(),
            percentile(&row.files, 50),
            percentile(&row.files, 90),
            percentile(&row.files, 100),
            row.functions.len(),
            percentile(&row.functions, 50),
            percentile(&row.functions, 100),
        ));
        if p90 > P90_FUNCTION_LINES {
            breaches.push(format!(
                "{name}: functions have {p90} lines at p90, the budget is {P90_FUNCTION_LINES}"
            ));
        }
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed; 0 for none.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{is_forbidden_name, percentile};

    #[test]
    fn the_percentile_is_the_nearest_rank() {
        assert_eq!(percentile(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90), 9);
        assert_eq!(percentile(&[1, 2, 3], 100), 3);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn a_file_named_for_nothing_is_refused() {
        assert!(is_forbidden_name("crates/x/src/utils.rs"));
        assert!(!is_forbidden_name("crates/x/src/best_path.rs"));
    }
}
