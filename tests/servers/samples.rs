//! Keys of every type in every encoding that a server has for it.

use anyhow::{Result, bail};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor;
use duet_chaos::redis::Value;
use duet_chaos::servers::Server;

/// Commands as bytes, to be sent in one pipeline.
#[derive(Default)]
struct Batch(Vec<Vec<Vec<u8>>>);

impl Batch {
    fn add(&mut self, line: &str) {
        self.0.push(line.split(' ').map(|word| word.as_bytes().to_vec()).collect());
    }

    fn add_bytes(&mut self, args: &[&[u8]]) {
        self.0.push(args.iter().map(|arg| arg.to_vec()).collect());
    }

    async fn send(self, client: &Client) -> Result<()> {
        for (command, reply) in self.0.iter().zip(client.pipeline(&self.0).await?) {
            if let Value::ServerError(error) = reply {
                bail!("{:?}: {error:?}", command.iter().map(|arg| arg.escape_ascii().to_string()).collect::<Vec<_>>());
            }
        }
        Ok(())
    }
}

/// Fills databases 0, 3 and 15 of a server; `peer` limits it to what both sides can hold.
pub(crate) async fn fill(server: &Server, peer: Flavor) -> Result<()> {
    let flavor = server.flavor();
    for database in [0, 3, 15] {
        let client = server.client_in(database).await?;
        let mut batch = Batch::default();
        strings(&mut batch);
        lists(&mut batch, flavor);
        sets(&mut batch);
        sorted_sets(&mut batch);
        hashes(&mut batch);
        streams(&mut batch);
        expiring(&mut batch);
        if flavor.has_field_expiry() && peer.has_field_expiry() {
            batch.add("HSET hash:expiring a 1 b 2 c 3");
            batch.add("HEXPIRE hash:expiring 10000 FIELDS 2 a b");
            batch.add("HPEXPIREAT hash:expiring 4102444800123 FIELDS 1 b");
        }
        batch.send(&client).await?;
    }
    if flavor.at_least_seven() && peer.at_least_seven() {
        for name in ["one", "two"] {
            let code = format!("#!lua name={name}\nredis.register_function('{name}', function() return '{name}' end)");
            server.client().await?.args(&["FUNCTION", "LOAD", &code]).await?;
        }
    }
    Ok(())
}

