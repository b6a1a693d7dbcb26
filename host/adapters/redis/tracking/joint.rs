//! Several nodes as one stream: it runs while all of them are followed, and is known as of the node that was heard longest ago.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::Value;

use crate::ports::coherence::ChangeListener;

/// Where one node stands.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    /// Whether it tells of its changes; of all keys, or of those that were wanted.
    tells: Option<bool>,
    /// As of when everything was told.
    as_of_ms: Option<u64>,
}

/// All nodes.
pub(super) struct Joint {
    listener: Arc<dyn ChangeListener>,
    nodes: Mutex<Vec<Followed>>,
}

impl Joint {
    pub(super) fn new(nodes: usize, listener: Arc<dyn ChangeListener>) -> Self {
        Self { listener, nodes: Mutex::new(vec![Followed::default(); nodes]) }
    }

    /// The prefixes that are wanted.
    pub(super) fn wanted(&self) -> Vec<Bytes> {
        let mut wanted = self.listener.wanted();
        wanted.sort_unstable();
        wanted
    }

    /// A node tells of its changes from now on.
    pub(super) fn began(&self, node: usize, whole: bool) {
        let mut nodes = self.nodes.lock();
        nodes[node] = Followed { tells: Some(whole), as_of_ms: None };
        if nodes.iter().all(|node| node.tells.is_some()) {
            self.listener.began(nodes.iter().all(|node| node.tells == Some(true)));
            // What was heard before the stream began is older than its beginning.
            nodes.iter_mut().for_each(|node| node.as_of_ms = None);
        }
    }

    /// Everything that a node changed before this time was told.
    pub(super) fn heard(&self, node: usize, as_of_ms: u64) {
        let mut nodes = self.nodes.lock();
        nodes[node].as_of_ms = Some(as_of_ms);
        let followed = nodes.iter().all(|node| node.tells.is_some());
        let oldest = nodes.iter().map(|node| node.as_of_ms).collect::<Option<Vec<_>>>();
        if let (true, Some(as_of_ms)) = (followed, oldest.and_then(|all| all.into_iter().min())) {
            self.listener.heard(as_of_ms);
        }
    }

    /// A node broke off, or is silent.
    pub(super) fn lost(&self, node: usize) {
        let mut nodes = self.nodes.lock();
        let ran = nodes.iter().all(|node| node.tells.is_some());
        nodes[node] = Followed::default();
        if ran {
            self.listener.lost();
        }
    }

    /// These nodes are not the right ones any more. Nothing is told of them from now on but changes.
    pub(super) fn end(&self) {
        let mut nodes = self.nodes.lock();
        let ran = nodes.iter().all(|node| node.tells.is_some());
        nodes.fill(Followed::default());
        if ran {
            self.listener.lost();
        }
    }

    /// What Redis tells: names of keys, or nothing where all are gone. How many.
    pub(super) fn told(&self, data: &[Value]) -> usize {
        let mut count = 0;
        for part in data {
            match part {
                Value::Array(keys) => {
                    for key in keys {
                        if let Value::BulkString(key) = key {
                            self.listener.changed(key);
                            count += 1;
                        }
                    }
                }
                Value::Nil => self.listener.changed_all(),
                _ => {}
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl ChangeListener for Log {
        fn wanted(&self) -> Vec<Bytes> {
            Vec::new()
        }

        fn began(&self, whole: bool) {
            self.0.lock().push(format!("began {whole}"));
        }

        fn heard(&self, as_of_ms: u64) {
            self.0.lock().push(format!("heard {as_of_ms}"));
        }

        fn changed(&self, key: &[u8]) {
            self.0.lock().push(String::from_utf8_lossy(key).into_owned());
        }

        fn changed_all(&self) {
            self.0.lock().push("all".to_owned());
        }

        fn lost(&self) {
            self.0.lock().push("lost".to_owned());
        }
    }

    #[test]
    fn the_stream_is_as_good_as_its_worst_node() {
        let log = Arc::new(Log::default());
        let joint = Joint::new(2, log.clone());
        let said = |act: &dyn Fn(&Joint)| {
            act(&joint);
            std::mem::take(&mut *log.0.lock()).join(", ")
        };
        assert_eq!(said(&|joint| joint.began(0, true)), "", "one does not follow yet");
        assert_eq!(said(&|joint| joint.heard(0, 5)), "");
        assert_eq!(said(&|joint| joint.began(1, false)), "began false");
        assert_eq!(said(&|joint| joint.heard(1, 9)), "", "the other was not heard since");
        assert_eq!(said(&|joint| joint.heard(0, 8)), "heard 8");
        assert_eq!(said(&|joint| joint.heard(0, 20)), "heard 9");
        assert_eq!(said(&|joint| joint.lost(1)), "lost");
        assert_eq!(said(&|joint| joint.lost(1)), "", "once");
        assert_eq!(said(&|joint| joint.heard(0, 30)), "");
        assert_eq!(said(&|joint| joint.began(1, true)), "began true");
        assert_eq!(said(&Joint::end), "lost");
        assert_eq!(said(&Joint::end), "", "once");
        assert_eq!(said(&|joint| joint.began(0, true)), "");
        assert_eq!(said(&|joint| joint.lost(0)), "", "there was no stream");
    }

    #[test]
    fn keys_and_everything_are_told() {
        let log = Arc::new(Log::default());
        let joint = Joint::new(1, log.clone());
        let key = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        assert_eq!(joint.told(&[Value::Array(vec![key("a"), key("b")])]), 2);
        assert_eq!(joint.told(&[Value::Nil]), 0);
        assert_eq!(*log.0.lock(), ["a", "b", "all"]);
    }
}
