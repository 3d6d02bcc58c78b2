//! Programs that are no members.

use super::*;

/// Reads one line of a client's connection.
async fn reply(lines: &mut tokio::io::Lines<tokio::io::BufReader<tokio::net::tcp::OwnedReadHalf>>) -> String {
    timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn a_program_that_is_no_member_asks_and_is_answered_on_its_connection() {
    use tokio::io::AsyncBufReadExt;
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let (read, mut write) = TcpStream::connect(ports[0].address()).await.unwrap().into_split();
    let mut lines = tokio::io::BufReader::new(read).lines();
    write
        .write_all(
            b"{\"type\":\"SEQUENCER_REQUEST\",\"msg\":\"alice/1\",\"payload\":\"one\"}\n\
              {\"type\":\"SEQUENCER_REQUEST\",\"payload\":\"two\"}\n{\"type\":\"STATUS\"}\n",
        )
        .await
        .unwrap();
    // It asks no more, and still waits for its answers.
    write.shutdown().await.unwrap();
    let mut askers = Vec::new();
    for (name, text) in [(Some("alice/1"), "one"), (None, "two")] {
        let heard = timeout(PATIENCE, a.transport.receive()).await.unwrap();
        let Heard::Request { id, payload, reply_to } = heard else { panic!("{heard:?}") };
        assert_eq!((id.map(|id| id.to_string()).as_deref(), payload.as_str()), (name, text));
        askers.push(a.transport.asks(reply_to));
    }
    let heard = timeout(PATIENCE, a.transport.receive()).await.unwrap();
    let Heard::Status { reply_to } = heard else { panic!("{heard:?}") };
    a.transport.reply(reply_to, "{\"type\":\"STATUS\"}".to_owned());
    assert_eq!(reply(&mut lines).await, "{\"type\":\"STATUS\"}");
    let done = |n: u64| Answer::Acknowledged { id: format!("x/{n}").parse().unwrap(), seq: n, term: Term(1), index: n };
    a.transport.answer(askers[1], &done(2));
    a.transport.answer(askers[0], &done(1));
    a.transport.answer(askers[0], &done(3));
    assert!(reply(&mut lines).await.contains("\"seq\":2") && reply(&mut lines).await.contains("\"seq\":1"));
    assert_eq!(
        timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap(),
        None,
        "each is answered once, and then it ends"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_any_further_and_hinders_nobody() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    insist(&mut b, &mut a).await;
    let mut deaf = TcpStream::connect(ports[0].address()).await.unwrap();
    let flood = tokio::spawn(async move {
        let line = b"{\"type\":\"SEQUENCER_REQUEST\",\"payload\":\"x\"}\n".repeat(1000);
        while deaf.write_all(&line).await.is_ok() {}
    });
    let mut open = 0;
    let mut waiting = Vec::new();
    // None is answered: it gets so many places, and no more.
    while let Ok(heard) = timeout(10 * HEARTBEAT, a.transport.receive()).await {
        if let Heard::Request { reply_to, .. } = heard {
            open += 1;
            waiting.push(reply_to);
        }
    }
    assert_eq!(open, 1024);
    b.transport.send(&id("a"), hello(5));
    while a.hears().await.message != hello(5) {}
    flood.abort();
}
