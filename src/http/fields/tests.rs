//! A message's fields beside a plain list of them.

use proptest::prelude::*;

use super::*;

/// So that tests read like sentences: the one value of this name.
impl std::ops::Index<&'static str> for Fields {
    type Output = str;

    fn index(&self, name: &'static str) -> &str {
        let name = HeaderName::from_static(name);
        std::str::from_utf8(self.only(&name).unwrap()).unwrap()
    }
}

const NAMES: [&str; 4] = ["host", "x-a", "X-B", "te"];

fn name(index: usize) -> HeaderName {
    HeaderName::from_bytes(NAMES[index % NAMES.len()].as_bytes()).unwrap()
}

/// The fields of a head, read as a head is read.
fn read(lines: &[(usize, &str, String)], ends: &[&str]) -> Fields {
    let (mut head, mut fields) = ("GET / HTTP/1.1\r\n".to_owned(), Fields::with_room(1));
    for ((index, separator, value), line_end) in lines.iter().zip(ends.iter().cycle()) {
        let at = head.len();
        head.push_str(&format!("{}{separator}{value}", NAMES[index % NAMES.len()]));
        let end = head.len();
        head.push_str(line_end);
        fields.push_read(name(*index), at, end - value.len()..end);
    }
    fields.stand_in(Bytes::from(head + "\r\n"));
    fields
}

fn said(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_string(), value.to_vec())).collect()
}

proptest! {
    /// Beside a plain list, whatever is done.
    #[test]
    fn it_is_a_list_of_fields(
        lines in prop::collection::vec((0..4_usize, prop_oneof![4 => Just(": "), 1 => Just(":"), 1 => Just(":  "), 1 => Just(":\t")], "[a-z]{0,3}"), 0..6),
        steps in prop::collection::vec((0..4_u8, 0..4_usize, "[a-z]{0,3}"), 0..6),
        passed_over in 0..8_usize,
        ends in prop::collection::vec(prop_oneof![4 => Just("\r\n"), 1 => Just("\n"), 1 => Just(" \r\n"), 1 => Just("\t\n")], 1..4),
    ) {
        let mut fields = read(&lines, &ends);
        let mut expected: Vec<(String, Vec<u8>)> =
            lines.iter().map(|(index, _, value)| (name(*index).to_string(), value.clone().into_bytes())).collect();
        for (step, index, value) in steps {
            let (name, made) = (name(index), HeaderValue::from_str(&value).unwrap());
            let (text, is) = (name.to_string(), |(known, _): &(String, Vec<u8>)| *known == name.as_str());
            match step {
                0 => {
                    fields.append(name.clone(), made);
                    expected.push((text, value.into_bytes()));
                }
                1 => {
                    fields.insert(name.clone(), made);
                    match expected.iter().filter(|field| is(field)).count() {
                        1 => expected.iter_mut().find(|field| is(field)).unwrap().1 = value.into_bytes(),
                        _ => {
                            expected.retain(|field| !is(field));
                            expected.push((text, value.into_bytes()));
                        }
                    }
                }
                2 => {
                    fields.remove(&name);
                    expected.retain(|field| !is(field));
                }
                _ => {
                    let values: Vec<&[u8]> = expected.iter().filter(|field| is(field)).map(|field| &*field.1).collect();
                    prop_assert_eq!(fields.lines(&name).collect::<Vec<_>>(), values.clone());
                    prop_assert_eq!(fields.first(&name), values.first().copied());
                    prop_assert_eq!(fields.only(&name), values.first().copied().filter(|_| values.len() == 1));
                    prop_assert_eq!(fields.contains(&name), !values.is_empty());
                    prop_assert_eq!(fields.first_owned(&name).map(|value| value.as_bytes().to_vec()), values.first().map(|value| value.to_vec()));
                }
            }
            prop_assert_eq!(said(&fields), expected.clone());
        }
        let (mut written, over) = (Vec::new(), NAMES.get(passed_over).map(|_| name(passed_over)));
        fields.write(&mut written, |name| Some(name) == over.as_ref());
        let lines = expected.iter().filter(|(name, _)| over.as_ref().is_none_or(|over| over.as_str() != name));
        let lines = lines.map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
        prop_assert_eq!(String::from_utf8(written).unwrap().to_lowercase(), lines.collect::<String>());
        let map = HeaderMap::from(fields.clone());
        prop_assert_eq!(map.len(), fields.len());
        for index in 0..NAMES.len() {
            let values: Vec<&[u8]> = map.get_all(name(index)).iter().map(HeaderValue::as_bytes).collect();
            prop_assert_eq!(values, fields.lines(&name(index)).collect::<Vec<_>>());
        }
        prop_assert_eq!(HeaderMap::from(Fields::from(map.clone())), map);
    }
}

#[test]
fn what_came_is_written_as_it_was_spelled_and_what_was_made_in_lower_case() {
    let mut fields = read(&[(2, ": ", "1".to_owned()), (2, ":", "2".to_owned()), (2, ": ", "3".to_owned())], &["\r\n"]);
    fields.insert(name(0), HeaderValue::from_static("a"));
    let mut written = Vec::new();
    fields.write(&mut written, |_| false);
    assert_eq!(String::from_utf8(written).unwrap(), "X-B: 1\r\nX-B: 2\r\nX-B: 3\r\nhost: a\r\n");
}

#[test]
fn a_value_does_not_get_into_a_log() {
    let fields = Fields::from_iter([(name(0), HeaderValue::from_static("secret"))]);
    assert_eq!(format!("{fields:?}"), r#"["host"]"#);
}
