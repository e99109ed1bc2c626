//! Node agent: announcements, dataplane, bridge to the speaker.

fn main() {}
