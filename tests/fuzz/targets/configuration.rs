use duet::config;

/// A configuration, alone and behind one that is valid: a configuration or one message.
pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.contains("/dev/") || text.contains("/proc/") {
        return; // Files of passwords are read; these never end, or belong to the fuzzer.
    }
    for text in [text.clone().into_owned(), format!("{}\n{text}", include_str!("../../../conf/minimal.toml"))] {
        match config::parse("pair.toml", &text) {
            Ok(config) => assert!(config.regions[0].name != config.regions[1].name),
            Err(error) => assert!(error.to_string().lines().count() < 6, "{error}"),
        }
    }
}
