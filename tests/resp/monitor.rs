//! `MONITOR`: what clients say is told to who asks for it, and to operators alone.

use crate::support::resp::Host;

#[tokio::test]
async fn who_monitors_is_told_what_others_say() {
    let host = Host::start(super::world()).await;
    let (mut operator, mut client) = (host.connect().await, host.connect().await);
    assert_eq!(client.line("SET before 1").await, "+OK");
    assert_eq!(operator.line("MONITOR").await, "+OK");
    assert_eq!(client.line("SET k v\"").await, "+OK");
    assert_eq!(client.line("GET k").await, "\"v\"\"");
    assert!(!client.line("HELLO 2 AUTH default secret").await.is_empty());
    assert_eq!(client.line("NONSENSE").await.chars().next(), Some('-'));
    let said = [operator.answer().await, operator.answer().await, operator.answer().await];
    for (told, words) in said.iter().zip(["\"SET\" \"k\" \"v\\\"\"", "\"GET\" \"k\"", "\"NONSENSE\""]) {
        assert!(told.starts_with('+') && told.contains(" [0 127.0.0.1:"), "{told}");
        assert!(told.ends_with(words), "{told} for {words}: a password is not told");
    }
    assert_eq!(operator.line("RESET").await, "+RESET");
    assert_eq!(client.line("GET k").await, "\"v\"\"");
    assert_eq!(operator.line("PING").await, "+PONG", "it monitors no more");
    assert!(host.stop().await);
}
