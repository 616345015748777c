//! Deletions after a copy, as `runtime::sweep` finds them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use duet::engine::copy::dumped::Dumped;
use duet::engine::copy::onto::hold;
use duet::engine::source::Info;
use duet::error::Fault;

use super::Pair;
use super::client::{Client, bytes, elements, text, turn};
use super::start::drained;

/// Names of one database.
pub type Names = (u32, Vec<Vec<u8>>);

/// Batches of names that were found.
pub type Swept = Rc<RefCell<VecDeque<Names>>>;

/// What a server holds in a database, but Duet's own: that database is selected.
pub async fn names(pair: &Pair, client: &mut Client, database: u32) -> Result<Vec<Vec<u8>>, Fault> {
    client.call(&["SELECT", &database.to_string()]).await?;
    let reply = client.call(&["SCAN", "0"]).await?;
    let names = elements(&reply).get(1).map(elements).unwrap_or_default().iter().map(|name| bytes(name).to_vec());
    Ok(names.filter(|name| !name.starts_with(pair.settings.reserved.prefix())).collect())
}

/// Finds what was not in the dump.
pub async fn sweep(pair: Rc<Pair>, index: usize, dumped: Dumped, found: Swept) -> Result<(), Fault> {
    let mut target = Client::connect(&pair.world, 1 - index).await?;
    let databases = Info::parse(&text(&target.call(&["INFO", "keyspace"]).await?)).keyspace();
    for (database, _) in databases {
        for batch in names(&pair, &mut target, database).await?.chunks(3) {
            let mut names = batch.to_vec();
            names.retain(|name| !dumped.holds(database, name));
            hold(&pair.onto[1 - index]).drop_written(database, &mut names);
            if names.is_empty() {
                continue;
            }
            drained(&pair, index, &mut target).await?;
            hold(&pair.onto[1 - index]).drop_written(database, &mut names);
            if !names.is_empty() {
                found.borrow_mut().push_back((database, names));
                turn().await;
            }
        }
    }
    Ok(())
}
