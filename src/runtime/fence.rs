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
use crate::engine::origin::{MOST_BELIEVED, Marker};
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
    let key = pair.reserved.epoch(source.as_str());
    let marker = pair.reserved.marker(source.as_str());
    let told = client
        .call_all(&[
            [b"CLIENT".as_slice(), b"SETNAME", name.as_bytes()].as_slice(),
            &[b"GET", &key],
            &[b"GET", &marker],
            &[b"CLIENT", b"ID"],
        ])
        .await?;
    let [_, held, marked, own] = told.as_slice() else {
        return Err(Fault::new(Kind::Protocol, format!("{} owes replies", client.place())));
    };
    let held = u64::try_from(integer(held)).unwrap_or(0);
    if held > MOST_BELIEVED {
        let (place, key) = (client.place(), String::from_utf8_lossy(&key));
        let text = format!("{place}: {key} is {held}, which no daemon has come to: delete it");
        return Err(Fault::new(Kind::Protocol, text));
    }
    let found = held.max(Marker::believed(bytes(marked)).map_or(0, |marker| marker.epoch));
    let (own, list) = (integer(own), [b"CLIENT".to_vec(), b"LIST".to_vec()].to_vec());
    let raising = raise(held, found, epoch).ok_or_else(|| {
        let place = client.place();
        let ours = epoch.unwrap_or(0);
        let text = format!("another daemon has taken over this pair at {place} (epoch {found} after {ours})");
        Fault::new(Kind::Superseded, text)
    })?;
    let mut requests: Vec<Vec<Vec<u8>>> = raising.iter().map(|raise| raise.request(&key)).collect();
    requests.push(list.clone());
    let mut raised = epoch;
    for look in 0..LOOKS {
        let mut replies = client.calls(&requests).await?;
        let listed = match replies.pop() {
            Some(Reply::Error(error)) => return Err(not_fenced(Fault::of_reply(&error, client.place()))),
            listed => listed.map(|listed| text(&listed)).unwrap_or_default(),
        };
        for reply in replies {
            match reply {
                Reply::Error(error) if look == 0 => return Err(Fault::of_reply(&error, client.place())),
                Reply::Error(error) if error.starts_with("NOPERM") => {
                    return Err(not_fenced(Fault::of_reply(&error, client.place())));
                }
                // A connection may have gone by itself meanwhile: the list tells.
                Reply::Integer(number) if look == 0 => raised = u64::try_from(number).ok(),
                _ => {}
            }
        }
        let others: Vec<String> = listed.lines().filter_map(|line| other(line, &name, own)).collect();
        if others.is_empty() {
            let none = || Fault::new(Kind::Protocol, format!("{}: bad epoch", client.place()));
            let raised = raised.ok_or_else(none)?;
            pair.links[index].set_claimed();
            return Ok(raised);
        }
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let kill = |id: &String| [b"CLIENT".as_slice(), b"KILL", b"ID", id.as_bytes()].map(<[u8]>::to_vec).to_vec();
        requests = others.iter().map(kill).collect();
        requests.push(list.clone());
    }
    Err(Fault::new(Kind::NotFenced, format!("{}: connections of an earlier run don't end", client.place())))
}

/// What is done to the epoch at the target.
#[derive(Debug, PartialEq, Eq)]
enum Raise {
    /// It is set to what is known otherwise.
    To(u64),
    /// It is raised by one, and told.
    ByOne,
}

impl Raise {
    fn request(&self, key: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::To(epoch) => vec![b"SET".to_vec(), key.to_vec(), epoch.to_string().into_bytes()],
            Self::ByOne => vec![b"INCR".to_vec(), key.to_vec()],
        }
    }
}

/// What is to be done where the key holds the epoch `held`, key and marker at most `found`, and this daemon has had the
/// epoch `ours`; `None` when another daemon has taken over.
fn raise(held: u64, found: u64, ours: Option<u64>) -> Option<Vec<Raise>> {
    match ours {
        Some(epoch) if found > epoch => None,
        Some(epoch) if held < epoch => Some(vec![Raise::To(epoch)]),
        Some(_) => Some(Vec::new()),
        None if held < found => Some(vec![Raise::To(found), Raise::ByOne]),
        None => Some(vec![Raise::ByOne]),
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
    fn the_epoch_is_raised_above_all_that_is_known_or_another_daemon_has_taken_over() {
        assert_eq!(raise(4, 4, None), Some(vec![Raise::ByOne]));
        assert_eq!(raise(0, 7, None), Some(vec![Raise::To(7), Raise::ByOne]), "the key is gone, the marker is there");
        assert_eq!(raise(5, 5, Some(5)), Some(vec![]));
        assert_eq!(raise(0, 5, Some(5)), Some(vec![Raise::To(5)]));
        assert_eq!(raise(6, 6, Some(5)), None);
        assert_eq!(raise(5, 6, Some(5)), None);
    }

    #[test]
    fn only_other_connections_with_the_links_name_are_ended() {
        let line = |id, name| format!("id={id} addr=127.0.0.1:1 laddr=127.0.0.1:2 fd=8 name={name} age=1 idle=0");
        assert_eq!(other(&line(7, "duet/p/a>b"), "duet/p/a>b", 9), Some("7".to_owned()));
        assert_eq!(other(&line(9, "duet/p/a>b"), "duet/p/a>b", 9), None);
        assert_eq!(other(&line(7, "duet/p/b>a"), "duet/p/a>b", 9), None);
        assert_eq!(other(&line(7, ""), "duet/p/a>b", 9), None);
    }
}
