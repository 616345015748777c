//! Lies in answers, and in the middle of a stream.

use super::Stage;
use anyhow::{Context, Result, ensure};
use duet_chaos::liar::{Cut, Lie, Says};
use duet_chaos::pair::DEADLINE;
use duet_chaos::wait::eventually;
use std::time::Duration;

/// What no server answers, and a word of what is said about it.
fn absurd() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"$9223372036854775808\r\n".to_vec(), "a length that is none"),
        (b"$18446744073709551615\r\n".to_vec(), "a length that is none"),
        (b"*9223372036854775808\r\n".to_vec(), "more than"),
        (b"$-7\r\n".to_vec(), "a length that is none"),
        (b"*-7\r\n".to_vec(), "a length that is none"),
        (b"*1\r\n".repeat(100_000), "nested too deep"),
        (b"?\r\n".to_vec(), "unknown kind"),
        (vec![b'+'; 100_000], "a line without an end"),
        (b":1\r\n".to_vec(), "does not tell"),
        (b"$5\r\nabcdefgh\r\n".to_vec(), ""),
        (b"$12\r\nrole:master\r\n\r\n".to_vec(), "does not tell"),
        (info("9223372036854775808", "1", "1"), "does not tell master_repl_offset"),
        (info("-1", "1", "1"), "does not tell master_repl_offset"),
    ]
}

