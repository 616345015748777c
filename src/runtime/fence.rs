//! Being the only one that writes for a link: connections of an earlier run are ended, another daemon is found out.
//!
//! A connection that is believed dead may still deliver. So before the marker is believed, every connection with this
//! link's name but ours must be gone *at the server*. The epoch decides between two daemons: the one that started later
//! has raised it. The name is set before the epoch is read, and the epoch raised before connections are listed: so a
//! daemon either finds a higher epoch, or is found itself.
//!
//! Each link has an epoch, so of two daemons that start at once each may be the later one on one link. The forward link
//! decides then: see [`yields`].

use std::time::Duration;

use super::client::{Client, Reply, bytes, integer, text};
use super::shared::Pair;
use crate::engine::origin::Marker;
use crate::error::{Fault, Kind};

/// How often connections are listed until those that were ended are gone.
const LOOKS: u32 = 100;
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes `client` the only connection that writes for the link `index`. Gives the epoch, which is `epoch` if there was
/// one already.
///
/// # Errors
/// A [`Fault`] of kind `Superseded` when another daemon has taken over, `NotFenced` when earlier connections stay.
pub async fn claim(client: &mut Client, pair: &Pair, index: usize, epoch: Option<u64>) -> Result<u64, Fault> {
    let (source, target) = (&pair.source(index).name, &pair.target(index).name);
    let name = format!("duet/{}/{source}>{target}", pair.config().pair.name);
    client.call(&["CLIENT", "SETNAME", &name]).await?;
    let epoch = settle_epoch(client, pair, index, epoch).await?;
    let own = integer(&client.call(&["CLIENT", "ID"]).await?);
    for look in 0..LOOKS {
        let listed = client.call(&["CLIENT", "LIST"]).await.map_err(not_fenced)?;
        let listed = text(&listed);
        let others: Vec<String> = listed.lines().filter_map(|line| other(line, &name, own)).collect();
        if others.is_empty() {
            pair.links[index].set_claimed();
            return Ok(epoch);
        }
        for id in &others {
            match client.calls(&[["CLIENT", "KILL", "ID", id]]).await?.pop() {
                Some(Reply::Error(error)) if error.starts_with("NOPERM") => {
                    return Err(not_fenced(Fault::of_reply(&error, client.place())));
                }
                _ => {} // it may have gone by itself meanwhile: the next look tells
            }
        }
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Err(Fault::new(Kind::NotFenced, format!("{}: connections of an earlier run don't end", client.place())))
}

async fn settle_epoch(client: &mut Client, pair: &Pair, index: usize, epoch: Option<u64>) -> Result<u64, Fault> {
    let source = pair.source(index);
    let source = source.name.as_str();
    let (key, marker) = (pair.reserved.epoch(source), pair.reserved.marker(source));
    let held = u64::try_from(integer(&client.call(&[b"GET".as_slice(), &key]).await?)).unwrap_or(0);
    let marked = Marker::parse(bytes(&client.call(&[b"GET".as_slice(), &marker]).await?)).map_or(0, |m| m.epoch);
    match epoch {
        Some(epoch) if held.max(marked) > epoch => Err(Fault::new(
            Kind::Superseded,
            format!(
                "another daemon has taken over this pair at {} (epoch {} after {epoch})",
                client.place(),
                held.max(marked)
            ),
        )),
        Some(epoch) => {
            if held < epoch {
                client.call(&[b"SET".as_slice(), &key, epoch.to_string().as_bytes()]).await?;
            }
            Ok(epoch)
        }
        None => {
            if held < marked {
                client.call(&[b"SET".as_slice(), &key, marked.to_string().as_bytes()]).await?;
            }
            let raised = integer(&client.call(&[b"INCR".as_slice(), &key]).await?);
            u64::try_from(raised).map_err(|_| Fault::new(Kind::Protocol, format!("{}: bad epoch", client.place())))
        }
    }
}

/// Whether this daemon stops, having found a higher epoch on the link `index`.
///
/// On the reverse link it does not if it has written for the forward one: then it takes the reverse link back, unless it
/// is found out on the forward link too. So of two daemons the one that came later there stays, with both links.
pub fn yields(pair: &Pair, index: usize) -> bool {
    index == 0 || pair.superseded.is_cancelled() || !pair.links[0].is_claimed()
}

/// The id of the connection on a line of `CLIENT LIST`, if it has our link's name and is not ours.
fn other(line: &str, name: &str, own: i64) -> Option<String> {
    let value = |field: &str| line.split(' ').find_map(|part| part.strip_prefix(field));
    let id = value("id=")?;
    (value("name=")? == name && id != own.to_string()).then(|| id.to_owned())
}

fn not_fenced(fault: Fault) -> Fault {
    match fault.kind {
        Kind::NoPermission => Fault::new(Kind::NotFenced, fault.text),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_connections_with_the_links_name_are_ended() {
        let line = |id, name| format!("id={id} addr=127.0.0.1:1 laddr=127.0.0.1:2 fd=8 name={name} age=1 idle=0");
        assert_eq!(other(&line(7, "duet/p/a>b"), "duet/p/a>b", 9), Some("7".to_owned()));
        assert_eq!(other(&line(9, "duet/p/a>b"), "duet/p/a>b", 9), None);
        assert_eq!(other(&line(7, "duet/p/b>a"), "duet/p/a>b", 9), None);
        assert_eq!(other(&line(7, ""), "duet/p/a>b", 9), None);
    }
}
