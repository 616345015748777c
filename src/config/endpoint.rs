//! `redis://[user[:password]@]host[:port]`.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

use super::Shard;

/// The port of a url without one.
const DEFAULT_PORT: u16 = 6379;

const FORM: &str = "Write it as \"redis://host:port\", or \"rediss://host:port\" for TLS";

/// What a url says.
#[derive(Debug)]
pub struct Endpoint {
    pub shard: Shard,
    pub tls: bool,
    pub username: Option<String>,
    pub password: Option<SecretString>,
}

/// What is wrong with a url, and the remedy. Neither repeats any part of the url, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointError {
    pub problem: &'static str,
    pub remedy: &'static str,
}

impl Endpoint {
    /// Takes a url in the form that `redis-cli -u` takes, without a database.
    ///
    /// # Errors
    /// Another scheme, a missing host, and every part that would be without effect.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim()).map_err(|_| error("is not a url", FORM))?;
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(error("does not begin with redis:// or rediss://", FORM)),
        };
        if !matches!(url.path(), "" | "/") {
            return Err(error("names a database, but all databases are copied", "Remove what follows the port"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(error("has options, and there are none", "Remove what follows the port"));
        }
        let host = host_of(&url).ok_or(error("has no host", FORM))?;
        let port = url.port().unwrap_or(DEFAULT_PORT);
        if port == 0 {
            return Err(error("has port 0, where no server can be reached", FORM));
        }
        let username = Some(decoded(url.username())?).filter(|name| !name.is_empty());
        let password = url.password().map(decoded).transpose()?.filter(|text| !text.is_empty());
        Ok(Self { shard: Shard { host, port }, tls, username, password: password.map(SecretString::from) })
    }
}

fn host_of(url: &Url) -> Option<String> {
    let host = match url.host()? {
        Host::Domain(name) => percent_decode_str(name).decode_utf8().ok()?.into_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    (!host.is_empty()).then_some(host)
}

fn decoded(text: &str) -> Result<String, EndpointError> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(|text| text.into_owned()).map_err(|_| {
        error("has a user part that is not UTF-8 after its % signs are decoded", "Use `username` and `password_file`")
    })
}

fn error(problem: &'static str, remedy: &'static str) -> EndpointError {
    EndpointError { problem, remedy }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_url_gives_host_port_and_decoded_credentials() {
        let endpoint = Endpoint::parse("redis://duet:p%40ss%2Fw@db.example:7001/").unwrap();
        assert_eq!(endpoint.shard, Shard { host: "db.example".into(), port: 7001 });
        assert_eq!(endpoint.username.as_deref(), Some("duet"));
        assert_eq!(endpoint.password.unwrap().expose_secret(), "p@ss/w");
    }

    #[test]
    fn a_url_without_port_means_6379_and_ipv6_loses_its_brackets() {
        assert_eq!(Endpoint::parse("redis://db").unwrap().shard, Shard { host: "db".into(), port: 6379 });
        assert_eq!(Endpoint::parse("valkey://[::1]:7001").unwrap().shard, Shard { host: "::1".into(), port: 7001 });
        let only_password = Endpoint::parse("redis://:secret@db").unwrap();
        assert_eq!(only_password.username, None);
        assert_eq!(only_password.password.unwrap().expose_secret(), "secret");
    }

    #[test]
    fn what_would_be_without_effect_is_refused() {
        for (url, part) in [
            ("http://db:1", "redis://"),
            ("redis://db:1/0", "database"),
            ("redis://db:1?timeout=3", "options"),
            ("redis://:1", "not a url"),
            ("redis://", "no host"),
            ("redis:db:1", "database"),
            ("db:7001", "redis://"),
            ("127.0.0.1:7001", "not a url"),
            ("unix:///tmp/redis.sock", "redis://"),
            ("redis://db:0", "port 0"),
            ("redis://db:70000", "not a url"),
            ("", "not a url"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(error.problem.contains(part), "{url}: {}", error.problem);
        }
    }
}
