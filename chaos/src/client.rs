//! An ordinary client of a server, for what tests and loads type.

use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};
use std::time::Duration;

/// How long one reply may take: a full sync, a long script or a `DEBUG SLEEP` can make a server slow.
const RESPONSE: Duration = Duration::from_secs(120);
/// How long a connection may take.
const CONNECTION: Duration = Duration::from_secs(30);

/// A connection that may be cloned and used from many tasks at once.
#[derive(Clone)]
pub struct Client {
    connection: MultiplexedConnection,
}

impl Client {
    /// Connects to `127.0.0.1:port` and selects `database`; `credentials` are user and password.
    ///
    /// # Errors
    /// When the server does not answer, or refuses the credentials.
    pub async fn connect(port: u16, database: i64, credentials: Option<(&str, &str)>) -> Result<Self> {
        let login = credentials.map_or(String::new(), |(user, password)| format!("{user}:{password}@"));
        let url = format!("redis://{login}127.0.0.1:{port}/{database}");
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE)).set_connection_timeout(Some(CONNECTION));
        let connection = redis::Client::open(url)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .with_context(|| format!("cannot connect to 127.0.0.1:{port}"))?;
        Ok(Self { connection })
    }

    /// Sends one command typed as in a shell: words, and quotes (single or double) around words with blanks.
    ///
    /// # Errors
    /// The server's error with the command that caused it.
    pub async fn run(&self, line: &str) -> Result<Value> {
        self.args(&words(line)?).await.with_context(|| format!("command: {line}"))
    }

    /// Sends one command given as its arguments.
    ///
    /// # Errors
    /// The server's error, or the connection's.
    pub async fn args<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Value> {
        let mut command = redis::Cmd::new();
        for arg in args {
            command.arg(arg.as_ref());
        }
        let value: Value = command.query_async(&mut self.connection.clone()).await?;
        Ok(value)
    }

    /// Sends commands in one pipeline and returns their replies, errors among them as values.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn pipeline<A: AsRef<[u8]>>(&self, commands: &[Vec<A>]) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for args in commands {
            let mut command = redis::Cmd::new();
            for arg in args {
                command.arg(arg.as_ref());
            }
            pipe.add_command(command);
        }
        Ok(pipe.ignore_errors().query_async(&mut self.connection.clone()).await?)
    }

    /// Runs every line of a script, one command per line; empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// The first error, with its line.
    pub async fn script(&self, lines: &str) -> Result<()> {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            self.run(line).await?;
        }
        Ok(())
    }

    /// Like [`Self::run`], for a reply that is a number.
    ///
    /// # Errors
    /// As [`Self::run`], and when the reply is anything else.
    pub async fn int(&self, line: &str) -> Result<i64> {
        match self.run(line).await? {
            Value::Int(number) => Ok(number),
            Value::Nil => Ok(0),
            Value::BulkString(digits) => Ok(String::from_utf8_lossy(&digits).parse()?),
            other => bail!("{line}: expected a number, got {other:?}"),
        }
    }

    /// Like [`Self::run`], for a reply that is a string; nil is the empty string.
    ///
    /// # Errors
    /// As [`Self::run`], and when the reply is anything else.
    pub async fn text(&self, line: &str) -> Result<String> {
        text(&self.run(line).await?).with_context(|| format!("command: {line}"))
    }

    /// One field of `INFO section`, or `None` when the server does not show it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn info(&self, section: &str, field: &str) -> Result<Option<String>> {
        let info = self.text(&format!("INFO {section}")).await?;
        let found = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(found.map(|value| value.trim().to_owned()))
    }
}

/// A reply as text: strings and numbers as they are, nil as the empty string.
///
/// # Errors
/// When the reply is an array or an error.
pub fn text(value: &Value) -> Result<String> {
    Ok(match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Nil => String::new(),
        other => bail!("expected text, got {other:?}"),
    })
}

/// Splits a line into words; quotes keep blanks, nothing is escaped.
pub(crate) fn words(line: &str) -> Result<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).with_context(|| format!("unclosed {first} in: {line}"))?,
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.as_bytes().to_vec());
        rest = after.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_and_the_empty_word() {
        let expected: Vec<Vec<u8>> = ["SET", "k", "a b", "", "it's"].iter().map(|w| w.as_bytes().to_vec()).collect();
        assert_eq!(words(r#" SET  k 'a b' '' "it's""#).unwrap(), expected);
        assert!(words("SET 'k").is_err());
    }
}
