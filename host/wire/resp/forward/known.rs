//! What Redis knows and this host has no rules for: so that a host whose store is no Redis says what is missing, instead of that
//! there is no such command. Those that wait or listen are in `ports/way.rs`.

use crate::ports::way;
use crate::wire::resp::commands;

/// In order. As of Redis 7.0, without what is served here and what only a server's operators and other servers say.
const KNOWN: [&str; 86] = [
    "bitcount",
    "bitfield",
    "bitfield_ro",
    "bitop",
    "bitpos",
    "dump",
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
    "geoadd",
    "geodist",
    "geohash",
    "geopos",
    "georadius",
    "georadius_ro",
    "georadiusbymember",
    "georadiusbymember_ro",
    "geosearch",
    "geosearchstore",
    "getbit",
    "lastsave",
    "lcs",
    "lmpop",
    "lolwut",
    "memory",
    "move",
    "pfadd",
    "pfcount",
    "pfmerge",
    "publish",
    "pubsub",
    "script",
    "setbit",
    "sort",
    "sort_ro",
    "spublish",
    "xack",
    "xadd",
    "xautoclaim",
    "xclaim",
    "xdel",
    "xgroup",
    "xinfo",
    "xlen",
    "xpending",
    "xrange",
    "xread",
    "xreadgroup",
    "xrevrange",
    "xsetid",
    "xtrim",
    "zadd",
    "zcard",
    "zcount",
    "zdiff",
    "zdiffstore",
    "zincrby",
    "zinter",
    "zintercard",
    "zinterstore",
    "zlexcount",
    "zmpop",
    "zmscore",
    "zpopmax",
    "zpopmin",
    "zrandmember",
    "zrange",
    "zrangebylex",
    "zrangebyscore",
    "zrangestore",
    "zrank",
    "zrem",
    "zremrangebylex",
    "zremrangebyrank",
    "zremrangebyscore",
    "zrevrange",
    "zrevrangebylex",
    "zrevrangebyscore",
    "zrevrank",
    "zscan",
    "zscore",
    "zunion",
    "zunionstore",
];

/// The name of a forwarded command in the list of connections.
pub(super) fn label(name: &[u8]) -> &'static str {
    // What is served here in database 0 is forwarded into the others.
    find(name).or_else(|| commands::find(name).map(|spec| spec.name)).unwrap_or("forwarded")
}

fn find(name: &[u8]) -> Option<&'static str> {
    let small = name.get(..32.min(name.len()))?.to_ascii_lowercase();
    let at = KNOWN.binary_search_by(|known| known.as_bytes().cmp(&small)).ok();
    at.map(|at| KNOWN[at]).or_else(|| way::waiting_or_listening(&small))
}

/// Whether Redis has a command of this name.
pub(super) fn is_known(name: &[u8]) -> bool {
    name.len() <= 32 && find(name).is_some()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_in_order() {
        assert!(super::KNOWN.is_sorted());
        assert!(super::is_known(b"ZADD") && !super::is_known(b"nonsense"));
        assert_eq!((super::label(b"SubScribe"), super::label(b"ft.search")), ("subscribe", "forwarded"));
    }

    #[test]
    fn what_is_served_here_is_not_in_it() {
        let served = |name: &&&str| crate::wire::resp::commands::find(name.as_bytes()).is_some();
        assert_eq!(super::KNOWN.iter().filter(served).collect::<Vec<_>>(), [&""; 0]);
    }
}
