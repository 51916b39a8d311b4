//! How settings are read, merged and refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

use super::*;

fn sources(file: &str, environment: &[(&str, &str)], flags: Flags) -> Sources {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Sources { data_dir: "/data".into(), file: Some(file.into()), environment, flags }
}

#[test]
fn the_last_place_that_names_a_setting_wins() {
    let file = "api_address = '127.0.0.1:1'\nlisten = ['/ip4/127.0.0.1/tcp/1']\nlog_level = 'warn'\nrelay = false\n";
    let environment = [("ALLOD_API_ADDRESS", "127.0.0.1:2"), ("ALLOD_LOG_LEVEL", "debug"), ("ALLOD_HOME", "/x")];
    let flags = Flags { api_address: Some("127.0.0.1:3".into()), ..Flags::default() };
    let loaded = sources(file, &environment, flags).load().unwrap();
    assert_eq!(loaded.config.api_address.port(), 3);
    assert_eq!(loaded.config.log_level, "debug");
    assert_eq!(loaded.config.listen, ["/ip4/127.0.0.1/tcp/1".parse().unwrap()]);
    assert_eq!(loaded.config.log_format, LogFormat::Text);
    assert_eq!((loaded.config.relay, loaded.config.mdns), (Offer(Some(false)), false));
    assert_eq!([true, false].map(|is_validator| loaded.config.guests.stands(is_validator)), [false, true]);
    assert_eq!(loaded.config.scrub_interval, Interval(Some(Duration::from_secs(30 * 24 * 60 * 60))));
    assert_eq!(loaded.config.scrub_rate, Quota(Some(20 * 1024 * 1024)));
    let origin = |name: &str| loaded.values[name].origin.to_string();
    assert_eq!(origin("api_address"), "flag --api-address");
    assert_eq!(origin("log_level"), "environment variable ALLOD_LOG_LEVEL");
    assert_eq!(origin("listen"), "/data/config.toml");
    assert_eq!(origin("log_format"), "default");
}

#[test]
fn a_wrong_name_is_refused_with_the_nearest_right_one() {
    let error = sources("api_adress = 'x'", &[], Flags::default()).load().unwrap_err().to_string();
    assert!(error.contains("did you mean api_address?"), "{error}");
    assert!(error.contains("/data/config.toml"), "{error}");
    let error = sources("", &[("ALLOD_PEER", "x")], Flags::default()).load().unwrap_err().to_string();
    assert!(error.contains("did you mean ALLOD_PEERS?"), "{error}");
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    for (file, words) in [
        ("api_address = 'here'", "api_address = \"here\" (/data/config.toml)"),
        ("api_address = 7640", "api_address is a text, such as \"127.0.0.1:7640\""),
        ("mdns = 'yes'", "mdns = \"yes\" (/data/config.toml)"),
        ("scrub_interval = 'monthly'", "such as 5s or 3d, or seconds, or none"),
        ("scrub_rate = 'slow'", "is not a size such as 500GiB, or none"),
        ("log_format = 'xml'", "choose text or json"),
        ("peers = ['/ip4/10.0.0.1/tcp/7641']", "/p2p/PEERID"),
        ("listen = [", "is not TOML"),
    ] {
        let error = format!("{:#}", sources(file, &[], Flags::default()).load().unwrap_err());
        assert!(error.contains(words), "{file}: {error}");
    }
}

#[test]
fn a_number_stands_for_the_text_that_says_the_same() {
    let numbers = "artifact_quota = 500_000_000_000\nupload_rate = 1000000\ndownload_rate = 20_000_000\n\
        upload_streams = 8\ndownload_providers = 2\nreplication_interval_s = 30\nscrub_interval = 86400\nscrub_rate = 1048576\n";
    let texts = "artifact_quota = '500GB'\nupload_rate = '1MB'\ndownload_rate = '20MB'\n\
        upload_streams = '8'\ndownload_providers = '2'\nreplication_interval_s = '30'\nscrub_interval = '1d'\nscrub_rate = '1MiB'\n";
    let load = |file: &str| sources(file, &[], Flags::default()).load().unwrap().config;
    assert_eq!(load(numbers), load(texts));
    assert_eq!(load(numbers).upload_rate, Rate(NonZeroU32::new(1_000_000)));
    // In the environment every value is text, even a number.
    let environment = [("ALLOD_SCRUB_INTERVAL", "86400"), ("ALLOD_UPLOAD_RATE", "1000000")];
    let loaded = sources("", &environment, Flags::default()).load().unwrap().config;
    assert_eq!((loaded.scrub_interval, loaded.upload_rate), (load(texts).scrub_interval, load(texts).upload_rate));
}

#[test]
fn a_number_that_cannot_be_meant_is_refused_by_name_with_what_can() {
    for (file, words) in [
        ("upload_rate = 1.5", "upload_rate is a size such as \"20MB\", or a whole number of bytes such as 20000000"),
        ("upload_rate = 1e6", "upload_rate is a size"),
        (
            "upload_rate = 1000",
            "upload_rate = \"1000\" (/data/config.toml): 1000 a second is not between 64KiB and 4GiB",
        ),
        ("download_rate = 9_000_000_000_000", "download_rate = \"9000000000000\" (/data/config.toml)"),
        ("artifact_quota = -1", "artifact_quota is a size"),
        ("artifact_quota = 99999999999999999999", "artifact_quota = 99999999999999999999"),
        ("scrub_interval = 0.5", "scrub_interval is a duration such as \"30d\", or a whole number of seconds"),
        ("scrub_interval = '99999999999999999999'", "scrub_interval = \"99999999999999999999\""),
        ("upload_streams = 0", "upload_streams = \"0\" (/data/config.toml): it is a whole number, 1 at least"),
        ("replication_interval_s = 5_000_000_000", "replication_interval_s = \"5000000000\" (/data/config.toml)"),
        ("relay = 1", "relay is true, false or \"auto\"; not 1"),
        ("mdns = 1", "mdns is true or false; not 1"),
        ("log_level = true", "log_level is a text, such as \"info\""),
        ("listen = 7641", "listen is a list of texts, such as [\"/ip4/0.0.0.0/tcp/7641\"]"),
        ("api_address = ['127.0.0.1:1']", "api_address is a text"),
        ("scrub_rate = 2026-11-25", "scrub_rate is a size"),
    ] {
        let error = format!("{:#}", sources(file, &[], Flags::default()).load().unwrap_err());
        assert!(error.contains(words), "{file}: {error}");
    }
}

#[test]
fn lists_in_the_environment_are_separated_by_commas() {
    let environment = [("ALLOD_LISTEN", "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2")];
    let loaded = sources("", &environment, Flags::default()).load().unwrap();
    assert_eq!(loaded.config.listen.len(), 2);
}

#[test]
fn what_is_written_reads_back() {
    let text = file_text(&[("api_address", vec!["127.0.0.1:9".into()]), ("peers", vec![])]);
    let loaded = sources(&text, &[], Flags::default()).load().unwrap();
    assert_eq!(loaded.config.api_address.port(), 9);
    assert_eq!(loaded.config.peers, []);
}
