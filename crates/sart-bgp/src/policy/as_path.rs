//! Patterns over AS paths: regular expressions over the path as it is printed, in the way routers have them. Must never
//! take time that grows faster than the path (the engine is linear).

use core::fmt;
use core::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// A regular expression over the printed AS path: numbers apart by one space, sets as `{1,2}`. `_` stands for the start,
/// the end, or what is between two numbers, so that `_65001_` finds an AS, `^65001_` the neighbouring one, `_65001$` the
/// originating one and `^$` the empty path. Equal if the text is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AsPathPattern {
    text: String,
    regex: Regex,
}

/// What `_` stands for.
const BETWEEN: &str = "(?:^|$|[ ,{}])";
/// The most memory a pattern may compile to, in octets; refuses `(((\d{1,9}){1,99}){1,99})`.
const SIZE_LIMIT: usize = 256 * 1024;

/// The text is no regular expression over AS numbers, or too large a one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a regular expression over AS numbers such as ^65001_ or _65010$")]
pub struct NotAPattern;

impl FromStr for AsPathPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        // Nothing else is ever in a printed path: another letter is a typing error.
        let known = |c: char| c.is_ascii_digit() || " _^$.*+?|()[]{},-\\d".contains(c);
        if text.is_empty() || !text.chars().all(known) || has_underscore_in_class(text) {
            return Err(NotAPattern);
        }
        let regex = RegexBuilder::new(&text.replace('_', BETWEEN))
            .unicode(false)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| NotAPattern)?;
        Ok(Self { text: text.to_owned(), regex })
    }
}

impl TryFrom<String> for AsPathPattern {
    type Error = NotAPattern;

    fn try_from(text: String) -> Result<Self, NotAPattern> {
        text.parse()
    }
}

impl From<AsPathPattern> for String {
    fn from(pattern: AsPathPattern) -> Self {
        pattern.text
    }
}

/// `[_1]` cannot mean anything: `_` may be an empty place.
fn has_underscore_in_class(text: &str) -> bool {
    let mut in_class = false;
    text.chars().any(|c| {
        match c {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        in_class && c == '_'
    })
}

impl AsPathPattern {
    /// Whether the printed path matches.
    #[must_use]
    pub fn matches(&self, printed: &str) -> bool {
        self.regex.is_match(printed.as_bytes())
    }
}

impl PartialEq for AsPathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AsPathPattern {}

impl fmt::Display for AsPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
