//! A stand-in before a real server, which lies where it is told to: to a command it says what a script says instead of the
//! server's answer, and to replicas it says things in the middle of their stream. All else passes both ways as it is.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

/// How much is passed on at once, bytes.
const READ: usize = 64 * 1024;
/// The longest request that is looked at, bytes; what is longer is passed on as it comes.
const LONGEST: usize = 64 * 1024;
/// Words of the replica's stream that wait to be said.
const WAITING: usize = 16;

/// What is said.
#[derive(Clone, Debug)]
pub enum Says {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, one at a time, with a pause after each.
    Slowly(Vec<u8>, Duration),
    /// These bytes again and again.
    Forever(Vec<u8>),
    /// Nothing more, and the connection stays.
    Nothing,
    /// The connection ends.
    End,
}

/// What is said to requests that begin with these words instead of asking the server.
#[derive(Clone, Debug)]
pub struct Lie {
    /// The first words of the request, in capitals as far as commands are, as `PSYNC ?`.
    pub to: String,
    /// What is said to it, in this order. Then the connection goes on with the truth, where it can.
    pub says: Vec<Says>,
}

impl Lie {
    /// The bytes that are said to requests that begin with these words.
    pub fn bytes(to: &str, says: impl AsRef<[u8]>) -> Self {
        Self { to: to.to_owned(), says: vec![Says::Bytes(says.as_ref().to_vec())] }
    }
}

/// Which connections are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Those of replicas.
    Replicas,
    /// All.
    All,
}

/// The stand-in.
pub struct Liar {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    lies: Mutex<Vec<Lie>>,
    told: AtomicU64,
    /// How often connections were cut, and which the last time.
    cut: watch::Sender<(u64, Cut)>,
    /// How often it turned honest.
    honest: watch::Sender<u64>,
    inserted: broadcast::Sender<Vec<u8>>,
    /// Whether replicas get their stream byte by byte.
    drips: AtomicBool,
}

impl Liar {
    /// Listens on a free port of 127.0.0.1, before the server at this address. It is honest at first.
    ///
    /// # Errors
    /// When it can't listen.
    pub async fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            lies: Mutex::default(),
            told: AtomicU64::new(0),
            cut: watch::Sender::new((0, Cut::All)),
            honest: watch::Sender::new(0),
            inserted: broadcast::Sender::new(WAITING),
            drips: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // Either side may end the connection at any time.
                tokio::spawn(async move { drop(serve(client, &shared).await) });
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Tells this lie from now on, and no other.
    pub fn tell(&self, lie: Lie) {
        *self.shared.lies.lock().unwrap_or_else(PoisonError::into_inner) = vec![lie];
    }

    /// Tells no lie any more, and ends the connections on which it still tells one.
    pub fn turn_honest(&self) {
        self.shared.lies.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.honest.send_modify(|times| *times += 1);
    }

    /// How many lies it has told so far.
    pub fn told(&self) -> u64 {
        self.shared.told.load(Ordering::SeqCst)
    }

    /// Cuts connections.
    pub fn cut(&self, which: Cut) {
        self.shared.cut.send_modify(|cut| *cut = (cut.0 + 1, which));
    }

    /// Whether what replicas get from the server comes byte by byte from now on, each in a packet of its own.
    pub fn drip(&self, drips: bool) {
        self.shared.drips.store(drips, Ordering::SeqCst);
    }

