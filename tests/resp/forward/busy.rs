//! A script that holds Redis up: nobody is served meanwhile, and whoever may ends it through Larder.

use std::io::Write as _;
use std::net::TcpStream;

use crate::support::host::{HostBuilder, text, wait_until};
use crate::support::redis::RedisServer;
use crate::support::resp::frame;

#[test]
fn a_script_that_never_ends_is_ended_through_the_host() {
    let redis = RedisServer::start();
    redis.cli(&["CONFIG", "SET", "lua-time-limit", "10"]);
    let host = HostBuilder::new()
        .sample("default")
        .arg("--store")
        .arg(redis.url())
        .arg("--set")
        .arg("forward.allow=script,function")
        .start();
    let busy = || redis.cli(&["GET", "k"]).contains("BUSY");
    assert!(host.ask(&["SCRIPT", "KILL"]).unwrap_err().to_string().contains("No scripts in execution"));
    for in_database_one in [false, true] {
        let mut stuck = TcpStream::connect(host.resp).unwrap();
        if in_database_one {
            stuck.write_all(&frame(&["SELECT", "1"])).unwrap();
        }
        stuck.write_all(&frame(&["EVAL", "while true do end", "0"])).unwrap();
        wait_until("the script holds Redis up", busy);
        wait_until("the breaker is open", || {
            host.ask(&["GET", "other"]).is_err_and(|error| error.to_string().contains("the breaker 'store' is open"))
        });
        let mut client = host.client();
        assert_eq!(text(&redis::cmd("SCRIPT").arg("KILL").query(&mut client).unwrap()), "OK");
        wait_until("Redis goes on", || !busy());
        host.ask(&["LARDER.BREAKER", "FORCE", "store", "AUTO"]).unwrap();
        wait_until("the host, too", || host.ask(&["SET", "k", "v"]).is_ok());
    }
}
