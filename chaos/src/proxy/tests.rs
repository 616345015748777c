use super::*;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(5);

/// A proxy in front of a listener, and one connection through it: client end, server end.
async fn connected() -> (Proxy, TcpListener, TcpStream, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(&server.local_addr().unwrap().to_string()).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (accepted, _) = server.accept().await.unwrap();
    (proxy, server, client, accepted)
}

#[tokio::test]
async fn a_delay_does_not_limit_the_bandwidth() {
    let (proxy, _listener, mut client, mut server) = connected().await;
    proxy.delay(Duration::from_millis(200));
    let started = Instant::now();
    let bytes = vec![7; 20 << 20];
    let send = async { client.write_all(&bytes).await.unwrap() };
    let mut received = vec![0; bytes.len()];
    let receive = async { server.read_exact(&mut received).await.unwrap() };
    tokio::join!(send, receive);
    let took = started.elapsed();
    assert_eq!(received, bytes);
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_cut_loses_what_is_on_the_way_and_new_connections_work() {
    let (proxy, listener, mut client, mut server) = connected().await;
    proxy.blackhole();
    client.write_all(b"lost").await.unwrap();
    proxy.cut();
    proxy.thaw();
    let mut buffer = [0; 8];
    assert!(matches!(server.read(&mut buffer).await, Err(_) | Ok(0)));
    assert!(matches!(client.read(&mut buffer).await, Err(_) | Ok(0)));

    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"here").await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, server.read(&mut buffer)).await.unwrap().unwrap(), 4);
}

#[tokio::test]
async fn a_cut_in_the_middle_lets_exactly_so_many_bytes_pass() {
    let (proxy, _listener, mut client, mut server) = connected().await;
    proxy.cut_after(Direction::ToServer, 10);
    client.write_all(b"0123456").await.unwrap();
    client.write_all(b"789abcdef").await.unwrap();
    let mut received = Vec::new();
    // The reset that ends the reading is what was asked for.
    drop(tokio::time::timeout(SOON, server.read_to_end(&mut received)).await.unwrap());
    assert!(proxy.bytes(Direction::ToServer) == 10 && received.len() <= 10, "{received:?}");
}

#[tokio::test]
async fn what_was_frozen_arrives_late_although_its_sender_has_gone() {
    let (proxy, listener, mut client, mut server) = connected().await;
    proxy.freeze_existing();
    client.write_all(b"late").await.unwrap();
    drop(client);
    let mut buffer = [0; 8];
    let mut other = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut other_end, _) = listener.accept().await.unwrap();
    other.write_all(b"new").await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, other_end.read(&mut buffer)).await.unwrap().unwrap(), 3);
    let early = tokio::time::timeout(Duration::from_millis(50), server.read(&mut buffer)).await;
    assert!(early.is_err(), "nothing passes a frozen connection");
    proxy.thaw();
    assert_eq!(tokio::time::timeout(SOON, server.read(&mut buffer)).await.unwrap().unwrap(), 4);
    assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_connection_ends_at_once() {
    let (proxy, _listener, _client, _server) = connected().await;
    proxy.refuse(true);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    let ended = tokio::time::timeout(SOON, refused.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(ended, Err(_) | Ok(0)));
}

#[tokio::test]
async fn a_hold_keeps_back_what_follows_a_word_and_nothing_else() {
    let (proxy, listener, mut client, mut server) = connected().await;
    proxy.hold("word");
    let mut buffer = [0; 16];
    client.write_all(b"before").await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, server.read(&mut buffer)).await.unwrap().unwrap(), 6);
    client.write_all(b"a word").await.unwrap();
    tokio::time::timeout(SOON, async {
        while proxy.holding() == 0 {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    client.write_all(b" and more").await.unwrap();
    server.write_all(b"word back").await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap(), 9);
    let mut other = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut other_end, _) = listener.accept().await.unwrap();
    other.write_all(b"new").await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, other_end.read(&mut buffer)).await.unwrap().unwrap(), 3);
    let early = tokio::time::timeout(Duration::from_millis(50), server.read(&mut buffer)).await;
    assert!(early.is_err(), "nothing passes a held connection");
    proxy.release();
    let mut late = [0; 15];
    tokio::time::timeout(SOON, server.read_exact(&mut late)).await.unwrap().unwrap();
    assert_eq!((&late, proxy.holding()), (b"a word and more", 0));
}
