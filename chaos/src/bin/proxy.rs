//! A delaying TCP proxy for use by hand.

use anyhow::Result;
use clap::Parser;
use duet_chaos::proxy::{Direction, Proxy};
use std::time::Duration;

/// Forwards TCP connections and delays them.
#[derive(Parser)]
struct Args {
    /// Address to listen on, for example 127.0.0.1:7101
    #[arg(long)]
    listen: String,
    /// Address to forward to, for example 127.0.0.1:7001
    #[arg(long)]
    to: String,
    /// Delay of each direction in milliseconds; the round trip grows by twice as much
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Bytes per second and connection towards the server; unlimited when absent
    #[arg(long)]
    bytes_per_second: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let proxy = Proxy::start_at(&args.listen, &args.to).await?;
    proxy.delay(Duration::from_millis(args.delay_ms));
    proxy.throttle(Direction::ToServer, args.bytes_per_second);
    println!("{} -> {}, {} ms each way", proxy.address(), args.to, args.delay_ms);
    tokio::signal::ctrl_c().await?;
    println!("{} connections", proxy.connections());
    Ok(())
}
