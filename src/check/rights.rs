//! The commands that the user of a region needs.

use super::facts::{CommandFacts, ServerFacts};
use crate::command::{Class, Rule, specs};

/// A key and an argument of no meaning: nothing of what is asked about is executed.
pub const ARGUMENT: &str = "check:duet";

/// Commands whose second word has rights of its own.
const CONTAINERS: &[&str] = &["client", "config", "memory", "xgroup", "function", "script"];

/// What Duet cannot do without, beside the data; after the name, words that the server asks for.
const NEEDED: &[&str] = &[
    "ping",
    "info",
    "command",
    "time",
    "select 0",
    "client setname duet",
    "client id",
    "client list",
    "client kill id 0",
    "get k",
    "set k v",
    "incr k",
    "exists k",
    "del k",
    "unlink k",
    "sadd k m",
    "sscan k 0",
    "scan 0",
    "zadd k 1 m",
    "zrem k m",
    "zremrangebyscore k 0 1",
    "dump k",
    "restore k 0 v",
    "pexpireat k 1",
    "pttl k",
    "type k",
];

/// The same, for commands that cannot wait in a transaction.
const NEEDED_ALONE: &[&str] = &["psync", "replconf capa eof", "watch k", "exec"];

/// What Duet does without, and what is lost then.
const WANTED: &[(&str, &str)] = &[
    ("config get databases", "Duet cannot see settings"),
    ("memory usage k", "`duet why` does not tell sizes"),
    ("client pause 0 write", "`duet drill` cannot fence writers"),
    ("client unpause", "`duet drill` cannot fence writers"),
];

/// The same, where deletions by the server are to be told by events.
const WANTED_FOR_EVENTS: &[(&str, &str)] =
    &[("config set maxmemory 0", "Duet cannot switch keyspace events on"), ("psubscribe c", UNTOLD)];

/// The same, for one that cannot wait in a transaction.
const HELLO: (&str, &str) = ("hello 2", UNTOLD);

const UNTOLD: &str = "deletes by the server cannot be told from those of clients";

/// One right and a request that shows whether the user has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// As an ACL has it, without its sign: `client|kill`.
    pub right: String,
    /// A request with so many words as the server asks for.
    pub words: Vec<String>,
    /// What is lost without it, where it is not needed.
    pub loses: Option<&'static str>,
    /// It can't be asked about within a transaction.
    pub alone: bool,
}

/// What a user may not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// The user; empty on a server without users.
    pub user: String,
    /// Rights that are missing, and whether each is needed.
    pub missing: Vec<Missing>,
    /// Rights of which nothing is known.
    pub unknown: Vec<String>,
}

/// A right that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// As an ACL has it: `+client|kill`, or `~*`.
    pub right: String,
    /// What is lost without it, where it is not needed.
    pub loses: Option<&'static str>,
}

/// Everything that the user of a server with these commands needs: what Duet itself does, and every write command, since
/// the other region may use it.
pub fn needs(server: &ServerFacts, events: bool) -> Vec<Need> {
    let known = |need: &Need| server.commands.contains_key(need.right.split('|').next().unwrap_or_default());
    let of = |words: &str, loses, alone| {
        let words: Vec<String> =
            words.split(' ').map(|word| if word == "k" { ARGUMENT } else { word }.to_owned()).collect();
        Need { right: right_of(&words), words, loses, alone }
    };
    let mut needs: Vec<Need> = NEEDED.iter().map(|words| of(words, None, false)).collect();
    needs.extend(NEEDED_ALONE.iter().map(|words| of(words, None, true)));
    needs.extend(WANTED.iter().map(|(words, loses)| of(words, Some(*loses), false)));
    if events {
        needs.extend(WANTED_FOR_EVENTS.iter().map(|(words, loses)| of(words, Some(*loses), false)));
        needs.push(of(HELLO.0, Some(HELLO.1), true));
    }
    needs.retain(known);
    for spec in specs().filter(|spec| spec.rule != Rule::NeverSent && spec.class != Class::Eval) {
        let name = spec.name.to_lowercase();
        let is_data = matches!(spec.class, Class::Write | Class::Database | Class::Function | Class::Script);
        let Some(facts) = server.commands.get(&name).filter(|_| is_data) else { continue };
        for words in forms(&name, *facts) {
            let need = Need { right: right_of(&words), words, loses: None, alone: false };
            if !needs.iter().any(|earlier| earlier.right == need.right) {
                needs.push(need);
            }
        }
    }
    needs
}

impl Rights {
    /// Takes what a server answered when it was asked whether a right is there: `OK` or `QUEUED` when it is.
    pub fn learn(&mut self, need: &Need, answer: &str) {
        let text = answer.to_lowercase();
        if matches!(text.as_str(), "ok" | "queued") {
            return;
        }
        if !text.contains("permission") {
            // What is asked alone is executed, as far as it can be: whatever came of it, it was allowed.
            if !need.alone {
                self.unknown.push(need.right.clone());
            }
            return;
        }
        let right = if text.contains(" key") {
            "~*".to_owned()
        } else if text.contains("channel") {
            "&*".to_owned()
        } else {
            format!("+{}", need.right)
        };
        if let Some(missing) = self.missing.iter_mut().find(|missing| missing.right == right) {
            missing.loses = missing.loses.filter(|_| need.loses.is_some());
        } else {
            self.missing.push(Missing { right, loses: need.loses });
        }
    }
}

/// Requests that show whether a write command may be used.
fn forms(name: &str, facts: CommandFacts) -> Vec<Vec<String>> {
    let subcommands: &[&str] = match name {
        "xgroup" => &["create k g 0", "setid k g 0", "destroy k g", "delconsumer k g c", "createconsumer k g c"],
        "function" => &["load code", "delete name", "flush", "restore payload"],
        "script" => &["load code", "flush"],
        "restore-asking" => return Vec::new(),
        _ => {
            let mut words = vec![name.to_owned()];
            words.resize(facts.words.max(1), ARGUMENT.to_owned());
            return vec![words];
        }
    };
    let words = |subcommand: &&str| {
        let rest = subcommand.split(' ').map(|word| if word == "k" { ARGUMENT } else { word });
        std::iter::once(name).chain(rest).map(str::to_owned).collect()
    };
    subcommands.iter().map(words).collect()
}

fn right_of(words: &[String]) -> String {
    match words {
        [name, second, ..] if CONTAINERS.contains(&name.as_str()) => format!("{name}|{second}"),
        [name, ..] => name.clone(),
        [] => String::new(),
    }
}

/// The command that makes a user with the rights that Duet needs, and no others. The password is to be put in.
/// `takes_scripts` where the other region sends scripts.
pub fn acl_line(user: &str, takes_scripts: bool) -> String {
    let user = if user.is_empty() || user == "default" { "duet" } else { user };
    let script = if takes_scripts { " +script" } else { "" };
    format!(
        "ACL SETUSER {user} on >PASSWORD ~* &* -@all +@read +@write +@transaction +@keyspace +ping +select +time +info +command \
         +publish +psync +replconf +client|setname +client|id +client|list +client|kill +client|pause +client|unpause +hello \
         +psubscribe +config|get +config|set{script}"
    )
}