/// What a server says of itself, with these offsets.
fn info(offset: &str, first: &str, length: &str) -> Vec<u8> {
    let text = format!(
        "redis_version:7.0.15\r\nrun_id:{0}\r\nrole:master\r\nmaster_replid:{0}\r\nmaster_repl_offset:{offset}\r\n\
         repl_backlog_active:1\r\nrepl_backlog_first_byte_offset:{first}\r\nrepl_backlog_histlen:{length}\r\n",
        "e".repeat(40)
    );
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

#[tokio::test]
async fn what_a_source_says_of_itself() -> Result<()> {
    let mut stage = Stage::streaming().await?;
    for (says, word) in absurd() {
        stage.west_lies(Lie::bytes("INFO", says), &[word]).await?;
    }
    for endless in [&b"+"[..], b"*1\r\n"] {
        let lie = Lie { to: "INFO".into(), says: vec![Says::Forever(endless.repeat(4096))] };
        stage.west_lies(lie, &["a line without an end", "nested too deep"]).await?;
    }
    // A string that does not end is given up once it is longer than any answer.
    let lie = Lie {
        to: "INFO".into(),
        says: vec![Says::Bytes(b"$4000000000\r\n".to_vec()), Says::Forever(vec![b'x'; 1 << 20])],
    };
    stage.west_lies(lie, &["too long"]).await
}

#[tokio::test]
async fn what_a_source_answers_to_psync() -> Result<()> {
    let mut stage = Stage::streaming().await?;
    let id = "e".repeat(40);
    let answers = [
        ("+FULLRESYNC\r\n".to_owned(), "answered PSYNC with"),
        (format!("+FULLRESYNC {id} -1\r\n"), "answered PSYNC with"),
        (format!("+FULLRESYNC {id} 9223372036854775808\r\n"), "answered PSYNC with"),
        (format!("+FULLRESYNC {} 1\r\n", "e".repeat(39)), "answered PSYNC with"),
        (format!("+FULLRESYNC {id} 1\r\n"), "can't continue"),
        ("+CONTINUE \u{7f}\r\n".to_owned(), "answered PSYNC with"),
        ("*3\r\n$9223372036854775808\r\n".to_owned(), "answered PSYNC with"),
        (format!("{}\r\n", "x".repeat(3000)), "answered PSYNC with"),
        ("x".repeat(10_000), "a line without an end"),
        ("-ERR I am not in the mood\r\n".to_owned(), "not in the mood"),
    ];
    for (answer, word) in answers {
        let lie = Lie { to: "PSYNC".into(), says: vec![Says::Bytes(answer.into()), Says::Nothing] };
        stage.west_lies(lie, &[word]).await?;
    }
    stage.west_lies(Lie { to: "PSYNC".into(), says: vec![Says::End] }, &["closed the connection"]).await?;
    stage
        .west_lies(
            Lie {
                to: "REPLCONF".into(),
                says: vec![Says::Bytes(b"$-1\r\n*0\r\n".to_vec()), Says::Bytes(b":".repeat(100_000))],
            },
            &["without an end"],
        )
        .await
}

#[tokio::test]
async fn what_stands_in_a_stream() -> Result<()> {
    let mut stage = Stage::streaming().await?;
    let id = "e".repeat(40);
    let insertions: [(Vec<u8>, &str); 9] = [
        (format!("+FULLRESYNC {id} 1\r\n").into(), "expected '*', found 0x2b"),
        (format!("$EOF:{id}\r\nREDIS0011").into(), "expected '*', found 0x24"),
        (b"*-1\r\n".to_vec(), "expected a digit, found 0x2d"),
        (b"*9223372036854775808\r\n".to_vec(), "the number of arguments is outside"),
        (b"*1\r\n$9223372036854775808\r\n".to_vec(), "the length of an argument is outside"),
        (b"*2\r\n*1\r\n".to_vec(), "expected '$', found 0x2a"),
        (b"*1\r\n$3\r\nabcdefgh".to_vec(), "CR LF after an argument"),
        (b"*2\r\n$6\r\nSELECT\r\n$10\r\n4294967296\r\n".to_vec(), "selects a database that is none"),
        (b"PING\r\n".to_vec(), "expected '*', found 0x50"),
    ];
    for (bytes, words) in insertions {
        stage.clients.0.run("INCR n").await?;
        stage.west.insert(&bytes)?;
        let said = async || Ok(stage.daemon.output().contains(words).then_some(()));
        eventually(&format!("the log to say '{words}'"), DEADLINE, said).await.context(stage.daemon.log_end())?;
        stage.other_link_goes_on().await?;
        // The connection is given up, and the stream read again from what is applied: nothing is lost.
        stage.recovers().await?;
    }
    // Keep-alives and empty commands are no lies, however many.
    stage.west.insert(b"\n".repeat(100_000))?;
    stage.recovers().await
}

#[tokio::test]
async fn what_a_target_answers() -> Result<()> {
    let mut stage = Stage::streaming().await?;
    let mut answers = absurd();
    answers.retain(|(says, _)| !says.starts_with(b"$5") && !says.starts_with(b"$12") && says.len() < 400_000);
    answers.extend([
        (b"+OK\r\n+QUEUED\r\n*1\r\n:1\r\n*1\r\n:1\r\n+OK\r\n".to_vec(), ""),
        (b"*2\r\n+OK\r\n+OK\r\n+QUEUED\r\n+OK\r\n".to_vec(), ""),
        (b"-ERR no\r\n".repeat(10_000), ""),
    ]);
    for (says, _) in answers {
        let (told, what) = (stage.east.told(), says.iter().take(60).copied().collect::<Vec<u8>>());
        let reconnects = stage.daemon.link("forward").await?["reconnects"].as_u64();
        stage.east.tell(Lie { to: "EXEC".into(), says: vec![Says::Bytes(says), Says::End] });
        let before = stage.clients.0.int("INCR n").await?;
        let again = async || {
            Ok((stage.east.told() > told && stage.daemon.link("forward").await?["reconnects"].as_u64() > reconnects)
                .then_some(()))
        };
        eventually("the lie to be told, and the link to begin again", DEADLINE, again)
            .await
            .with_context(|| what.escape_ascii().to_string())?;
        stage.recovers().await.with_context(|| what.escape_ascii().to_string())?;
        ensure!(stage.clients.1.int("GET n").await? == before + 1, "it was not executed once");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_said_where_events_are_received() -> Result<()> {
    // Its decoder calls itself: as deep as the answer is.
    let mut stage = Stage::streaming().await?;
    for (says, word) in [
        (b"*1\r\n".repeat(1_000_000), "nested too deep"),
        (b"%1\r\n+a\r\n".repeat(200_000), "nested too deep"),
        (b">9223372036854775808\r\n".to_vec(), "more than"),
        (b"%18446744073709551615\r\n".to_vec(), "a length that is none"),
        (b"+".repeat(100_000), "without an end"),
        (b"*?\r\n".to_vec(), "a length that is none"),
    ] {
        stage.west.tell(Lie { to: "HELLO".into(), says: vec![Says::Bytes(says)] });
        let log = stage.daemon.output().len();
        stage.west.cut(Cut::All);
        let said = async || Ok(stage.daemon.output().get(log..).is_some_and(|log| log.contains(word)).then_some(()));
        eventually(&format!("the log to say '{word}'"), DEADLINE, said).await.context(stage.daemon.log_end())?;
        // Events are not needed: keys are compared instead.
        stage.daemon.wait_streaming(DEADLINE).await?;
        stage.other_link_goes_on().await?;
        let in_force = |stage: &Stage| stage.daemon.output().matches("keyspace events are in force").count();
        let before = in_force(&stage);
        stage.recovers().await?;
        eventually("events to be in force again", DEADLINE, async || Ok((in_force(&stage) > before).then_some(())))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_drip_is_waited_for_and_a_silent_server_is_given_up() -> Result<()> {
    let mut stage = Stage::streaming().await?;
    let drip = Says::Slowly(b"-ERR in the end it says no\r\n".to_vec(), Duration::from_millis(50));
    stage.west_lies(Lie { to: "PSYNC".into(), says: vec![drip] }, &["in the end it says no"]).await?;
    // Byte by byte it may take longer than an answer may.
    let lie = Lie { to: "INFO".into(), says: vec![Says::Slowly(vec![b'+'; 4096], Duration::from_millis(100))] };
    stage.west_lies(lie, &["no answer in 10 s"]).await?;
    Ok(())
}
