//! The description of the API, made from the endpoints and from the types that they answer. Nothing is described twice:
//! a record describes itself where it is defined, the ledger's in `allod_protocol`.

use super::{ENDPOINTS, views};
use allod_protocol::rules::approval::{RequestApproval, SignApproval};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use std::sync::LazyLock;
use utoipa::OpenApi;

/// What is said of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "allod",
        description = "A peer of an allod network: who owns an AI model, what each contributor holds, what its owners \
            decided. Ids are 64 hexadecimal digits, artifacts are CIDs, times are milliseconds since 1970, shares are \
            whole units. An integer beyond 2^53, whichever field it is in, is a string of its digits, since many readers would \
            lose some of them; what is sent may have either. Errors are RFC 9457 problem details with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(views::GapView, RequestApproval, SignApproval)),
    tags(
        (name = "node", description = "This peer and its network."),
        (name = "transactions", description = "Requests to change the ledger."),
        (name = "blocks", description = "What was decided."),
        (name = "accounts", description = "Who can hold shares and sign."),
        (name = "models", description = "What is owned."),
        (name = "shares", description = "Who holds what, since when, and why."),
        (name = "contributions", description = "What was given."),
        (name = "disputes", description = "What is challenged, and what went wrong."),
        (name = "proposals", description = "What is asked, and what was answered."),
        (name = "proofs", description = "What can be checked offline."),
        (name = "artifacts", description = "The bytes, on this peer and on others."),
        (name = "events", description = "What happens, as it happens."),
    ),
)]
pub(crate) struct About;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| describe().to_string());

/// The description of the whole API.
pub(crate) fn describe() -> Value {
    let (_, description) = &*ENDPOINTS;
    let mut document = serde_json::to_value(description).unwrap_or_default();
    unlink(&mut document);
    document
}

/// Makes words of the links in descriptions that lead into this program's own documentation.
fn unlink(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unlink),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "description" => *text = without_links(text),
                    field => unlink(field),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text with its links of the form ``[`name`]`` replaced by their names, without the path before them.
fn without_links(text: &str) -> String {
    let mut parts = text.split("[`");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("`]") {
            Some((name, rest)) => {
                let word = name.rsplit("::").next().unwrap_or(name);
                plain.extend(["`", word, "`", rest]);
            }
            None => plain.extend(["[`", part]),
        }
    }
    plain
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "node", responses(
    (status = 200, description = "The description of this API.", body = Object, content_type = "application/json"),
))]
pub(crate) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
