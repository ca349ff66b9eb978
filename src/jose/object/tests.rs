//! How an object is read, found in, weighed and written.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A text in JSON, its characters escaped or not.
fn text_of(choices: &[(char, bool)]) -> String {
    let mut written = String::from("\"");
    for (character, escaped) in choices {
        match character {
            '"' | '\\' => written.extend(['\\', *character]),
            _ if *escaped || character.is_control() => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    written.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => written.push(*character),
        }
    }
    written + "\""
}

fn texts() -> impl Strategy<Value = String> {
    let character = prop_oneof![proptest::char::range('a', 'c'), any::<char>()];
    proptest::collection::vec((character, any::<bool>()), 0..4).prop_map(|choices| text_of(&choices))
}

/// A text that is nearly JSON: what is an object has repeated names often enough.
fn documents() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,19}|1)(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        3 => texts(),
        2 => number,
        1 => Just("true".to_owned()),
        1 => Just("null".to_owned()),
        1 => Just("01".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 24, |inner| {
        let member = (texts(), "[ \\t\\r\\n]{0,2}", inner.clone());
        let member = member.prop_map(|(name, space, value)| format!("{space}{name}{space}:{space}{value}{space}"));
        prop_oneof![
            1 => proptest::collection::vec(inner, 0..4).prop_map(|elements| format!("[{}]", elements.join(","))),
            3 => proptest::collection::vec(member, 0..24).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Maps are equal whatever the order of their members; their texts are not.
fn in_order(members: Map<String, Value>) -> Vec<(String, String)> {
    members.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

fn written(object: &JsonObject) -> Vec<(String, String)> {
    object.iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

fn read_plainly(text: &str) -> Option<Members> {
    plain_object::read(text, None).map(|(members, _)| members)
}

fn assert_read_alike(text: &[u8]) {
    let read = JsonObject::parse(text.to_vec());
    let other = parse_object(text);
    let expected = other.clone().map(in_order);
    if let Some(members) = str::from_utf8(text).ok().and_then(read_plainly) {
        let plain = JsonObject { texts: String::from_utf8(text.to_vec()).unwrap(), members };
        assert_eq!(other, Ok(plain.to_map()), "the quick way reads {text:?}");
        assert_eq!(expected, Ok(written(&plain)), "the quick way orders {text:?}");
    }
    assert_eq!(read.as_ref().map(JsonObject::to_map).map_err(|fault| *fault), other, "{text:?}");
    let Ok(object) = read else { return };
    assert_eq!(Ok(written(&object)), expected, "{text:?}");
    for claim in ClaimName::ALL {
        let found = object.member(claim.name());
        assert_eq!(object.claim(claim).map(Member::to_value), found.map(Member::to_value), "{text:?}");
    }
    for (name, value) in object.to_map() {
        assert_eq!(object.member(&name).map(Member::to_value), Some(value), "{name:?} of {text:?}");
    }
    let made = JsonObject::from(object.to_map());
    assert_eq!(made.to_map(), object.to_map());
    assert_eq!(Ok(written(&made)), expected, "made of a map: {text:?}");
    for (name, value) in object.to_map() {
        assert_eq!(made.member(&name).map(Member::to_value), Some(value), "{name:?} of a map, {text:?}");
    }
}

#[test]
fn what_it_gives_and_refuses_is_what_the_other_reader_gives_and_refuses() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let many = |last: &str| {
        let members: Vec<String> = (0..60).map(|number| format!("\"m{number}\":{number}")).collect();
        format!("{{{},\"{last}\":1}}", members.join(","))
    };
    for text in [
        r#" {"a":[1,-2,3.5,1e3,true,null,"\u00e9\n"],"b":{"a":{}}} "#,
        r#"{"":"","\"":"\ud83d\ude00","c":18446744073709551616,"d":-9223372036854775808,"e":-0}"#,
        r#" { "a" : "x" , "b":0,"c":123456789012345678,"d":true , "e":false,"f":null, "g" :"\u{e9}" } "#,
        r#"{"b":1,"a":"x","c":true}"#,
        r#"{"a":1234567890123456789,"b":12345678901234567890}"#,
        "{\"a\":1234567890123456789}",
        "{\"a\":12345678901234567890123}",
        "{\"a\":1.5}",
        "{\"a\":1e3}",
        "{\"a\":00}",
        "{\"a\":1 2}",
        "{\"a\":truex}",
        "{\"a\":tru",
        "{\"a\":1}\u{b}",
        "{\"a\":1}  x",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\u{7f}\"}",
        "{}",
        " \n{ } ",
        "{\"a\":1}{}",
        "{\"a\":1,\"a\":1,",
        "{\"a\":1,\"\\u0061\":1}",
        "{\"a\":{\"b\":1,\"b\":1}}",
        "{\"a\":1e400}",
        "{\"a\":01}",
        "{\"a\":1,}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\n\"}",
        "{1:1}",
        "{\"a\" 1}",
        "{",
        "{\"a",
        "\u{feff}{}",
        "\u{b}{}",
        "\u{c}{}",
        "",
        "[]",
        "[] x",
        "\"a\"",
        "7",
        "null",
        &nested(32),
        &nested(33),
        &"{\"a\":".repeat(1000),
        &many("m60"),
        &many("m0"),
        &many("m15"),
        &many("m16"),
        &many("m59"),
    ] {
        assert_read_alike(text.as_bytes());
    }
    for text in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":1,\"a\":1,\"b\":\"\xff\"}", b"{}\xff", b"\xef\xbb\xbf{}", b"\xff"] {
        assert_read_alike(text);
    }
    assert!(JsonObject::parse(many("m60").into_bytes()).is_ok_and(|object| object.len() == 61));
    assert_eq!(JsonObject::parse(many("m16").into_bytes()).err(), Some(JsonFault::RepeatedMember));
}

#[test]
fn members_keep_their_order_and_their_types() {
    let object = JsonObject::parse(br#"{"t":"x","n":7,"b":true,"z":null,"l":["x"],"o":{"a":1}}"#.to_vec()).unwrap();
    assert_eq!(object.iter().map(|(name, _)| name).collect::<String>(), "tnbzlo");
    assert_eq!((object.text("t"), object.text("n"), object.text("")), (Some("x"), None, None));
    assert!(matches!(object.member("z"), Some(Member::Null)) && object.member("Z").is_none());
    assert_eq!(object.member("n").and_then(Member::as_number), Some(&Number::from(7)));
    assert_eq!(object.member("l").and_then(Member::as_list), Some(&[json!("x")][..]));
    let shown: Vec<String> = object.iter().map(|(_, value)| value.to_string()).collect();
    assert_eq!(shown, ["\"x\"", "7", "true", "null", "[\"x\"]", "{\"a\":1}"]);
}

#[test]
fn members_are_found_among_many() {
    let name = |number: usize| format!("{}{number}", ["z", "m", "", "a\u{e9}"][number % 4]);
    for count in [0, 1, MOST_COMPARED - 1, MOST_COMPARED, MOST_COMPARED + 1, 1700] {
        // In an order that is not the one of their names, whichever way that goes.
        let names = (0..count).map(|number| name(number * 7 % count.max(1)));
        let members: Map<String, Value> = names.enumerate().map(|(at, name)| (name, json!(at))).collect();
        let text = Value::Object(members.clone()).to_string();
        for object in [JsonObject::parse(text.into_bytes()).unwrap(), members.clone().into()] {
            assert_eq!(written(&object), in_order(members.clone()));
            for (name, value) in &members {
                assert_eq!(object.member(name).map(Member::to_value).as_ref(), Some(value), "{name} of {count}");
                for absent in [format!("{name}0x"), format!(" {name}"), name.to_uppercase() + "Z"] {
                    assert!(object.member(&absent).is_none(), "{absent} of {count}");
                }
            }
            assert!(object.member("").is_none());
            if count > MOST_COMPARED {
                assert_eq!(object.members.by_name.len(), count, "each look would be at all of them");
            }
        }
    }
}

#[test]
fn claims_are_found_wherever_they_stand() {
    for before in [0, 1, 15, 16, 252, 253, 254, 255, 1000] {
        for claim in ClaimName::ALL {
            let name = claim.name();
            let others = (0..before).map(|number| (format!("m{number}"), Value::Null));
            let members: Map<String, Value> = others.chain([(name.to_owned(), json!(name))]).collect();
            let text = Value::Object(members.clone()).to_string();
            for object in [JsonObject::parse(text.into_bytes()).unwrap(), members.clone().into()] {
                for other in ClaimName::ALL {
                    let found = object.claim(other).and_then(Member::as_text);
                    assert_eq!(found, (other == claim).then_some(name), "{other:?} among {before} and {claim:?}");
                }
            }
        }
    }
}

fn shape_of(text: &str) -> Option<Shape> {
    JsonObject::parse(text.as_bytes().to_vec()).ok().as_ref().and_then(Shape::of)
}

/// Whatever shape is guessed, what is read is the same; gives whether it has the shape.
fn assert_read_like(text: &str, shape: &Shape) -> bool {
    let read = JsonObject::parse_like(text.as_bytes().to_vec(), Some(shape));
    let expected = JsonObject::parse(text.as_bytes().to_vec());
    let has_shape = read.as_ref().is_ok_and(|(_, has_shape)| *has_shape);
    match (read, expected) {
        (Ok((read, _)), Ok(expected)) => {
            assert_eq!(written(&read), written(&expected), "{text:?} as {shape:?}");
            for name in ["a", "b", "", "sub", "x"].into_iter().chain(expected.iter().map(|(name, _)| name)) {
                assert_eq!(read.member(name).map(Member::to_value), expected.member(name).map(Member::to_value));
            }
            for claim in ClaimName::ALL {
                assert_eq!(read.claim(claim).map(Member::to_value), expected.claim(claim).map(Member::to_value));
            }
            assert_eq!((read.members.marks, read.members.places), (expected.members.marks, expected.members.places));
        }
        (read, expected) => assert_eq!(read.err(), expected.err(), "{text:?} as {shape:?}"),
    }
    has_shape
}

#[test]
fn what_has_a_known_shape_is_read_by_it() {
    let (close, wide) = (r#"{"a":"x","sub":"y","exp":17}"#, r#"{"a": "x", "sub" : "y", "exp":17}"#);
    for (first, second) in [
        (close, r#"{"a":"","sub":null,"exp":"17"}"#),
        (close, r#"{"a": true,"sub":  0,"exp":18 } "#),
        (wide, "{\"a\":  \"\", \"sub\" : \"\u{e9}\", \"exp\":1}"),
        (r#"{"":0}"#, "{\"\":\"\u{7f}\"}"),
    ] {
        let shape = shape_of(first).unwrap();
        assert!(assert_read_like(first, &shape) && assert_read_like(second, &shape), "{second} as {first}");
    }
    for other in [
        r#"{"a":"x","sub":"y"}"#,
        r#"{"a":"x","sub":"y","exp":17,"exp":17}"#,
        r#"{"a":"x","sub":"y","exp":17,"b":1}"#,
        r#"{"sub":"y","a":"x","exp":17}"#,
        r#"{"a":"x","sub":"y","exq":17}"#,
        r#"{"a":"x","a":"y","exp":17}"#,
        r#"{"a":"x","sub":"y","exp":17.5}"#,
        r#"{"a":"x","sub":"y","exp":[]}"#,
        r#"{"a":"x","sub":"y\u0022","exp":17}"#,
        r#"{"a":"x","s\u0075b":"y","exp":17}"#,
        r#"{"a":"x", "sub":"y","exp":17}"#,
        r#" {"a":"x","sub":"y","exp":17}"#,
        r#"{"a":"x","sub":"y","exp":17}}"#,
        r#"{"a":"x","sub":"y","exp":17"#,
        r#"{"a":"x","sub":"y","exp":"#,
        r#"{"a":"x","sub":"y""#,
        r#"{"a":"x,"sub":"y","exp":17}"#,
        "{\"a\":\"\n\",\"sub\":\"y\",\"exp\":17}",
        "{\"a\":\"x\",\n\"sub\":\"y\",\"exp\":17}",
        "{}",
        "",
        wide,
    ] {
        assert!(!assert_read_like(other, &shape_of(close).unwrap()), "{other}");
    }
}

#[test]
fn what_has_many_members_has_no_shape() {
    let written = |count: usize, value: usize| {
        let members: Vec<String> = (0..count).map(|number| format!("\"m{number}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let shape = shape_of(&written(MOST_COMPARED, 1)).unwrap();
    assert!(assert_read_like(&written(MOST_COMPARED, 2), &shape));
    assert!(!assert_read_like(&written(MOST_COMPARED + 1, 2), &shape));
    assert!(shape_of(&written(MOST_COMPARED + 1, 1)).is_none());
}

#[test]
fn what_is_not_as_it_was_written_has_no_shape() {
    let named = |length: usize| format!(r#"{{"{}":1}}"#, "n".repeat(length));
    assert!(shape_of(&named(251)).is_some() && shape_of(&named(252)).is_none());
    let shape = shape_of(&named(251)).unwrap();
    assert!(assert_read_like(&named(251), &shape) && !assert_read_like(&named(250), &shape));
    for text in [
        "{}",
        r#" {"a":1}"#,
        r#"{"a":1 ,"b":1}"#,
        r#"{"a":1, "b":[]}"#,
        r#"{"a":[]}"#,
        r#"{"a":1.5}"#,
        r#"{"a\u0022:1,\u0022b":1}"#,
        r#"{"{\u0022a\u0022:":1}"#,
        r#"{"a":"\u0022"}"#,
        "{\n\"a\":1}",
    ] {
        assert!(shape_of(text).is_none(), "{text}");
    }
    let members = json!({ "a": 1, "b": "x" });
    assert!(Shape::of(&members.as_object().unwrap().clone().into()).is_none(), "it has not been written at all");
}

#[test]
fn what_is_nested_weighs() {
    // Made of maps, so that what is nested is not among their texts.
    let weight = |value: Value| JsonObject::from(value.as_object().unwrap().clone()).weight_bytes();
    let long = "x".repeat(1000);
    for (less, more, bytes) in [
        (json!({ "a": null }), json!({ "a": [] }), NESTED_BYTES),
        (json!({ "a": null }), json!({ "a": {} }), NESTED_BYTES),
        (json!({ "a": [] }), json!({ "a": [1] }), NESTED_BYTES),
        (json!({ "a": [""] }), json!({ "a": [long] }), 1000),
        (json!({ "a": {} }), json!({ "a": { "b": 1 } }), NESTED_BYTES + 1),
        (json!({ "a": { "": 1 } }), json!({ "a": { long.clone(): 1 } }), 1000),
        (json!({ "a": { "b": "" } }), json!({ "a": { "b": long } }), 1000),
        (json!({ "a": [[]] }), json!({ "a": [[{}, { "b": long }]] }), 3 * NESTED_BYTES + 1001),
    ] {
        assert_eq!(weight(more.clone()), weight(less.clone()) + bytes, "{less} and {more}");
    }
    let many: Map<String, Value> = (0..1000).map(|number| (number.to_string(), Value::Null)).collect();
    let entries = 1000 * (size_of::<Entry>() + size_of::<u32>());
    assert!(JsonObject::from(many).weight_bytes() >= entries && JsonObject::default().weight_bytes() == 0);
}

#[test]
fn a_usual_token_is_read_the_quick_way() {
    let plain = |text: &str| read_plainly(text).is_some();
    assert!(plain(r#"{"iss":"https://id/","aud":"api","exp":1700003600,"scope":"a b","admin":false,"n":null}"#));
    assert!(plain(" { \"a\" : 0 } ") && !plain("{}") && !plain(r#"{"a":[]}"#) && !plain(r#"{"a":1,"a":1}"#));
}

/// A text that is nearly as plain as what is read the quick way.
fn plain_documents() -> impl Strategy<Value = String> {
    let value = prop_oneof!["\"[a-c\u{e9}]{0,3}\"", "[0-9]{1,22}", "true|false|null|-1|1.5|\\[\\]|\"\\\\n\""];
    let member = ("[ \n]?\"[a-h]{0,2}\"[ \t]?", "[ \r]?", value)
        .prop_map(|(name, space, value)| format!("{name}:{space}{value}{space}"));
    proptest::collection::vec(member, 0..20).prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// Two that are written alike but for their values; and whether the second has another letter somewhere.
fn documents_of_one_shape() -> impl Strategy<Value = (String, String, bool)> {
    let value = || {
        prop_oneof![
            6 => "\"[a-c\u{e9}]{0,9}\"",
            3 => "[0-9]{1,19}",
            2 => "true|false|null",
            1 => "-1|1.5|\\[\\]|\"\\\\n\"",
        ]
    };
    let name = prop_oneof!["[a-h]{0,9}", "sub|exp|aud|iss|scope|client_id"];
    let member = (" ?", name, " ?: ?", value(), value());
    let spoilt = proptest::option::weighted(0.5, (any::<proptest::sample::Index>(), "[ -~]"));
    (proptest::collection::vec(member, 0..20), spoilt).prop_map(|(members, spoilt)| {
        let document = |is_second: bool| {
            let member = |(space, name, colon, first, second): &(String, String, String, String, String)| {
                format!("{space}\"{name}\"{colon}{}", if is_second { second } else { first })
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        };
        let mut second = document(true);
        let is_spoilt = spoilt.is_some();
        if let Some((place, letter)) = spoilt {
            let (start, old) = *place.get(&second.char_indices().collect::<Vec<_>>());
            second.replace_range(start..start + old.len_utf8(), &letter);
        }
        (document(false), second, is_spoilt)
    })
}

proptest! {
    #[test]
    fn whatever_shape_is_guessed_the_same_is_read((first, second, is_spoilt) in documents_of_one_shape(), other in plain_documents()) {
        for shape in [&first, &other].into_iter().filter_map(|text| shape_of(text)) {
            for text in [&first, &second, &other] {
                assert_read_like(text, &shape);
            }
        }
        if let Some(shape) = shape_of(&first) {
            prop_assert!(read_plainly(&first).is_some());
            prop_assert!(assert_read_like(&first, &shape));
            prop_assert!(is_spoilt || read_plainly(&second).is_none() || assert_read_like(&second, &shape));
        }
    }

    #[test]
    fn plain_documents_are_read_alike(text in plain_documents()) {
        assert_read_alike(text.as_bytes());
    }

    #[test]
    fn documents_are_read_alike(text in documents()) {
        assert_read_alike(text.as_bytes());
    }

    #[test]
    fn spoilt_documents_are_read_alike(text in documents(), place: proptest::sample::Index, byte: u8) {
        let mut text = text.into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        assert_read_alike(&text);
        assert_read_alike(&text[..place]);
    }
}
