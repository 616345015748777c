//! Deletions after a copy, as `runtime::sweep` finds them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use duet::error::Fault;

use super::Pair;
use super::client::{Client, bytes, elements, integer, text, turn};
use super::start::drained;
use duet::engine::source::Info;

/// Names of one database.
pub type Names = (u32, Vec<Vec<u8>>);

/// Batches of names that were found.
pub type Swept = Rc<RefCell<VecDeque<Names>>>;

/// Finds what the source no longer holds.
pub async fn sweep(pair: Rc<Pair>, index: usize, found: Swept) -> Result<(), Fault> {
    let mut source = Client::connect(&pair.world, index).await?;
    let mut target = Client::connect(&pair.world, 1 - index).await?;
    let databases = Info::parse(&text(&target.call(&["INFO", "keyspace"]).await?)).keyspace();
    for (database, _) in databases {
        target.call(&["SELECT", &database.to_string()]).await?;
        source.call(&["SELECT", &database.to_string()]).await?;
        let reply = target.call(&["SCAN", "0"]).await?;
        let names = elements(&reply).get(1).map(elements).unwrap_or_default().iter().map(|name| bytes(name).to_vec());
        let names: Vec<Vec<u8>> = names.filter(|name| !name.starts_with(pair.settings.reserved.prefix())).collect();
        for batch in names.chunks(3) {
            let missing = lacking(&mut source, batch.to_vec()).await?;
            if missing.is_empty() {
                continue;
            }
            drained(&pair, index, &mut target).await?;
            let missing = lacking(&mut source, missing).await?;
            if !missing.is_empty() {
                found.borrow_mut().push_back((database, missing));
                turn().await;
            }
        }
    }
    Ok(())
}

async fn lacking(source: &mut Client, names: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Fault> {
    let mut missing = Vec::new();
    for name in names {
        if integer(&source.call(&[b"EXISTS".as_slice(), &name]).await?) == 0 {
            missing.push(name);
        }
    }
    Ok(missing)
}
