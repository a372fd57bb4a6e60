use super::*;

#[test]
fn the_flags_are_valid_and_their_defaults_equal_the_default_configuration() {
    Config::command().debug_assert();
    let parsed = Config::try_parse_from(["voelgoed-scan-server"]).expect("no flags");
    assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
}

#[test]
fn a_trusted_proxy_is_an_address_or_a_network_and_several_are_separated_by_commas() {
    let arguments = [
        "server",
        "--trusted-proxy",
        "10.0.0.0/8,192.0.2.1",
        "--trusted-proxy",
        "::1",
    ];
    let networks = Config::try_parse_from(arguments)
        .expect("networks")
        .trusted_proxies;
    let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
    for text in ["10.0.0.0/33", "proxy", "10.0.0"] {
        assert!(
            Config::try_parse_from(["server", "--trusted-proxy", text]).is_err(),
            "{text}"
        );
    }
}

#[test]
fn origins_are_repeatable_or_separated_by_commas_and_an_invalid_one_is_refused_with_the_reason() {
    let arguments = [
        "server",
        "--cors-origin",
        "https://a.example,http://b.example:81",
        "--cors-origin",
        "app://c",
    ];
    let parsed = Config::try_parse_from(arguments).expect("origins");
    assert_eq!(parsed.cors_origins.len(), 3);
    for (text, message) in [
        ("*", "name each origin"),
        (
            "https://a.example/",
            "is not an origin such as https://app.example.org",
        ),
    ] {
        let error = Config::try_parse_from(["server", "--cors-origin", text]).expect_err(text);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn migrating_only_contradicts_not_migrating() {
    let parse = |arguments: &[&str]| Config::try_parse_from(arguments).and_then(Config::checked);
    let both = ["server", "--migrate-only", "--no-migrate"];
    let error = parse(&both).expect_err("a contradiction");
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    assert!(error.to_string().contains("give one of them"), "{error}");
    for one in ["--migrate-only", "--no-migrate"] {
        assert!(parse(&["server", one]).is_ok(), "{one}");
    }
}

#[test]
fn a_certificate_needs_its_key() {
    assert!(Config::try_parse_from(["server", "--tls-cert", "a.pem"]).is_err());
}