    /// Says this to all replicas, in the middle of their stream.
    ///
    /// # Errors
    /// When there is no replica.
    pub fn insert(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        match self.shared.inserted.send(bytes.as_ref().to_vec()) {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => bail!("no replica listens to {}", self.address),
        }
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> Result<()> {
    let mut server = TcpStream::connect(&shared.server).await?;
    client.set_nodelay(true)?;
    let (mut asked, mut answered) = (Vec::new(), vec![0; READ]);
    let mut cuts = shared.cut.subscribe();
    let mut inserted = None;
    loop {
        tokio::select! {
            read = client.read_buf(&mut asked) => {
                if read? == 0 {
                    return Ok(());
                }
                while let Some(length) = request(&asked) {
                    let bytes: Vec<u8> = asked.drain(..length).collect();
                    let words = words(&bytes);
                    match lie_to(&words, shared) {
                        Some(lie) => tell(&mut client, &lie, shared).await?,
                        None => {
                            if words.starts_with("PSYNC") {
                                inserted = Some(shared.inserted.subscribe());
                            }
                            server.write_all(&bytes).await?;
                        }
                    }
                }
            }
            read = server.read(&mut answered) => {
                let bytes = read?;
                if bytes == 0 {
                    return Ok(());
                }
                if inserted.is_some() && shared.drips.load(Ordering::SeqCst) {
                    slowly(&mut client, &answered[..bytes], Duration::ZERO).await?;
                } else {
                    client.write_all(&answered[..bytes]).await?;
                }
            }
            bytes = next(&mut inserted) => client.write_all(&bytes?).await?,
            changed = cuts.changed() => {
                changed?;
                if cuts.borrow_and_update().1 == Cut::All || inserted.is_some() {
                    return Ok(());
                }
            }
        }
    }
}

/// The next thing to be inserted, where the connection is a replica's.
async fn next(inserted: &mut Option<broadcast::Receiver<Vec<u8>>>) -> Result<Vec<u8>> {
    match inserted {
        Some(inserted) => Ok(inserted.recv().await?),
        None => std::future::pending().await,
    }
}

fn lie_to(words: &str, shared: &Shared) -> Option<Lie> {
    let lies = shared.lies.lock().unwrap_or_else(PoisonError::into_inner);
    lies.iter().find(|lie| words.starts_with(&lie.to)).cloned()
}

/// Tells a lie, until it is told, the client has gone, or the liar turns honest or cuts its connections.
async fn tell(client: &mut TcpStream, lie: &Lie, shared: &Shared) -> Result<()> {
    let (mut honest, mut cuts) = (shared.honest.subscribe(), shared.cut.subscribe());
    shared.told.fetch_add(1, Ordering::SeqCst);
    let telling = async {
        for says in &lie.says {
            match says {
                Says::Bytes(bytes) => client.write_all(bytes).await?,
                Says::Slowly(bytes, pause) => slowly(client, bytes, *pause).await?,
                Says::Forever(bytes) => loop {
                    client.write_all(bytes).await?;
                },
                Says::Nothing => std::future::pending().await,
                Says::End => bail!("the lie is told"),
            }
        }
        Ok(())
    };
    tokio::select! {
        told = telling => told,
        _ = honest.changed() => bail!("it turned honest"),
        _ = cuts.changed() => bail!("it was cut"),
    }
}

/// Says bytes one at a time.
async fn slowly(client: &mut TcpStream, bytes: &[u8], pause: Duration) -> Result<()> {
    for byte in bytes {
        client.write_all(&[*byte]).await?;
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(())
}

/// The length of the whole request at the start of `bytes`: an array of bulk strings, or whatever is there where it is longer
/// than what is looked at.
fn request(bytes: &[u8]) -> Option<usize> {
    let line = |at: usize| {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let number: usize = std::str::from_utf8(rest.get(1..end)?).ok()?.trim().parse().ok()?;
        Some((number, at + end + 1))
    };
    if bytes.len() > LONGEST {
        return Some(bytes.len());
    }
    let (count, mut at) = line(0)?;
    for _ in 0..count {
        let (length, start) = line(at)?;
        at = start + length + 2;
    }
    (at <= bytes.len()).then_some(at)
}

/// The words of a request, with spaces between them, the command in capitals.
fn words(request: &[u8]) -> String {
    let lines: Vec<String> =
        request.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).trim().to_owned()).collect();
    let words: Vec<&str> = lines.iter().skip(2).step_by(2).map(String::as_str).collect();
    let (name, rest) = words.split_first().map_or(("", &[][..]), |(name, rest)| (*name, rest));
    [&[name.to_ascii_uppercase()], &rest.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..]]
        .concat()
        .join(" ")
}
