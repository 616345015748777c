//! A real browser without a screen: Chromium, driven over its DevTools protocol by a pipe.

use crate::children;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// It speaks on descriptors 3 and 4, which the shell makes of its standard ones.
const START: &str = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-component-update --remote-debugging-pipe --user-data-dir=\"$0\" \
    about:blank 3<&0 4>&1 </dev/null >/dev/null 2>\"$0/log\"";

/// A browser with one page.
pub struct Browser {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    next: u64,
    _dir: TempDir,
}

impl Browser {
    /// Starts it and opens a page of this size at `url`.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub async fn open(url: &str, size: (u32, u32)) -> Result<Self> {
        let dir = TempDir::with_prefix("chromium-")?;
        let mut command = std::process::Command::new("sh");
        command.args(["-c", START]).arg(dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        children::prepare(&mut command);
        let mut child = Command::from(command).kill_on_drop(true).spawn().context("cannot start chromium")?;
        let input = child.stdin.take().context("no way to the browser")?;
        let output = BufReader::new(child.stdout.take().context("no way from the browser")?);
        let mut browser = Self { _child: child, input, output, session: None, next: 0, _dir: dir };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = target.context("chromium does not answer: run `make setup`")?;
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attached).await?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.resize(size).await?;
        browser.call("Page.navigate", json!({ "url": url })).await?;
        Ok(browser)
    }

    /// Another size of the page: below 600 a phone.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn resize(&mut self, (width, height): (u32, u32)) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// Whether the person prefers dark colours.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn prefer_dark(&mut self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.call("Emulation.setEmulatedMedia", media).await.map(drop)
    }

    /// Presses the tabulator.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn press_tab(&mut self) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            self.call("Input.dispatchKeyEvent", key).await?;
        }
        Ok(())
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// When it throws.
    pub async fn eval(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", asked).await?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].take())
    }

    /// The text of the element with this id, as it is shown.
    ///
    /// # Errors
    /// When there is no such element.
    pub async fn text(&mut self, id: &str) -> Result<String> {
        let text = self.eval(&format!("document.getElementById('{id}').innerText")).await?;
        Ok(text.as_str().context("no text")?.to_owned())
    }

    /// Puts a picture of the page, as a JPEG, into `file`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn picture(&mut self, file: &Path) -> Result<()> {
        let asked = json!({ "format": "jpeg", "quality": 78 });
        let answer = self.call("Page.captureScreenshot", asked).await?;
        let data = answer["data"].as_str().context("no picture")?;
        Ok(std::fs::write(file, base64::engine::general_purpose::STANDARD.decode(data)?)?)
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).await?;
        timeout(ANSWER, self.answer()).await.with_context(|| format!("no answer to {method}"))?
    }

    /// The answer to the last call; what the browser tells by itself is passed over.
    async fn answer(&mut self) -> Result<Value> {
        loop {
            let mut message = Vec::new();
            if self.output.read_until(0, &mut message).await? == 0 {
                bail!("the browser has ended");
            }
            message.pop();
            let mut message: Value = serde_json::from_slice(&message)?;
            if message["id"] == self.next {
                ensure!(message["error"].is_null(), "{}", message["error"]);
                return Ok(message["result"].take());
            }
        }
    }
}
