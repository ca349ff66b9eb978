//! Whatever is loaded, and however much of it, the loader answers soundly and soon.

use proptest::prelude::*;

use super::*;

/// Ten thousand routes, each with as many mistakes as `mistakes`.
fn many_routes(mistake: &str) -> String {
    (0..10_000).fold("[upstreams.a]\nendpoints = [\"http://a\"]\n".to_owned(), |text, number| {
        text + &format!(
            "[routes.r{number}]\npath = \"/v1/{number}/{{*rest}}\"\nupstream = \"a\"\n{mistake}[routes.r{number}.require]\n\
             scopes = [\"a:read\"]\n"
        )
    })
}

/// Work that grows with the square of what is read would make this run for minutes.
#[test]
fn ten_thousand_routes_load_and_so_do_ten_thousand_mistakes() {
    let text = many_routes("");
    let (loaded, diagnostics) = loaded(&text);
    assert_eq!((loaded.config().unwrap().routes.len(), diagnostics.iter().count()), (10_000, 0));

    let text = many_routes("timeout = 1\nmode = \"x\"\nextra = 1\n");
    let (_, diagnostics) = load_text("a.toml", &text, &environment());
    assert_eq!(diagnostics.iter().count(), 30_000);
}

/// Text that is near enough to a configuration to get deep into the loader.
fn near_toml() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("routes.a"),
        Just("routes"),
        Just("path"),
        Just("upstream"),
        Just("require"),
        Just("claims"),
        Just("admin"),
        Just("token"),
        Just("secret"),
        Just("authorization_server.clients.x"),
        Just("process"),
        Just("\"ä\""),
        Just("env"),
        Just("upstreams.b"),
        Just("balance"),
        Just("hash"),
        Just("endpoints"),
        Just("address"),
        Just("limit"),
        Just("zz"),
    ];
    let value = prop_oneof![
        Just("1"),
        Just("-1.5e9"),
        Just("\"ä${X}\""),
        Just("\"${EMPTY}\""),
        Just("true"),
        Just("[\"a\", 1]"),
        Just("{}"),
        Just("{ env = \"EMPTY\" }"),
        Just("{ secret = 'x' }"),
        Just("\"\"\"\nä\n\"\"\""),
        Just("1979-05-27"),
        Just("nan"),
        Just("\"127.0.0.1:0\""),
        Just("[{ url = 1 }]"),
        Just("{ hash = { claim = \"a\" } }"),
        Just("\"unclosed"),
        Just("[1"),
        Just(""),
        Just("\"30s\""),
        Just("[[[]]]"),
    ];
    let line = (key, value, 0..4u8, any::<char>()).prop_map(|(key, value, form, odd)| match form {
        0 => format!("[{key}]\n"),
        1 => format!("[[{key}]]\r\n"),
        2 => format!("{key} = {value}\n"),
        _ => format!("{key} = {value}{odd}\n"),
    });
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

fn assert_sound(text: &str) {
    let (loaded, diagnostics) = load_text("x.toml", text, &environment());
    assert_eq!(loaded.config().is_some(), !diagnostics.has_errors());
    for one in diagnostics.iter() {
        assert!(!one.message.is_empty() && !one.remedy.is_empty() && !one.message.contains('\n'), "{one:?}");
        if let Some(place) = loaded.sources.place_of(one) {
            assert!(text.get(place.range.clone()).is_some(), "{one:?} is at {place:?} of {text:?}");
            assert!(place.line <= text.lines().count().max(1) + 1, "{place:?}");
        }
    }
    let _ = loaded.sources.render(&diagnostics, true);
    let _ = loaded.sources.to_json(&diagnostics);
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic_and_marked_within_itself(text in any::<String>()) {
        assert_sound(&text);
    }

    #[test]
    fn any_configuration_is_read_without_a_panic_and_marked_within_itself(text in near_toml()) {
        assert_sound(&text);
    }

    #[test]
    fn any_cut_of_a_right_configuration_is_read_without_a_panic(at in 0usize..8000, with in any::<char>()) {
        let text = include_str!("../../../config/reference.toml");
        let (before, behind): (String, String) = (text.chars().take(at).collect(), text.chars().skip(at).collect());
        assert_sound(&before);
        assert_sound(&format!("{before}{with}{behind}"));
    }
}
