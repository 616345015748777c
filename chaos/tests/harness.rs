//! The harness on real servers: what it starts, reads and compares. Needs `make setup`.

use duet_chaos::compare::{differences, wait_equal};
use duet_chaos::flavor::Flavor;
use duet_chaos::load::{Counted, Mixed, Totals};
use duet_chaos::servers::{Ending, Server};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_replica_becomes_equal_to_its_primary_and_the_oracle_sees_what_is_not() {
    for flavor in Flavor::ALL {
        let (primary, replica) = (Server::start(flavor, &[]).await.unwrap(), Server::start(flavor, &[]).await.unwrap());
        let (writer, reader) = (primary.client().await.unwrap(), replica.client().await.unwrap());
        let mixed = Mixed::start(&primary, "m", 2_000).await.unwrap();
        reader.run(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await.unwrap();
        let total = Counted::new("exact").write(&writer, 1_000).await.unwrap();
        writer
            .script("XGROUP CREATE exact:stream g 0\nXREADGROUP GROUP g c COUNT 5 STREAMS exact:stream >")
            .await
            .unwrap();
        if flavor.at_least_seven() {
            let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
            writer.args(&["FUNCTION", "LOAD", code]).await.unwrap();
        }
        assert!(mixed.stop().await.unwrap() > 0);
        wait_equal(&primary, &replica, DEADLINE).await.unwrap();
        assert_eq!(Counted::new("exact").totals(&reader).await.unwrap(), total);
        assert_eq!(total, Totals { increments: 1_000, pushes: 1_000, additions: 1_000 });

        reader.script("REPLICAOF NO ONE\nSET duet:marker x\nDEL exact:list\nXACK exact:stream g 0-1").await.unwrap();
        let found = differences(&primary, &replica).await.unwrap();
        assert!(found.len() == 1 && found[0].contains("exact:list"), "{found:?}");
    }
}

#[tokio::test]
async fn a_server_keeps_its_keys_over_a_restart_that_saves_and_loses_them_over_one_that_does_not() {
    for flavor in Flavor::ALL {
        let mut server = Server::start(flavor, &[]).await.unwrap();
        server.client().await.unwrap().run("SET k 1").await.unwrap();
        server.restart(Ending::Save).await.unwrap();
        assert_eq!(server.client().await.unwrap().int("GET k").await.unwrap(), 1);
        server.client().await.unwrap().run("SET k 2").await.unwrap();
        server.restart(Ending::Kill).await.unwrap();
        assert_eq!(server.client().await.unwrap().int("GET k").await.unwrap(), 1);
        std::fs::remove_file(server.dir().join("dump.rdb")).unwrap();
        server.restart(Ending::NoSave).await.unwrap();
        assert_eq!(server.client().await.unwrap().int("EXISTS k").await.unwrap(), 0);
    }
}
