//! What a reservation's file says. Pure.
//!
//! The reference writes the container id, a carriage return, a line feed, and the interface name; old versions wrote the
//! id alone. Spaces around the text do not count.

use std::fmt;

/// Who holds an address: an attachment, or, in the files of old plugins, a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The container id.
    pub container_id: String,
    /// The interface name; empty when the file does not say it.
    pub ifname: String,
}

/// What was found in a file that is named after an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing, or what a crash of the machine leaves behind: the address is free.
    Torn,
    /// A reservation.
    Held(Holder),
    /// Something that no plugin wrote. Somebody wants this address left alone.
    Foreign,
}

impl Holder {
    /// A holder, by name.
    pub fn new(container_id: &str, ifname: &str) -> Self {
        Self {
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        }
    }

    /// The same container as the files of old plugins name it.
    pub fn without_ifname(&self) -> Self {
        Self::new(&self.container_id, "")
    }

    /// The file's content.
    pub(super) fn to_content(&self) -> String {
        format!("{}\r\n{}", self.container_id, self.ifname)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.container_id)?;
        if !self.ifname.is_empty() {
            write!(f, "/{}", self.ifname)?;
        }
        Ok(())
    }
}

impl Content {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii();
        // Lost blocks read as zeros.
        if bytes.is_empty() || bytes.contains(&0) {
            return Self::Torn;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Foreign;
        };
        let (id, ifname) = text.split_once('\n').unwrap_or((text, ""));
        let (id, ifname) = (id.trim_ascii_end(), ifname.trim_ascii_start());
        if is_word(id) && (ifname.is_empty() || is_word(ifname)) {
            Self::Held(Holder::new(id, ifname))
        } else {
            Self::Foreign
        }
    }
}

/// Whether this can be a container id or an interface name. Deliberately wider than what a runtime may pass today, since
/// an older one may have passed more.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_of_every_kind_are_told_apart() {
        let held = |id, ifname| Content::Held(Holder::new(id, ifname));
        for (bytes, content) in [
            (&b"c1\r\neth0"[..], held("c1", "eth0")),
            (b" c1\r\neth0\n", held("c1", "eth0")),
            (b"c1\neth0", held("c1", "eth0")),
            (b"c1", held("c1", "")),
            (b"c1\r\n", held("c1", "")),
            (b"", Content::Torn),
            (b" \r\n", Content::Torn),
            (b"\0\0\0\0", Content::Torn),
            (b"c1\r\n\0\0\0\0", Content::Torn),
            (b"kept for the printer", Content::Foreign),
            (b"c1\r\neth0\r\nmore", Content::Foreign),
            (b"\xff\xfe", Content::Foreign),
        ] {
            assert_eq!(Content::parse(bytes), content, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,80}", ifname in "[a-z][a-z0-9.@-]{0,14}") {
            let holder = Holder::new(&id, &ifname);
            prop_assert_eq!(Content::parse(holder.to_content().as_bytes()), Content::Held(holder));
        }

        #[test]
        fn no_bytes_are_a_trap(bytes: Vec<u8>) {
            Content::parse(&bytes);
        }
    }
}
