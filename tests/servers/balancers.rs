//! Real load balancers before two servers, with the files of `conf/`: they take a region out that lags, and back in.

use crate::admin::{admin, order};
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::port::Port;
use duet_chaos::process::Process;
use duet_chaos::redis;
use duet_chaos::redis::aio::MultiplexedConnection;
use duet_chaos::wait::eventually;
use std::path::Path;

/// Standing in the files of `conf/` for what a test puts in their place.
const DUET: &str = "127.0.0.1:8780";
const REDIS: &str = "127.0.0.1:6379";
/// What a write contains whose way to the other region is held.
const HELD: &str = "held:west";

/// A pair whose forward link can be held, the daemon, and where a balancer is to listen.
struct Front {
    regions: Regions,
    daemon: Daemon,
    agent: Port,
    listen: Port,
    /// Where orders are taken.
    _place: tempfile::TempDir,
}

impl Front {
    async fn start() -> Result<Self> {
        let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
        let agent = Port::free()?;
        let health = format!("[health]\nrise = 4\nagent_listen = \"127.0.0.1:{}\"\n", agent.number());
        let place = tempfile::tempdir()?;
        let more = More { tables: health + &admin(place.path()), ..More::default() };
        let daemon = regions.daemon_with(duet(), &more).await?;
        Ok(Self { regions, daemon, agent, listen: Port::free()?, _place: place })
    }

    /// A file of `conf/` with the addresses and names of this test; the east is the near region.
    fn adapted(&self, text: &str) -> String {
        let duet = self.daemon.url().replace("http://", "");
        let (host, port) = duet.split_once(':').expect("an address has a port");
        text.replace(DUET, &duet)
            .replace("addr 127.0.0.1 port 8780", &format!("addr {host} port {port}"))
            .replace("agent-port 8782", &format!("agent-port {}", self.agent.number()))
            .replace(REDIS, &format!("127.0.0.1:{}", self.listen.number()))
            .replace("10.1.0.5:6379", &self.regions.east.address())
            .replace("10.2.0.5:6379", &self.regions.west.address())
            .replace("eu-west", "east")
            .replace("us-east", "west")
    }

    /// A connection through the balancer.
    async fn connection(&self) -> Result<MultiplexedConnection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.listen.number()))?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// The port of the server that a new connection through the balancer comes to.
    async fn behind(&self) -> Result<u16> {
        port_of(&mut self.connection().await?).await
    }

    async fn wait_behind(&self, what: &str, port: u16, balancer: &Process) -> Result<()> {
        let there = async || Ok((self.behind().await? == port).then_some(()));
        eventually(what, DEADLINE, there).await.with_context(|| balancer.output())
    }

    /// Holds the link from the west to the east: the east lags from now on.
    async fn hold_back_the_east(&self) -> Result<()> {
        let proxy = self.regions.east_proxy.as_ref().context("no proxy")?;
        proxy.hold(HELD);
        self.regions.west.client().await?.args(&["INCR", HELD]).await?;
        eventually("the link to be held", DEADLINE, async || Ok((proxy.holding() > 0).then_some(()))).await
    }

    fn release(&self) {
        self.regions.east_proxy.iter().for_each(|proxy| proxy.release());
    }

    /// The near region is taken out when it lags, and back in; and one that clients are to leave is left.
    async fn out_and_in(&self, balancer: &Process) -> Result<()> {
        let (east, west) = (self.regions.east.port(), self.regions.west.port());
        self.wait_behind("the near region", east, balancer).await?;
        self.hold_back_the_east().await?;
        self.wait_behind("the other region, since the near one lags", west, balancer).await?;
        self.release();
        self.wait_behind("the near region again", east, balancer).await
    }
}

/// The port of the server at the other end.
async fn port_of(connection: &mut MultiplexedConnection) -> Result<u16> {
    let info: String = redis::cmd("INFO").arg("server").query_async(connection).await?;
    let port = info.lines().find_map(|line| line.strip_prefix("tcp_port:")).context("no tcp_port")?;
    Ok(port.trim().parse()?)
}

