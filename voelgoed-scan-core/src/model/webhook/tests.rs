use super::*;

fn id<T: From<uuid::Uuid>>(number: u128) -> T {
    uuid::Uuid::from_u128(number).into()
}

fn types(list: &[&str]) -> Result<WebhookTypes, InvalidWebhookTypes> {
    WebhookTypes::new(list.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn a_webhook_chooses_types_and_groups_of_types() {
    let group = types(&["scan.*", "session.ended"]).expect("types");
    let chosen: Vec<_> = WebhookType::ALL
        .iter()
        .filter(|kind| group.include(**kind))
        .map(|kind| kind.as_str())
        .collect();
    assert_eq!(
        chosen,
        [
            "scan.admitted",
            "scan.exited",
            "scan.denied",
            "scan.undone",
            "session.ended"
        ]
    );
    assert!(group.include_scans());
    assert!(
        !types(&["session.*", "conflict.opened"])
            .expect("types")
            .include_scans()
    );
    for selector in WebhookTypes::selectors() {
        assert!(types(&[&selector]).is_ok(), "{selector}");
    }
    assert_eq!(WebhookTypes::selectors().len(), 11 + 6);
    for unknown in [
        "",
        "*",
        ".*",
        "scan",
        "scan.",
        "scan.unknown",
        "scan.admitted.*",
        "Scan.*",
        "webhook.test",
        "webhook.*",
    ] {
        assert_eq!(
            types(&[unknown]),
            Err(InvalidWebhookTypes::Unknown),
            "{unknown:?}"
        );
    }
    assert_eq!(types(&[]), Err(InvalidWebhookTypes::Empty));
    assert_eq!(types(&["scan.*"; 33]), Err(InvalidWebhookTypes::TooMany));
    assert!(types(&["scan.*"; 32]).is_ok());
}

#[test]
fn a_webhook_is_told_of_its_types_at_its_events_while_it_is_active() {
    let webhook = |event_ids, status| Webhook {
        id: id(1),
        url: "https://example.org/".parse().expect("a URL"),
        types: types(&["scan.admitted"]).expect("types"),
        event_ids,
        codes: false,
        description: None,
        status,
        disabled_reason: None,
        inserted_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    };
    let (event, other) = (id::<EventId>(2), id::<EventId>(3));
    let all = webhook(None, WebhookStatus::Active);
    assert!(all.wants(WebhookType::ScanAdmitted, Some(event)));
    assert!(all.wants(WebhookType::ScanAdmitted, None));
    assert!(!all.wants(WebhookType::ScanDenied, Some(event)));
    let one = webhook(Some(vec![event]), WebhookStatus::Active);
    assert!(one.wants(WebhookType::ScanAdmitted, Some(event)));
    assert!(!one.wants(WebhookType::ScanAdmitted, Some(other)));
    assert!(!one.wants(WebhookType::ScanAdmitted, None));
    let none = webhook(Some(Vec::new()), WebhookStatus::Active);
    assert!(!none.wants(WebhookType::ScanAdmitted, Some(event)));
    let disabled = webhook(None, WebhookStatus::Disabled);
    assert!(!disabled.wants(WebhookType::ScanAdmitted, Some(event)));
}

#[test]
fn a_url_is_absolute_without_credentials_and_without_unusual_addresses() {
    for (text, host) in [
        ("https://example.org", WebhookHost::Name("example.org")),
        (
            "https://example.org:8443/a/b?c=%20d",
            WebhookHost::Name("example.org"),
        ),
        ("https://example.org?x=a@b", WebhookHost::Name("example.org")),
        ("http://localhost:1/", WebhookHost::Name("localhost")),
        (
            "https://xn--bcher-kva.example./x",
            WebhookHost::Name("xn--bcher-kva.example."),
        ),
        (
            "https://127.0.0.1:65535/",
            WebhookHost::Address([127, 0, 0, 1].into()),
        ),
        (
            "https://[::1]:443/x",
            WebhookHost::Address(std::net::Ipv6Addr::LOCALHOST.into()),
        ),
        (
            "https://[::ffff:10.0.0.1]",
            WebhookHost::Address("::ffff:10.0.0.1".parse().expect("an address")),
        ),
    ] {
        let url: WebhookUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.host(), host, "{text}");
        assert_eq!(url.is_https(), text.starts_with("https"), "{text}");
    }
    for (text, error) in [
        ("", InvalidWebhookUrl::Scheme),
        ("ftp://example.org", InvalidWebhookUrl::Scheme),
        ("HTTPS://example.org", InvalidWebhookUrl::Scheme),
        ("example.org/x", InvalidWebhookUrl::Scheme),
        ("https://user:word@example.org/", InvalidWebhookUrl::Credentials),
        ("https://user@example.org", InvalidWebhookUrl::Credentials),
        ("https://@example.org", InvalidWebhookUrl::Credentials),
        ("https://", InvalidWebhookUrl::Host),
        ("https:///x", InvalidWebhookUrl::Host),
        ("https://:443/", InvalidWebhookUrl::Host),
        ("https://a..b/", InvalidWebhookUrl::Host),
        ("https://bücher.example/", InvalidWebhookUrl::Host),
        ("https://exa mple.org/", InvalidWebhookUrl::Host),
        ("https://127.1/", InvalidWebhookUrl::Host),
        ("https://2130706433/", InvalidWebhookUrl::Host),
        ("https://0x7f000001/", InvalidWebhookUrl::Host),
        ("https://0177.0.0.1/", InvalidWebhookUrl::Host),
        ("https://127.0.0.1./", InvalidWebhookUrl::Host),
        ("https://[::1", InvalidWebhookUrl::Host),
        ("https://[::1]x/", InvalidWebhookUrl::Host),
        ("https://[127.0.0.1]/", InvalidWebhookUrl::Host),
        ("https://[fe80::1%25eth0]/", InvalidWebhookUrl::Host),
        ("https://example.org:0/", InvalidWebhookUrl::Port),
        ("https://example.org:65536/", InvalidWebhookUrl::Port),
        ("https://example.org:/", InvalidWebhookUrl::Port),
        ("https://example.org:+80/", InvalidWebhookUrl::Port),
        ("https://example.org/#part", InvalidWebhookUrl::Path),
        ("https://example.org/a b", InvalidWebhookUrl::Path),
        ("https://example.org/%2", InvalidWebhookUrl::Path),
        ("https://example.org/\r\nhost: x", InvalidWebhookUrl::Path),
        ("https://example.org/é", InvalidWebhookUrl::Path),
        ("https://example.org\\@x/", InvalidWebhookUrl::Credentials),
    ] {
        assert_eq!(text.parse::<WebhookUrl>(), Err(error), "{text:?}");
    }
    let long = |length: usize| format!("https://example.org/{}", "a".repeat(length - 20));
    assert!(long(2048).parse::<WebhookUrl>().is_ok());
    assert_eq!(long(2049).parse::<WebhookUrl>(), Err(InvalidWebhookUrl::TooLong));
}

#[test]
fn a_secret_is_base64_of_24_to_64_bytes_that_debug_hides() {
    use base64::Engine as _;
    let text = |length: usize| {
        let bytes: Vec<u8> = (0..length).map(|byte| u8::try_from(byte).unwrap_or(0)).collect();
        format!(
            "whsec_{}",
            base64::engine::general_purpose::STANDARD.encode(bytes)
        )
    };
    for length in 24..=64 {
        let secret: WebhookSecret = text(length).parse().expect("a secret");
        assert_eq!(secret.as_bytes().len(), length);
        assert_eq!(*secret.reveal(), text(length));
    }
    let short = text(24);
    for wrong in [
        String::new(),
        "whsec_".to_owned(),
        text(23),
        text(65),
        short.replace("whsec_", ""),
        short.replace("whsec_", "WHSEC_"),
        format!("{short}="),
        text(25).trim_end_matches('=').to_owned(),
        format!("{short}\n"),
        text(32).replacen('A', "-", 1),
    ] {
        assert!(wrong.parse::<WebhookSecret>().is_err(), "{wrong:?}");
    }
    let (first, second) = (WebhookSecret::generate(), WebhookSecret::generate());
    assert_eq!(first.as_bytes().len(), 32);
    assert_ne!(first.as_bytes(), second.as_bytes());
    assert_eq!(format!("{first:?}"), "WebhookSecret(whsec_…)");
}

#[test]
fn a_patch_keeps_what_is_absent_and_clears_what_is_null() {
    let patch: WebhookPatch =
        serde_json::from_str(r#"{"event_ids":null,"status":"disabled"}"#).expect("a patch");
    assert_eq!(patch.event_ids, FieldUpdate::Clear);
    assert_eq!(patch.description, FieldUpdate::Keep);
    assert_eq!(patch.status, Some(WebhookStatus::Disabled));
    assert_eq!(
        serde_json::to_string(&patch).expect("JSON"),
        r#"{"event_ids":null,"status":"disabled"}"#
    );
}
