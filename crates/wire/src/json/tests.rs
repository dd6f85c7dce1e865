use proptest::prelude::*;

use super::*;

fn body(text: &str) -> Body {
    Body::parse(text.as_bytes()).unwrap()
}

fn refusal(text: &[u8]) -> String {
    Body::parse(text).unwrap_err().to_string()
}

#[test]
fn nothing_is_an_empty_object() {
    for text in ["", "  \r\n", "{}"] {
        assert!(body(text).unread().is_empty());
    }
}

#[test]
fn what_is_no_plain_object_is_refused() {
    for text in ["[]", "1", "null", "\"a\"", "{", "{}x", "{} {}", "{'a':1}", "{\"a\":NaN}", "\u{feff}{}"] {
        assert!(Body::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Body::parse(b"{\"a\":\"\xff\"}").is_err());
    assert!(Body::parse(b"{\"a\":\"\\ud800\"}").is_err(), "half a surrogate pair is no text");
}

#[test]
fn a_member_that_appears_twice_is_refused_at_any_depth() {
    assert!(refusal(br#"{"a":1,"a":1}"#).starts_with("duplicate member \"a\""));
    assert!(refusal(br#"{"x":[{"a":1,"b":2,"\u0061":3}]}"#).starts_with("duplicate member \"a\""));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(Body::parse(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
    assert!(refusal(nested(DEPTH_MAX).as_bytes()).starts_with("nesting is deeper than 64 levels"));
    assert!(Body::parse(nested(1_000_000).as_bytes()).is_err());
}

#[test]
fn readers_take_their_type_and_treat_null_as_absent() {
    let body =
        body(r#"{"s":"x","i":3,"f":3.0,"b":true,"t":1.5,"z":"YWI=","l":["a","b"],"m":{"k":"v"},"n":null}"#);
    let object = body.object();
    assert_eq!(object.string("s"), Ok(Some("x")));
    assert_eq!((object.integer("i"), object.integer("f")), (Ok(Some(3)), Ok(Some(3))));
    assert_eq!(object.boolean("b"), Ok(Some(true)));
    assert_eq!(object.timestamp("t").unwrap().unwrap().as_millis(), 1_500);
    assert_eq!(object.blob("z").unwrap().unwrap(), "ab");
    assert_eq!(object.strings("l"), Ok(Some(vec!["a", "b"])));
    assert_eq!(object.string_map("m").unwrap().unwrap()["k"], "v");
    assert_eq!((object.string("n"), object.string("absent")), (Ok(None), Ok(None)));
    assert!(object.object("absent").unwrap().is_none() && object.objects("n").unwrap().is_none());
    assert_eq!(body.unread(), Vec::<String>::new());
}

#[test]
fn another_type_is_refused_in_the_references_words() {
    let body = body(r#"{"s":"x","i":3,"h":3.5,"b":true,"o":{},"l":[1],"m":{"k":1},"t":-1,"z":"%"}"#);
    let object = body.object();
    let words = |error: Error| error.into_serialization_fault().message;
    assert_eq!(words(object.string("i").unwrap_err()), "NUMBER_VALUE can not be converted to a String");
    assert_eq!(words(object.integer("s").unwrap_err()), "STRING_VALUE can not be converted to an Integer");
    assert_eq!(words(object.integer("h").unwrap_err()), "NUMBER_VALUE can not be converted to an Integer");
    assert_eq!(words(object.string("b").unwrap_err()), "TRUE_VALUE can not be converted to a String");
    let shape = "Start of structure or map found where not expected.";
    assert_eq!(words(object.string("o").unwrap_err()), shape);
    assert_eq!(words(object.string("l").unwrap_err()), "Start of list found where not expected.");
    assert!(object.strings("l").is_err() && object.string_map("m").is_err() && object.objects("l").is_err());
    assert!(object.timestamp("t").is_err() && object.blob("z").is_err() && object.object("i").is_err());
    let fault = Error::Malformed("x".to_owned()).into_request_content_fault();
    assert_eq!(&*fault.code, "InvalidRequestContentException");
    assert_eq!(fault.message, "Could not parse request body into json: Could not parse payload into json: x");
}

#[test]
fn what_nobody_read_is_listed_by_its_path() {
    let body = body(
        r#"{"Name":"x","Vpc":{"SubnetIds":[],"Ipv6":true},"Configs":[{"Arn":"a"},{"Arn":"b","More":1}],
            "Unknown":{"In":1},"Nothing":null,"Env":{"Variables":{"A":"1"}}}"#,
    );
    let object = body.object();
    object.string("Name").unwrap();
    object.object("Vpc").unwrap().unwrap().strings("SubnetIds").unwrap();
    for config in object.objects("Configs").unwrap().unwrap() {
        config.string("Arn").unwrap();
    }
    object.object("Env").unwrap().unwrap().string_map("Variables").unwrap();
    assert_eq!(body.unread(), ["Configs[1].More", "Unknown", "Vpc.Ipv6"]);
}

proptest! {
    #[test]
    fn what_serde_writes_reads_back(text in ".*", number in any::<i64>(), list in prop::collection::vec(any::<bool>(), 0..5)) {
        let value = serde_json::json!({"text": text, "number": number, "list": list});
        prop_assert_eq!(parse_value(&serde_json::to_vec(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Body::parse(&bytes);
    }
}
