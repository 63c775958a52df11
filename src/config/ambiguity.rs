//! Two routes that could both take the same request, none of them before the other.
//!
//! What comes before what is [`crate::route`]'s to say; here it is said to the operator, with both places.

use super::Config;
use super::load::Origins;
use super::report::Report;
use crate::route::ambiguous;

pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    let mut earlier = Vec::new();
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        let at = spot.key("match");
        // Where a part of it was refused, what is left is not what was meant.
        let parts = ["host", "path", "methods", "listener"];
        if report.is_spoiled(&at) || parts.into_iter().any(|part| report.is_spoiled(&at.key(part))) {
            continue;
        }
        let rule = route.matches.rule((&route.name, at.clone()));
        if let Some(rival) = earlier.iter().find(|other| ambiguous(*other, &rule)) {
            let (name, rival_at) = &rival.payload;
            let place = report.place(rival_at, &at);
            let message = format!(
                "`{}` takes the same requests as `{name}` at {place}, \
                 make one differ in host, path, methods or listener",
                route.name
            );
            report.error(&at, message);
        }
        earlier.push(rule);
    }
}
