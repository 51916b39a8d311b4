//! What every request passes before its handler: see the security section of [`super`].

use super::{
    REQUEST_TIMEOUT, Shared,
    caller::{self, Caller},
    events::LAST_EVENT_ID,
    views::Problem,
};
use crate::config::{HostName, WebOrigin};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Paths that are answered however busy the API is, because an operator looks there to see how busy it is, and under
/// whatever name, because that is how scrapers and probes of a container find a peer. They tell nothing of anybody.
const ALWAYS_ANSWERED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// For how long a browser need not ask again what pages of other sites may do.
const PREFLIGHT_LIFE: Duration = Duration::from_secs(3_600);

/// What else the operator lets in, beside this machine's addresses and pages served from them.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl Sites {
    /// Names of this machine that requests may address without TLS, and web sites whose pages may use the API.
    pub fn new(hosts: &[HostName], origins: &[WebOrigin]) -> Self {
        Self {
            hosts: hosts.iter().map(|host| host.0.clone()).collect(),
            origins: origins.iter().map(|origin| origin.0.clone()).collect(),
        }
    }

    /// Tells browsers that pages of these sites may use the API. They show tokens as everybody does; cookies mean nothing
    /// here.
    pub(super) fn cors(&self) -> CorsLayer {
        let origins = self.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::ACCEPT,
                header::RANGE,
                header::IF_NONE_MATCH,
                HeaderName::from_static(LAST_EVENT_ID),
            ])
            .expose_headers([header::ETAG, header::RETRY_AFTER, header::CONTENT_RANGE])
            .max_age(PREFLIGHT_LIFE)
    }

    fn has_host(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.hosts.contains(&name.to_ascii_lowercase())
    }

    fn has_origin(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.origins.contains(origin))
    }
}

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
    check(&api.sites, request.method(), request.headers(), exempt || api.has_tls)?;
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

fn check(sites: &Sites, method: &Method, headers: &HeaderMap, any_host: bool) -> Result<(), Problem> {
    let host = header_text(headers, &header::HOST).unwrap_or_default();
    if !any_host && !is_local_name(host) && !sites.has_host(host) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            format!(
                "the Host header {host:?} is neither an IP address nor localhost; address the API so, or let the operator \
                 name the host in `api_hosts`"
            ),
        ));
    }
    if !method.is_safe()
        && let Some(origin) = headers.get(header::ORIGIN)
        && !sites.has_origin(origin)
        && origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_none_or(|(_, site)| site != host)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "web pages of other sites may not act through this API; use the command line, a page served from the API's own \
             address, or let the operator name the site in `api_origins`",
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
    fn a_name_that_the_operator_gives_is_a_host_too() {
        let sites = Sites::new(&["Node.example.org".parse().expect("a name")], &[]);
        let code = |host: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().expect("header"))]);
            check(&sites, &Method::GET, &headers, false).map_err(|problem| problem.code)
        };
        for good in ["node.example.org", "NODE.example.org:7640", "127.0.0.1"] {
            assert_eq!(code(good), Ok(()), "{good}");
        }
        for bad in ["example.org", "evil.node.example.org", "node.example.org.evil:80", "node.example.org:80:90"] {
            assert_eq!(code(bad), Err("host_not_allowed".into()), "{bad}");
        }
    }

    #[test]
    fn other_sites_read_nothing_by_name_and_change_nothing_at_all() {
        let sites = Sites::new(&[], &["https://dashboard.example".parse().expect("a site")]);
        let verdict = |method: Method, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:7640".parse().expect("header"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("header"));
            }
            check(&sites, &method, &headers, false).map_err(|problem| problem.code)
        };
        assert_eq!(verdict(Method::POST, None), Ok(()));
        assert_eq!(verdict(Method::POST, Some("http://127.0.0.1:7640")), Ok(()));
        assert_eq!(verdict(Method::POST, Some("https://dashboard.example")), Ok(()));
        for foreign in [
            "http://dashboard.example",
            "http://evil.example",
            "null",
            "http://127.0.0.1:8080",
            "https://localhost:7640",
        ] {
            assert_eq!(verdict(Method::POST, Some(foreign)), Err("cross_origin".into()), "{foreign}");
        }
        assert_eq!(verdict(Method::GET, Some("http://evil.example")), Ok(()));
    }
}
