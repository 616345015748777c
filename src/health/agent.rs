//! HAProxy's agent check (its configuration manual, section 5.2, `agent-check`): one line, in which words of HAProxy say
//! what the server is to be.

use super::Answer;

/// The line for an answer. `just_returned`: a region that was drained until a moment ago serves again.
///
/// `drain` lets sessions end and takes no new ones; it lasts in HAProxy until a `ready`, which is said only when it is
/// needed, since it would also end what an operator has set in HAProxy.
pub fn agent_word(answer: &Answer, just_returned: bool) -> String {
    let ready = if just_returned { "ready " } else { "" };
    match (answer.serve, &*answer.state) {
        (true, _) => format!("{ready}up\n"),
        (false, "drained") => format!("drain #{}\n", plain(answer.reason.as_deref())),
        (false, _) => format!("{ready}down #{}\n", plain(answer.reason.as_deref())),
    }
}

/// One line of printable text.
fn plain(reason: Option<&str>) -> String {
    let text = reason.unwrap_or("no reason is known").chars();
    text.map(|letter| if letter.is_ascii_graphic() { letter } else { ' ' }).take(120).collect()
}
