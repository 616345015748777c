//! TLS, to servers and of Duet's own listeners: whose certificate is believed, and what happens when they are renewed.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::load::Counted;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::port::Port;
use duet_chaos::wait::eventually;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An authority, and files in a directory.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        // Names of their own: where it signs its own name, OpenSSL takes a certificate for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes `name.pem` and `name.key`, for these names; expired, or valid.
    fn write(&self, place: &Path, name: &str, names: &[&str], expired: bool) -> Result<()> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(if expired { 2021 } else { 2090 }, 1, 1);
        let key = KeyPair::generate()?;
        std::fs::write(place.join(format!("{name}.pem")), params.signed_by(&key, &self.issuer)?.pem())?;
        std::fs::write(place.join(format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }
}

/// Two servers with TLS, and the files of everybody.
struct Secure {
    regions: Regions,
    ports: [Port; 2],
    place: tempfile::TempDir,
    right: Authority,
    wrong: Authority,
}

impl Secure {
    async fn start() -> Result<Self> {
        let place = tempfile::tempdir()?;
        let (right, wrong) = (Authority::new("the right one")?, Authority::new("the wrong one")?);
        std::fs::write(place.path().join("ca.pem"), &right.pem)?;
        right.write(place.path(), "server", &["localhost", "127.0.0.1"], false)?;
        right.write(place.path(), "expired", &["localhost", "127.0.0.1"], true)?;
        right.write(place.path(), "named", &["redis.example"], false)?;
        let ports = [Port::free()?, Port::free()?];
        let file = |name: &str| place.path().join(name).display().to_string();
        let args = ports.each_ref().map(|port| {
            let files =
                [("--tls-cert-file", "server.pem"), ("--tls-key-file", "server.key"), ("--tls-ca-cert-file", "ca.pem")];
            let mut args = vec!["--tls-port".to_owned(), port.number().to_string()];
            args.extend(files.iter().flat_map(|(option, name)| [(*option).to_owned(), file(name)]));
            args.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
            args
        });
        let [west, east] = args.each_ref().map(|args| args.iter().map(String::as_str).collect::<Vec<_>>());
        let regions = Regions::start_with((Redis70, &west), (Redis70, &east)).await?;
        Ok(Self { regions, ports, place, right, wrong })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The daemon's configuration; `more` goes into both regions.
    fn config(&self, more: &str) -> String {
        let ca = self.file("trusted.pem").display().to_string();
        let [west, east] = self.ports.each_ref().map(Port::number);
        let region = |name: &str, port: u16| {
            format!("[region.{name}]\nurl = \"rediss://localhost:{port}\"\nca_file = \"{ca}\"\n{more}\n")
        };
        format!(
            "[pair]\nname = \"orders\"\n[forward]\nsource = \"west\"\ntarget = \"east\"\n{}{}",
            region("west", west),
            region("east", east)
        )
    }

    fn own(&self) -> String {
        let file = |name: &str| self.file(name).display().to_string();
        format!("certificate_file = \"{}\"\nkey_file = \"{}\"", file("duet.pem"), file("duet.key"))
    }

    /// Has the source's server show another certificate, and ends all connections to it but this one.
    async fn show(&self, west: &Client, name: &str) -> Result<()> {
        let (certificate, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        west.args(&["CONFIG", "SET", "tls-cert-file", &certificate, "tls-key-file", &key]).await?;
        cut(west).await
    }
}

async fn cut(server: &Client) -> Result<()> {
    for kind in ["replica", "pubsub", "normal"] {
        server.args(&["CLIENT", "KILL", "TYPE", kind]).await?;
    }
    Ok(())
}

/// Waits until a link is halted with this code and these words.
async fn halted(daemon: &Daemon, code: &str, words: &[&str]) -> Result<()> {
    let is = |link: &serde_json::Value| {
        let reason = link["reason"].as_str().unwrap_or_default();
        link["state"] == "halted" && link["error_code"] == code && words.iter().all(|word| reason.contains(word))
    };
    let any = |status: &serde_json::Value| status["links"].as_array().is_some_and(|links| links.iter().any(is));
    daemon.wait_for(&format!("{code} {words:?}"), DEADLINE, any).await.map(drop)
}

#[tokio::test]
async fn only_a_certificate_of_the_right_authority_name_and_time_is_believed_and_renewed_files_count() -> Result<()> {
    let secure = Secure::start().await?;
    std::fs::write(secure.file("trusted.pem"), &secure.wrong.pem)?;
    let daemon = Daemon::start(duet(), &secure.config(""))?;
    halted(&daemon, "certificate", &["UnknownIssuer"]).await?;
    std::fs::write(secure.file("trusted.pem"), &secure.right.pem)?;
    daemon.wait_streaming(DEADLINE).await?;
    let (west, east) = secure.regions.clients().await?;
    Counted::new("w").write(&west, 200).await?;
    Counted::new("e").write(&east, 200).await?;
    west.args(&["SET", "big", &"x".repeat(3_000_000)]).await?;
    secure.regions.wait_equal().await?;
    for words in [["why", "big"].as_slice(), &["verify"]] {
        let said = Command::new(duet()).args(words).arg("--config").arg(daemon.config()).output()?;
        ensure!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
    let checked = Command::new(duet()).args(["check", "--json", "--config"]).arg(daemon.config()).output()?;
    let checked = String::from_utf8(checked.stdout)?;
    ensure!(checked.contains("\"encrypted\"") && !checked.contains("not encrypted"), "{checked}");

    secure.show(&west, "expired").await?;
    halted(&daemon, "certificate", &["xpired"]).await?;
    secure.show(&west, "named").await?;
    halted(&daemon, "certificate", &["localhost"]).await?;
    secure.show(&west, "server").await?;
    daemon.wait_streaming(DEADLINE).await?;

    // New files that cannot be used take nothing away that works.
    std::fs::write(secure.file("trusted.pem"), "-----BEGIN CERTIFICATE-----\nhalf")?;
    cut(&west).await?;
    west.args(&["SET", "after", "1"]).await?;
    secure.regions.wait_equal().await?;
    ensure!(daemon.output().contains("the ones before are"), "{}", daemon.log_end());
    Ok(())
}

#[tokio::test]
async fn where_a_server_wants_a_certificate_it_gets_duets_and_a_renewed_one_too() -> Result<()> {
    let secure = Secure::start().await?;
    std::fs::write(secure.file("trusted.pem"), &secure.right.pem)?;
    let (west, _) = secure.regions.clients().await?;
    west.args(&["CONFIG", "SET", "tls-auth-clients", "yes"]).await?;
    let mut without = Daemon::start(duet(), &secure.config(""))?;
    halted(&without, "tls", &["refuses our TLS", "CertificateRequired"]).await?;
    ensure!(without.terminate().await?.success());

    secure.wrong.write(secure.place.path(), "duet", &["duet"], false)?;
    let daemon = Daemon::start(duet(), &secure.config(&secure.own()))?;
    halted(&daemon, "tls", &["refuses our TLS"]).await?;
    secure.right.write(secure.place.path(), "duet", &["duet"], false)?;
    daemon.wait_streaming(DEADLINE).await?;
    Counted::new("w").write(&west, 50).await?;
    secure.regions.wait_equal().await.context("by TLS with certificates of both")
}

/// What a command says of a daemon whose listeners speak TLS, where these files are believed.
fn asked(words: &[&str], environment: &[(&str, &str)], believed: &Path) -> Result<Output> {
    let mut command = Command::new(duet());
    command.args(words).envs(environment.iter().copied()).env("SSL_CERT_FILE", believed);
    Ok(command.output()?)
}

#[tokio::test]
async fn http_speaks_tls_and_takes_a_renewed_certificate_and_not_half_of_one() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (right, wrong) = (Authority::new("the right one")?, Authority::new("the wrong one")?);
    let file = |name: &str| place.path().join(name);
    std::fs::write(file("right.pem"), &right.pem)?;
    std::fs::write(file("wrong.pem"), &wrong.pem)?;
    right.write(place.path(), "http", &["localhost"], false)?;
    let (certificate, key) = (file("http.pem").display().to_string(), file("http.key").display().to_string());
    let environment = [("DUET__HTTP__CERTIFICATE_FILE", &*certificate), ("DUET__HTTP__KEY_FILE", &*key)];
    let regions = Regions::start(Redis70, Redis70).await?;
    let port = Port::free()?;
    let orders = format!("[admin]\nlisten = \"127.0.0.1:{}\"\n", port.number());
    let more = More { tables: orders, ..More::default() };
    let daemon = Daemon::start_with(duet(), &regions.config(&more), &environment)?;
    let config = daemon.config().display().to_string();
    let url = daemon.url().replace("http://127.0.0.1", "https://localhost");
    let succeeds = async |what: &str, words: &[&str], believed: &str| {
        eventually(what, DEADLINE, async || {
            let said = asked(words, &environment, &file(believed))?;
            Ok(said.status.success().then_some(said))
        })
        .await
    };

    // The commands believe the certificate that the configuration names; others ask whom they believe.
    succeeds("the status by the configuration", &["status", "--config", &config], "wrong.pem").await?;
    succeeds("the status by a url", &["status", "--url", &url], "right.pem").await?;
    let refused = asked(&["status", "--url", &url], &[], &file("wrong.pem"))?;
    let said = String::from_utf8(refused.stderr)?;
    ensure!(!refused.status.success() && said.contains("UnknownIssuer"), "{said}");
    ensure!(daemon.get("/livez").await.is_err(), "nothing is told without TLS");
    succeeds("an order", &["pause", "forward", "--config", &config], "wrong.pem").await?;
    succeeds("an order", &["resume", "forward", "--config", &config], "wrong.pem").await?;

    wrong.write(place.path(), "http", &["localhost"], false)?;
    succeeds("the renewed certificate", &["status", "--url", &url], "wrong.pem").await?;
    succeeds("the same by the configuration", &["status", "--config", &config], "right.pem").await?;
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nhalf")?;
    eventually("the half certificate to be seen", DEADLINE, async || {
        let said = asked(&["status", "--url", &url], &[], &file("wrong.pem"))?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Ok(daemon.output().contains("new certificates cannot be used").then_some(()))
    })
    .await
}