fn strings(batch: &mut Batch) {
    for number in ["0", "-1", "127", "-32768", "2147483647", "-9223372036854775808", "3.14", "007"] {
        batch.add(&format!("SET string:number:{number} {number}"));
    }
    batch.add_bytes(&[b"SET", b"string:empty", b""]);
    batch.add_bytes(&[b"SET", b"", b"the empty key"]);
    batch.add_bytes(&[b"SET", b"binary \r\n\x00\xff key", b"\r\n*1\r\n$4\r\nPING\r\n\x00\xff"]);
    batch.add_bytes(&[b"SET", b"string:compressible", &b"abc".repeat(20_000)]);
    batch.add_bytes(&[b"SET", b"string:short", &[b's'; 44]]);
    let noise: Vec<u8> = (0..70_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    batch.add_bytes(&[b"SET", b"string:noise", &noise]);
    batch.add("SETBIT string:bits 100000 1");
    batch.add("PFADD hyperloglog:sparse a b c");
    for chunk in 0..40 {
        let items: Vec<String> = (0..100).map(|n| format!("item:{chunk}:{n}")).collect();
        batch.add(&format!("PFADD hyperloglog:dense {}", items.join(" ")));
    }
}

fn lists(batch: &mut Batch, flavor: Flavor) {
    batch.add("RPUSH list:small a 1 -5 70000 9223372036854775807");
    for chunk in 0..20 {
        let items: Vec<String> = (0..100).map(|n| format!("item-{chunk}-{n}-{}", "x".repeat(n))).collect();
        batch.add(&format!("RPUSH list:big {}", items.join(" ")));
    }
    batch.add_bytes(&[b"RPUSH", b"list:of-large", &[b'x'; 9_000], b"small", &b"0123456789".repeat(1_000)]);
    if flavor.at_least_seven() {
        // Elements above the threshold are nodes of their own ("plain").
        batch.add("DEBUG QUICKLIST-PACKED-THRESHOLD 100b");
        batch.add_bytes(&[b"RPUSH", b"list:plain", &[b'x'; 300], b"small", &[b'y'; 301]]);
        batch.add("DEBUG QUICKLIST-PACKED-THRESHOLD 0");
    }
}

fn sets(batch: &mut Batch) {
    batch.add("SADD set:int16 1 -2 3000");
    batch.add("SADD set:int32 1 -2 70000");
    batch.add("SADD set:int64 1 -2 9000000000");
    batch.add("SADD set:small a b c 4");
    batch.add(&format!("SADD set:big {}", words("member", 1_000)));
    batch.add(&format!("SADD set:many-int {}", (0..700).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")));
}

fn sorted_sets(batch: &mut Batch) {
    batch.add("ZADD sorted:small 1 a -1.5 b inf c -inf d 0.1 e 1e300 f 1 g 3 h");
    let members: Vec<String> = (0..600).map(|n| format!("{} member:{n}", f64::from(n) / 7.0)).collect();
    batch.add(&format!("ZADD sorted:big {} inf last -inf first", members.join(" ")));
    batch.add("GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
}

fn hashes(batch: &mut Batch) {
    batch.add_bytes(&[b"HSET", b"hash:small", b"f", b"v", b"n", b"17", b"", b"", b"\x00\xff", b"\r\n"]);
    let fields: Vec<String> = (0..700).map(|n| format!("field:{n} value:{n}")).collect();
    batch.add(&format!("HSET hash:big {}", fields.join(" ")));
    batch.add(&format!("HSET hash:large-value f {}", "v".repeat(5_000)));
}

fn streams(batch: &mut Batch) {
    for id in 1..=300 {
        batch.add(&format!("XADD stream:big {id}-{} f {id} other value{id}", id % 3));
    }
    batch.add("XDEL stream:big 5-2 6-0 300-0");
    batch.add("XGROUP CREATE stream:big readers 0");
    batch.add("XGROUP CREATE stream:big others $");
    batch.add("XGROUP CREATECONSUMER stream:big readers idle-one");
    batch.add("XREADGROUP GROUP readers anna COUNT 40 STREAMS stream:big >");
    batch.add("XREADGROUP GROUP readers ben COUNT 30 STREAMS stream:big >");
    batch.add("XACK stream:big readers 1-1 2-2 50-2");
    batch.add("XCLAIM stream:big readers clara 0 10-1 11-2");
    // Pending, but deleted from the stream.
    batch.add("XDEL stream:big 12-0 13-1");
    batch.add("XADD stream:different-fields 1-1 a 1");
    batch.add("XADD stream:different-fields 1-2 b 2 c 3");
    batch.add("XADD stream:emptied 7-7 a 1");
    batch.add("XDEL stream:emptied 7-7");
    batch.add("XGROUP CREATE stream:only-a-group g 0 MKSTREAM");
    batch.add("XADD stream:moved 1-1 a 1");
    batch.add("XSETID stream:moved 99-9");
    batch.add("XADD stream:trimmed 1-1 a 1");
    batch.add("XADD stream:trimmed MAXLEN 1 2-1 a 1");
}

fn expiring(batch: &mut Batch) {
    batch.add("SET expiring:seconds v EX 10000");
    batch.add("SET expiring:far v PXAT 4102444800123");
    batch.add("RPUSH expiring:list a b");
    batch.add("PEXPIRE expiring:list 5000123");
    batch.add("ZADD expiring:sorted 1 a");
    batch.add("EXPIRE expiring:sorted 3000");
    batch.add("XADD expiring:stream 1-1 a 1");
    batch.add("EXPIRE expiring:stream 3000");
    batch.add("HSET expiring:hash a 1");
    batch.add("EXPIRE expiring:hash 3000");
}

fn words(name: &str, count: usize) -> String {
    (0..count).map(|n| format!("{name}:{n}")).collect::<Vec<_>>().join(" ")
}
