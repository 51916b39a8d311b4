//! What the API says of itself, held against what it does: every answer that a test gets is checked against the
//! description of its endpoint, and so is every body that a test sends and that is taken.

use super::*;
use crate::api::openapi::describe;
use jsonschema::Validator;
use std::sync::{LazyLock, Mutex};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(describe);
/// The schemas of the description, of which none allows a field that it does not name.
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut schemas = DESCRIPTION["components"]["schemas"].clone();
    let mut parts = BTreeSet::new();
    collect_parts(&DESCRIPTION, &mut parts);
    for (name, schema) in schemas.as_object_mut().unwrap() {
        close(schema, parts.contains(name));
    }
    schemas
});
/// Validators by what they validate: making one takes longer than using it.
static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// The names of what `allOf` is put together from: these see fields of the others.
fn collect_parts(value: &Value, parts: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_parts(item, parts)),
        Value::Object(fields) => {
            let all_of = fields.get("allOf").and_then(Value::as_array).into_iter().flatten();
            let references = all_of.filter_map(|part| part["$ref"].as_str());
            parts.extend(references.filter_map(|reference| reference.rsplit('/').next()).map(ToOwned::to_owned));
            fields.values().for_each(|field| collect_parts(field, parts));
        }
        _ => {}
    }
}

/// Closes every object of a schema to fields that it does not name, unless it is a part of a larger one.
fn close(schema: &mut Value, is_part: bool) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| close(item, false)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::Array(parts) if name == "allOf" => parts.iter_mut().for_each(|part| close(part, true)),
                    field => close(field, false),
                }
            }
            if !is_part && (fields.contains_key("allOf") || fields.get("properties").is_some_and(Value::is_object)) {
                fields.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
            }
        }
        _ => {}
    }
}

/// Every path that is described.
pub(super) fn paths() -> impl Iterator<Item = (&'static String, &'static Value)> {
    DESCRIPTION["paths"].as_object().unwrap().iter()
}

/// What is described of requests like this one: of several paths that fit, that with the fewest placeholders.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let asked: Vec<&str> = path.split('?').next()?.split('/').collect();
    let is_placeholder = |part: &str| part.starts_with('{');
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == asked.len()
            && parts.iter().zip(&asked).all(|(part, asked)| is_placeholder(part) || part == asked)
    };
    let paths = DESCRIPTION["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
    let (_, item) =
        paths.min_by_key(|(template, _)| template.split('/').filter(|part| is_placeholder(part)).count())?;
    item.get(method)
}

#[track_caller]
fn check(what: &str, content: &Value, body: &Value) {
    let schema = &content["schema"];
    assert!(schema.is_object(), "{what}: nothing is described");
    let validator = VALIDATORS.lock().unwrap().entry(schema.to_string()).or_insert_with(|| validator(schema)).clone();
    let faults: Vec<String> =
        validator.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{what} is not as described: {faults:#?}\n{body:#}");
}

fn validator(schema: &Value) -> Arc<Validator> {
    let mut root = schema.clone();
    close(&mut root, false);
    root["components"] = json!({"schemas": *SCHEMAS});
    Arc::new(jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&root).unwrap())
}

/// Checks an answer, unless there is no such endpoint.
#[track_caller]
pub(super) fn check_answer(method: &str, path: &str, status: u16, content_type: &str, body: &Value) {
    let Some(operation) = operation(method, path) else { return };
    let responses = &operation["responses"];
    let response = responses.get(status.to_string()).or(responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{method} {path}: status {status} is not described"));
    check(&format!("{method} {path}: {status}"), &response["content"][content_type], body);
}

/// Checks a body that is sent as JSON.
#[track_caller]
pub(super) fn check_body(method: &str, path: &str, body: &Value) {
    let operation = operation(method, path).unwrap();
    // An endpoint that describes no body reads none.
    let Some(described) = operation.get("requestBody") else { return };
    check(&format!("{method} {path}"), &described["content"]["application/json"], body);
}

#[test]
fn every_endpoint_says_what_it_is_and_every_name_is_defined() {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    assert!(paths.len() > 70, "{}", paths.len());
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let words = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
            assert!(!words.is_empty(), "{method} {path} says nothing of itself");
            let placeholders: BTreeSet<&str> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap());
            assert_eq!(named.collect::<BTreeSet<_>>(), placeholders, "{path}");
        }
    }
    let text = DESCRIPTION.to_string();
    let schemas = DESCRIPTION["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not defined");
    }
    let broken = text.split("[`").nth(1).map(|link| link.chars().take(40).collect::<String>());
    assert_eq!(broken, None, "a link that only this program's documentation can follow");
}

