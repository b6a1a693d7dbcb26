//! A cluster as one of its nodes knows it: the answer of `CLUSTER NODES`, which also says what slots that node is giving away.

use std::collections::BTreeSet;

/// Where the slots begin in a node's line: behind its name, place, flags, primary, three times and numbers, and its link.
const SLOTS_AT: usize = 8;

/// What one node knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View<'a> {
    /// The node itself.
    me: &'a str,
    /// All nodes that have slots.
    primaries: BTreeSet<&'a str>,
    /// The ranges of its own slots, first and last.
    slots: Vec<(u16, u16)>,
    /// Those of them that are on their way, and to whom.
    leaving: Vec<(u16, &'a str)>,
}

impl<'a> View<'a> {
    /// `None`: the text makes no sense.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut view = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let id = words.next()?;
            let is_me = words.nth(1)?.split(',').any(|flag| flag == "myself");
            if is_me {
                view.me = id;
            }
            for word in words.skip(SLOTS_AT - 3).filter(|word| !word.is_empty()) {
                if let Some(moving) = word.strip_prefix('[') {
                    // The other direction, `-<-`, is the giver's to say.
                    if let (true, Some((slot, to))) = (is_me, moving.trim_end_matches(']').split_once("->-")) {
                        view.leaving.push((slot.parse().ok()?, to));
                    }
                    continue;
                }
                view.primaries.insert(id);
                if is_me {
                    let (first, last) = word.split_once('-').unwrap_or((word, word));
                    view.slots.push((first.parse().ok()?, last.parse().ok()?));
                }
            }
        }
        (!view.me.is_empty()).then_some(view)
    }

    /// Whether it is this node, and these are the primaries. The error says what is not so, in words.
    pub(super) fn confirms(&self, me: &str, all: &BTreeSet<String>) -> Result<(), String> {
        if self.me != me {
            return Err("another node answers there now".to_owned());
        }
        if !self.primaries.iter().copied().eq(all.iter().map(String::as_str)) {
            return Err("the cluster has other primaries now".to_owned());
        }
        // A slot that moves between two nodes that are followed needs nothing: its keys stay what they are, whoever has them tells
        // when they change, and the removal by which MIGRATE ends at the giver is told as well. But one without slots is not in
        // the list yet, takes writes already (ASK), and nobody hears of them.
        match self.leaving.iter().find(|(_, to)| !self.primaries.contains(to)) {
            Some((slot, to)) => Err(format!("slot {slot} is on its way to node {to}, which is not followed yet")),
            None => Ok(()),
        }
    }

    /// Whether a key of this slot can be written at this node, be it there or not.
    pub(super) fn serves(&self, slot: u16) -> bool {
        self.slots.iter().any(|&(first, last)| (first..=last).contains(&slot))
            && self.leaving.iter().all(|&(leaving, _)| leaving != slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a 127.0.0.1:1@11 myself,master - 0 0 1 connected 0-99 200 [7->-b] [300-<-b]
b 127.0.0.1:2@12,name master - 0 1 2 connected 100-199
c 127.0.0.1:3@13 slave a 0 1 1 connected
d :0@0 master,fail,noaddr - 1 1 3 disconnected
";

    #[track_caller]
    fn check(text: &str, all: &[&str], expect: &str) {
        let all = all.iter().map(|&id| id.to_owned()).collect();
        let said = View::read(text).map_or_else(
            || "no sense".to_owned(),
            |view| view.confirms("a", &all).map_or_else(|error| error, |()| "yes".to_owned()),
        );
        assert_eq!(said, expect, "{text}");
    }

    #[test]
    fn a_node_says_who_the_primaries_are() {
        check(TEXT, &["a", "b"], "yes");
        check(TEXT, &["a"], "the cluster has other primaries now");
        check(TEXT, &["a", "b", "d"], "the cluster has other primaries now");
        check(
            &TEXT.replace("myself,", "").replace("slave", "myself,slave"),
            &["a", "b"],
            "another node answers there now",
        );
        let failed_over = TEXT.replace("myself,master - 0 0 1 connected 0-99 200", "myself,slave c 0 0 1 connected");
        check(&failed_over, &["a", "b"], "the cluster has other primaries now");
        check(&TEXT.replace("->-b", "->-d"), &["a", "b"], "slot 7 is on its way to node d, which is not followed yet");
        for odd in ["", "a", "a 127.0.0.1:1@11 master - 0 0 1 connected 0-99", &TEXT.replace("0-99", "0-x")] {
            check(odd, &["a"], "no sense");
        }
    }

    #[test]
    fn a_node_serves_what_stays() {
        let view = View::read(TEXT).unwrap();
        for (slot, expect) in [(0, true), (99, true), (100, false), (200, true), (7, false), (300, false)] {
            assert_eq!(view.serves(slot), expect, "{slot}");
        }
    }
}
