//! What the words of a forwarded command may not name: the host's own channels, and patterns that lead to other domains.

use bytes::Bytes;

use crate::engine::key::{KeyRules, escaped};
use crate::error::{Error, ErrorKind, Result};

impl KeyRules {
    /// A channel that nobody else uses.
    pub(super) fn own_channel(&self) -> Bytes {
        format!("{{{}{}forward}}", self.prefix, char::from(self.separator)).into()
    }

    /// # Errors
    /// A message into a channel of the host's own.
    pub(super) fn check_channel(&self, words: &[&[u8]]) -> Result<()> {
        let publishes = words[0].eq_ignore_ascii_case(b"publish") || words[0].eq_ignore_ascii_case(b"spublish");
        let own = format!("{{{}{}", self.prefix, char::from(self.separator));
        if publishes && words.get(1).is_some_and(|channel| channel.starts_with(own.as_bytes())) {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                format!("channels that begin with '{own}' are the host's own"),
            ));
        }
        Ok(())
    }

    /// `SORT` reads keys that it makes of patterns and of what is in the list: what such a pattern begins with must keep them out
    /// of what policies and the host itself keep.
    pub(super) fn check_patterns(&self, words: &[&[u8]]) -> Result<()> {
        let sorts = words
            .first()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"sort") || name.eq_ignore_ascii_case(b"sort_ro"));
        if !sorts {
            return Ok(());
        }
        for pair in words.windows(2).skip(1) {
            let names_pattern = pair[0].eq_ignore_ascii_case(b"by") || pair[0].eq_ignore_ascii_case(b"get");
            let Some(star) = memchr::memchr(b'*', pair[1]).filter(|_| names_pattern) else { continue };
            let head = &pair[1][..star];
            let bare = head.strip_prefix(b"{").unwrap_or(head);
            let reserved: Vec<u8> = [self.prefix.as_bytes(), &[self.separator]].concat();
            let common = bare.len().min(reserved.len());
            if bare[..common] == reserved[..common] {
                let message = format!(
                    "the pattern '{}' may lead to keys of other domains; let it begin with something of its own",
                    escaped(pair[1])
                );
                return Err(Error::new(ErrorKind::InvalidKey, message));
            }
        }
        Ok(())
    }
}
