//! Who asks, and what that permits: see the security section of [`super`].
//!
//! Where the API listens on loopback, everybody on this machine may read. Whatever changes the node, its files or the
//! ledger takes a token ([`crate::tokens`]); elsewhere reading takes one too. [`guarded`] is where an endpoint gets its
//! rule, and its description says the same.

use super::{Shared, views::Problem};
use crate::tokens::{Permission, Token};
use axum::{
    extract::{Extension, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

/// The name of the scheme in the description.
const SCHEME: &str = "token";

/// What the sender of a request may do. `None` if it showed no token, and none is needed to read here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(Option<Permission>);

impl Caller {
    /// Looks at what a request shows.
    ///
    /// # Errors
    /// A problem with status 401 if it shows no token where one is needed, or one that is not accepted here.
    pub(super) fn of(api: &Shared, headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(shown) = headers.get(header::AUTHORIZATION) else {
            return if api.open_to_read { Ok(Self(None)) } else { Err(no_token(Permission::Read)) };
        };
        let token = shown.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().parse::<Token>().ok()).flatten()
        });
        let permission = token.and_then(|token| api.tokens.permission_of(&token));
        permission.map(|permission| Self(Some(permission))).ok_or_else(|| {
            let detail = "the token is not accepted by this node: it may be another node's, or was removed; its operator \
                          issues one with: allod token create";
            Problem::new(StatusCode::UNAUTHORIZED, "bad_token", detail)
        })
    }
}

fn no_token(needed: Permission) -> Problem {
    let detail = format!(
        "this takes a token that permits to {needed}: send it as `Authorization: Bearer TOKEN`; the operator's is in the \
         file api.token of the node's data directory, and others are issued with: allod token create"
    );
    Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail)
}

/// Lets only requests of callers with a permission reach these endpoints, and says so in their description.
pub(super) fn guarded(mut endpoints: OpenApiRouter<Shared>, needed: Permission) -> OpenApiRouter<Shared> {
    for item in endpoints.get_openapi_mut().paths.paths.values_mut() {
        for operation in
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
        {
            operation.security = Some(vec![SecurityRequirement::new(SCHEME, [needed.to_string()])]);
        }
    }
    let check = move |Extension(caller): Extension<Caller>, request: Request, next: Next| async move {
        match require(caller, needed) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    endpoints.route_layer(middleware::from_fn(check))
}

fn require(caller: Caller, needed: Permission) -> Result<(), Problem> {
    let held = caller.0.ok_or_else(|| no_token(needed))?;
    if held >= needed {
        return Ok(());
    }
    let detail = format!(
        "the token permits to {held}, and this takes one that permits to {needed}; the node's operator issues it with: \
         allod token create NAME --permits {needed}"
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "not_permitted", detail))
}

/// Says in the description what a token is.
pub(super) fn describe(document: &mut utoipa::openapi::OpenApi) {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some(
        "A token of this node: the operator's own, from the file `api.token` in the data directory, or one issued by \
         `allod token create`. It permits to read, to submit transactions too, or to operate the node too. Where the API \
         listens on loopback, reading takes none."
            .into(),
    );
    document.components.get_or_insert_default().add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
}

/// Adds to a refusal how to authenticate, as RFC 9110, section 11.6.1, wants.
pub(super) fn challenge(response: &mut Response) {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"allod\""));
    }
}