#[test]
fn a_body_that_differs_from_its_description_is_noticed() {
    let good = json!({"path": "/tmp/x", "mode": "hard_link"});
    check_body("post", "/v1/artifacts", &good);
    let noticed = |path: &'static str, body: Value| {
        std::panic::catch_unwind(|| check_answer("get", path, 200, "application/json", &body)).is_err()
    };
    let time = json!({"height": 1, "time": "9007199254740993"});
    assert!(!noticed("/v1/times", json!([time])));
    for (field, value) in [("more", json!(1)), ("height", json!(-1)), ("height", json!("x")), ("time", Value::Null)] {
        let mut bad = time.clone();
        bad[field] = value;
        assert!(noticed("/v1/times", json!([bad])), "{bad}");
    }
}

/// Every endpoint that gives JSON, on a ledger that has a little of most things.
#[tokio::test]
async fn what_is_given_is_as_described() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let version = peer.publish(model, "1.0", Vec::new()).await;
    let given = RecordContribution {
        model,
        round: None,
        sealed: None,
        kind: ContributionKind::Data,
        amount: 5,
        evidence: Some(ContentHash::from_bytes([3; 32])),
        note: "x".into(),
    };
    peer.apply(2, "southbank", Action::RecordContribution(given)).await;
    let open = OpenProposal {
        question: Question::of_model(
            model,
            vec![ModelAction::ReleaseVersion(ReleaseVersion { label: version.label.clone() })],
        ),
        title: "release 1.0".into(),
        text: String::new(),
    };
    let transaction = peer.apply(1, "northfield", Action::OpenProposal(open)).await.to_string();
    let first = async |list: &str| peer.ok(list).await["items"][0]["id"].as_str().unwrap().to_owned();
    let proposal = first("/v1/models/northfield/digits/proposals").await;
    let ballot = CastBallot { proposal: proposal.parse().unwrap(), parts: answer(Choice::Yes) };
    peer.apply(1, "northfield", Action::CastBallot(ballot)).await;
    let contribution = first("/v1/models/northfield/digits/contributions").await;
    let nothing = "0".repeat(64);
    let id = |path: &str| match path {
        "/v1/transactions/{id}" => transaction.clone(),
        "/v1/contributions/{id}" => contribution.clone(),
        "/v1/models/by-id/{id}" => model.to_string(),
        path if path.contains("proposals") || path.contains("decision") => proposal.clone(),
        _ => nothing.clone(),
    };
    let mut found = BTreeSet::new();
    for (template, item) in DESCRIPTION["paths"].as_object().unwrap() {
        let is_json = |response: &Value| !response["content"]["application/json"].is_null();
        if !item.get("get").is_some_and(|get| is_json(&get["responses"]["200"])) || template == "/openapi.json" {
            continue;
        }
        let mut path = template.replace("{id}", &id(template));
        for (name, value) in [
            ("{namespace}", "northfield"),
            ("{name}", "digits"),
            ("{account}", "northfield"),
            ("{label}", "1.0"),
            ("{height}", "2"),
            ("{number}", "0"),
            ("{statement}", "safety"),
            ("{address}", &nothing),
        ] {
            path = path.replace(name, value);
        }
        let query = match template.as_str() {
            "/v1/times" => "?heights=1",
            deed if deed.contains("/deeds/") => "?format=json",
            _ => "",
        };
        let (status, body) = peer.get(&format!("{path}{query}")).await;
        assert!(status == 200 || status == 404, "{path}: {status} {body}");
        if status == 200 {
            found.insert(template.as_str());
        }
    }
    assert!(found.len() > 45, "{found:#?}");
}
