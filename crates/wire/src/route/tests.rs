use http::Method;
use proptest::prelude::*;

use super::*;

fn lambda() -> Table<&'static str> {
    Table::new([
        ("GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
        ("DELETE", "/2015-03-31/functions/{FunctionName}", "DeleteFunction"),
        ("GET", "/2015-03-31/functions/", "ListFunctions"),
        ("GET", "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration"),
        ("GET", "/2018-10-31/layers", "ListLayers"),
        ("GET", "/2018-10-31/layers?find=LayerVersion", "GetLayerVersionByArn"),
        ("GET", "/2017-03-31/tags/{Resource+}", "ListTags"),
        ("GET", "/a/{Greedy+}/end", "Between"),
        ("GET", "/a/literal/end", "Literal"),
    ])
}

fn find(method: Method, address: &str) -> Result<(&'static str, Vec<String>), Miss> {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let table = lambda();
    let found = table.find(&method, path, &decode_query(query).unwrap())?;
    Ok((found.operation, found.into_captures().into_iter().map(|(_, value)| value).collect()))
}

#[test]
fn captures_are_decoded_and_may_be_whole_arns() {
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST";
    let encoded = "arn%3Aaws:lambda%3aus-east-1:000000000000:function:f:%24LATEST";
    let path = format!("/2015-03-31/functions/{encoded}/configuration");
    assert_eq!(find(Method::GET, &path), Ok(("GetFunctionConfiguration", vec![arn.to_owned()])));
    assert_eq!(
        find(Method::GET, "/2015-03-31/functions/a%2Fb"),
        Ok(("GetFunction", vec!["a/b".to_owned()])),
        "an encoded slash is no separator"
    );
}

#[test]
fn a_greedy_capture_takes_slashes() {
    let found = find(Method::GET, "/2017-03-31/tags/arn:aws:x:r:a:b/c%2Fd/e");
    assert_eq!(found, Ok(("ListTags", vec!["arn:aws:x:r:a:b/c/d/e".to_owned()])));
    assert_eq!(find(Method::GET, "/a/b/c/end"), Ok(("Between", vec!["b/c".to_owned()])));
    assert_eq!(find(Method::GET, "/a/literal/end"), Ok(("Literal", vec![])));
}

#[test]
fn a_wanted_query_decides_between_two_operations() {
    let found = find(Method::GET, "/2018-10-31/layers?find=LayerVersion&Arn=x");
    assert_eq!(found.unwrap().0, "GetLayerVersionByArn");
    assert_eq!(find(Method::GET, "/2018-10-31/layers?find=x").unwrap().0, "ListLayers");
}

#[test]
fn an_unknown_path_and_a_wrong_method_are_told_apart() {
    for path in ["/", "", "/2015-03-31", "/2015-03-31/functions/a/b", "/2015-03-31/functions//configuration"]
    {
        assert_eq!(find(Method::GET, path), Err(Miss::UnknownPath), "{path}");
    }
    let miss = find(Method::PUT, "/2015-03-31/functions/a").unwrap_err();
    assert_eq!(miss, Miss::WrongMethod { allowed: vec![Method::GET, Method::DELETE] });
    assert_eq!(Miss::UnknownPath.into_fault().status, 404);
    assert_eq!(find(Method::GET, "/2015-03-31/functions/%ff"), Err(Miss::Malformed));
    assert_eq!(find(Method::GET, "/2015-03-31/functions").unwrap().0, "ListFunctions");
}

#[test]
fn a_query_keeps_order_and_duplicates_and_loses_the_signature() {
    let pairs = decode_query("tagKeys=b&tagKeys=a+c&Flag&X-Amz-Signature=0&X-Amz-Date=1&&e=%C3%A9").unwrap();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("tagKeys", "b"), ("tagKeys", "a c"), ("Flag", ""), ("e", "é")]);
}

#[test]
fn queries_beyond_form_or_bound_are_refused() {
    for bad in ["a=%", "a=%ff", "%zz=1"] {
        assert_eq!(decode_query(bad).unwrap_err().code, "MalformedQueryString", "{bad}");
    }
    assert!(decode_query(&"a&".repeat(QUERY_PAIRS_MAX)).is_ok());
    assert!(decode_query(&"a&".repeat(QUERY_PAIRS_MAX + 1)).is_err());
}

#[test]
fn a_target_names_service_and_operation() {
    let target = Target::parse("Logs_20140328.CreateLogGroup").unwrap();
    assert_eq!((target.prefix, target.operation), ("Logs_20140328", "CreateLogGroup"));
    for bad in ["", ".", "a.", ".b", "ab", "a.b c", &format!("a.{}", "b".repeat(300))] {
        assert_eq!(Target::parse(bad), None, "{bad}");
    }
    assert_eq!(Target::of(&http::HeaderMap::new()).unwrap_err().code, "UnknownOperationException");
}

proptest! {
    #[test]
    fn no_address_makes_the_table_panic(path in "[ -~]{0,60}", query in "[ -~]{0,60}") {
        let pairs = decode_query(&query).unwrap_or_default();
        let _ = lambda().find(&Method::GET, &path, &pairs);
        let _ = lambda().find(&Method::GET, &format!("/a/{path}/end"), &pairs);
    }
}