fn haproxy(front: &Front, text: &str) -> Result<Process> {
    let text = front.adapted(text);
    Process::start("haproxy", |dir| {
        std::fs::write(dir.join("haproxy.cfg"), text)?;
        Ok(["-db", "-f", "haproxy.cfg"].map(str::to_owned).to_vec())
    })
}

#[tokio::test]
async fn haproxy_takes_a_lagging_region_out_and_back_in() -> Result<()> {
    let mut front = Front::start().await?;
    let haproxy = haproxy(&front, include_str!("../../conf/haproxy.cfg"))?;
    front.out_and_in(&haproxy).await?;
    // Without Duet any server that answers is better than none.
    front.daemon.kill9()?;
    front.wait_behind("a server without Duet", front.regions.east.port(), &haproxy).await
}

#[tokio::test]
async fn haproxy_may_ask_by_head_as_well() -> Result<()> {
    let front = Front::start().await?;
    let by_head = include_str!("../../conf/haproxy.cfg").replace("meth GET", "meth HEAD");
    ensure!(by_head.contains("meth HEAD"));
    let haproxy = haproxy(&front, &by_head)?;
    front.out_and_in(&haproxy).await
}

// The proxies go on while an order is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_drained_region_keeps_its_sessions_in_haproxy_and_gets_no_new_ones() -> Result<()> {
    let front = Front::start().await?;
    let (east, west) = (front.regions.east.port(), front.regions.west.port());
    // A region whose lag is not borne loses its sessions, which is not what this is about: any lag is.
    let patient = include_str!("../../conf/haproxy-agent.cfg").replace(" 500\\n", " 60000\\n");
    ensure!(patient.contains(" 60000\\n"));
    let haproxy = haproxy(&front, &patient)?;
    front.wait_behind("the near region", east, &haproxy).await?;
    let mut session = front.connection().await?;
    ensure!(port_of(&mut session).await? == east);
    let started = order(&front.daemon, &["drill", "start", "east"])?;
    ensure!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    front.wait_behind("the other region, since the near one is drained", west, &haproxy).await?;
    let stays = port_of(&mut session).await.with_context(|| haproxy.output())?;
    ensure!(stays == east, "the session from before the drain stays");
    ensure!(order(&front.daemon, &["drill", "abort"])?.status.success());
    front.wait_behind("the near region again", east, &haproxy).await?;
    ensure!(port_of(&mut session).await.with_context(|| haproxy.output())? == east);
    Ok(())
}

#[tokio::test]
async fn haproxy_does_the_same_by_the_agent_port() -> Result<()> {
    let front = Front::start().await?;
    let haproxy = haproxy(&front, include_str!("../../conf/haproxy-agent.cfg"))?;
    front.out_and_in(&haproxy).await
}

#[tokio::test]
async fn nginx_sends_no_new_connection_to_a_lagging_region() -> Result<()> {
    let front = Front::start().await?;
    let stream = front.adapted(include_str!("../../conf/nginx-stream.conf"));
    let script = front.adapted(include_str!("../../conf/nginx-duet.js"));
    let nginx = Process::start("nginx", |dir| {
        let modules = Path::new("/usr/lib/nginx/modules");
        let [stream_module, script_module] =
            ["ngx_stream_module.so", "ngx_stream_js_module.so"].map(|module| modules.join(module));
        ensure!(script_module.exists(), "{} is missing: run `make setup`", script_module.display());
        let whole = format!(
            "load_module {};\nload_module {};\nuser root;\ndaemon off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n{}",
            stream_module.display(),
            script_module.display(),
            stream.replace("/etc/nginx/", &format!("{}/", dir.display()))
        );
        std::fs::write(dir.join("nginx.conf"), whole)?;
        std::fs::write(dir.join("nginx-duet.js"), script)?;
        let dir = dir.display();
        Ok(vec![
            "-p".to_owned(),
            dir.to_string(),
            "-e".to_owned(),
            "stderr".to_owned(),
            "-c".to_owned(),
            format!("{dir}/nginx.conf"),
        ])
    })?;
    front.out_and_in(&nginx).await
}
