use proptest::prelude::*;
use serde_json::json;

use super::*;

const VALUE: &[Member] = &[
    Member { name: "Text", wire: "StringValue", shape: Shape::Text },
    Member { name: "Count", wire: "Count", shape: Shape::Integer },
];
const NAMED: &[Member] = &[
    Member { name: "Name", wire: "Name", shape: Shape::Text },
    Member { name: "Flag", wire: "Flag", shape: Shape::Boolean },
    Member { name: "Names", wire: "Name", shape: Shape::List { item: &Shape::Text, element: None } },
    Member {
        name: "Members",
        wire: "Members",
        shape: Shape::List { item: &Shape::Text, element: Some("member") },
    },
    Member {
        name: "Attributes",
        wire: "Attribute",
        shape: Shape::Map { key: "Name", value: "Value", item: &Shape::Structure(VALUE), entry: None },
    },
];

fn form(body: &str) -> Form {
    Form::read(&[], &HeaderMap::new(), body.as_bytes()).unwrap()
}

#[test]
fn lists_maps_and_structures_are_read_from_numbered_fields() {
    let body = "Name.2=b&Name.10=c&Name.1=a%20%26&Members.member.1=x&Flag=true&Other=1\
                &Attribute.1.Name=k&Attribute.1.Value.StringValue=v&Attribute.1.Value.Count=3\
                &Attribute.2.Name=l&Attribute.2.Value.StringValue=";
    let read = decode(&form(body), NAMED).unwrap();
    let wanted = json!({
        "Flag": true,
        "Names": ["a &", "b", "c"],
        "Members": ["x"],
        "Attributes": { "k": { "Text": "v", "Count": 3 }, "l": { "Text": "" } },
    });
    assert_eq!(Value::from(read), wanted);
}

#[test]
fn what_is_encoded_is_decoded_again_and_what_is_no_member_is_told() {
    // `Name` and `Names` share their fields, so one of them is there.
    let members = json!({
        "Flag": true,
        "Names": ["a &", "b", "c"],
        "Members": ["x"],
        "Attributes": { "k": { "Text": "v", "Count": 3 }, "l": { "Text": "" } },
    });
    let members = members.as_object().unwrap();
    let mut form = Form::default();
    for (name, value) in encode(members, NAMED).unwrap() {
        form.set(&name, value);
    }
    assert_eq!(decode(&form, NAMED).unwrap(), *members);
    for bad in
        [json!({ "Nothing": 1 }), json!({ "Flag": "true" }), json!({ "Attributes": { "k": { "Other": 1 } } })]
    {
        assert!(encode(bad.as_object().unwrap(), NAMED).is_err(), "{bad}");
    }
    assert_eq!(encode(json!({ "Flag": null }).as_object().unwrap(), NAMED), Ok(vec![]));
}

#[test]
fn a_value_of_another_type_is_refused() {
    for bad in ["Flag=maybe", "Attribute.1.Name=k&Attribute.1.Value.Count=many"] {
        assert_eq!(decode(&form(bad), NAMED).unwrap_err().code, "MalformedInput", "{bad}");
    }
}

#[test]
fn an_answer_says_in_xml_what_json_would() {
    let id = RequestId::new("00000000-0000-4000-8000-000000000000").unwrap();
    let result = json!({ "Name": "a<b>\r", "Names": ["x", "y"], "Attributes": { "k": { "Count": 3 } } });
    let response = answer("Do", "urn:x", &result, NAMED, &id);
    let body = str::from_utf8(response.body()).unwrap();
    assert_eq!(
        body,
        "<?xml version=\"1.0\"?><DoResponse xmlns=\"urn:x\"><DoResult><Name>a&lt;b&gt;&#xD;</Name>\
         <Name>x</Name><Name>y</Name><Attribute><Name>k</Name><Value><Count>3</Count></Value></Attribute>\
         </DoResult><ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId>\
         </ResponseMetadata></DoResponse>"
    );
}

#[test]
fn too_many_fields_are_refused() {
    let body: String = (0..=FIELDS_MAX).map(|n| format!("f{n}=1&")).collect();
    assert!(Form::read(&[], &HeaderMap::new(), body.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_form_makes_decoding_panic(body in "[A-Za-z.=&%0-9]{0,80}") {
        if let Ok(form) = Form::read(&[], &HeaderMap::new(), body.as_bytes()) {
            let _ = decode(&form, NAMED);
        }
    }
}
