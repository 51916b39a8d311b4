//! What every request passes before its handler: see the security section of [`super`].

use super::{
    REQUEST_TIMEOUT, Shared,
    caller::{self, Caller},
    views::Problem,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, time::Instant};

/// Paths that are answered however busy the API is, because an operator looks there to see how busy it is, and under
/// whatever name, because that is how scrapers and probes of a container find a peer. They tell nothing of anybody.
const ALWAYS_ANSWERED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Refuses what must not pass, bounds what does in number and time, and counts it.
pub(crate) async fn guard(State(api): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let exempt = ALWAYS_ANSWERED.contains(&request.uri().path());
    let mut response = match admit(&api, &mut request, exempt) {
        Ok(()) => pass(&api, request, next, exempt).await,
        Err(problem) => problem.into_response(),
    };
    caller::challenge(&mut response);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    api.node.metrics.on_http_request(&method, response.status().as_u16(), started.elapsed());
    response
}

/// Refuses what must not pass; notes who asks.
fn admit(api: &Shared, request: &mut Request, exempt: bool) -> Result<(), Problem> {
    check(request.method(), request.headers(), exempt || api.has_tls)?;
    if !exempt {
        let caller = Caller::of(api, request.headers())?;
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

async fn pass(api: &Shared, request: Request, next: Next, exempt: bool) -> Response {
    let permit = api.requests.try_acquire();
    if permit.is_err() && !exempt {
        return Problem::unavailable(
            "too_many_requests_at_once",
            format!("{} requests are being answered already; try again shortly", super::REQUESTS),
        )
        .into_response();
    }
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(
            "timed_out",
            format!("the request took more than {} s; ask for less, or try again", REQUEST_TIMEOUT.as_secs()),
        )
        .into_response(),
    }
}

fn check(method: &Method, headers: &HeaderMap, any_host: bool) -> Result<(), Problem> {
    let host = header_text(headers, &header::HOST).unwrap_or_default();
    if !any_host && !is_local_name(host) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            format!(
                "the Host header {host:?} is neither an IP address nor localhost; address the API so, or put a reverse \
                 proxy that sets the header in front of it"
            ),
        ));
    }
    if !method.is_safe()
        && let Some(origin) = headers.get(header::ORIGIN)
        && origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_none_or(|(_, site)| site != host)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "web pages of other sites may not act through this API; use the command line, or a page served from the \
             API's own address",
        ));
    }
    Ok(())
}

fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a `Host` header names an IP address or this machine, with or without a port.
fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => address,
            Some((address, port)) if port.starts_with(':') => address,
            _ => return false,
        },
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_hosts() {
        for good in ["127.0.0.1", "127.0.0.1:7640", "localhost", "LocalHost:1", "[::1]:7640", "[::1]", "10.0.0.9:80"] {
            assert!(is_local_name(good), "{good}");
        }
        for bad in ["", "evil.example", "evil.example:7640", "localhost.evil.example", "127.0.0.1.evil.example", "[::1"]
        {
            assert!(!is_local_name(bad), "{bad}");
        }
    }

    #[test]
    fn other_sites_read_nothing_by_name_and_change_nothing_at_all() {
        let verdict = |method: Method, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:7640".parse().expect("header"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("header"));
            }
            check(&method, &headers, false).map_err(|problem| problem.code)
        };
        assert_eq!(verdict(Method::POST, None), Ok(()));
        assert_eq!(verdict(Method::POST, Some("http://127.0.0.1:7640")), Ok(()));
        for foreign in ["http://evil.example", "null", "http://127.0.0.1:8080", "https://localhost:7640"] {
            assert_eq!(verdict(Method::POST, Some(foreign)), Err("cross_origin".into()), "{foreign}");
        }
        assert_eq!(verdict(Method::GET, Some("http://evil.example")), Ok(()));
    }
}
