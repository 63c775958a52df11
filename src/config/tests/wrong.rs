//! Wrong configurations, and all that is said about each: file, line, column, key, what is wrong, what would be right.

use super::*;

mod capabilities;
mod listeners_and_clusters;
mod routes_and_bounds;
mod tenants_and_quotas;
mod yaml;

/// A wrong configuration.
#[derive(Clone, Copy)]
struct Wrong {
    what: &'static str,
    text: &'static str,
    /// Every finding, in order.
    says: &'static [&'static str],
}

#[test]
fn every_mistake_is_named_with_its_place_and_the_fix() {
    let mut failures = Vec::new();
    for Wrong { what, text, says } in [
        yaml::ALL,
        listeners_and_clusters::ALL,
        routes_and_bounds::ALL,
        tenants_and_quotas::ALL,
        capabilities::ALL,
    ]
    .concat()
    {
        let said: Vec<String> = match parse(text) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.findings().iter().map(ToString::to_string).collect(),
        };
        if said != *says {
            failures.push(format!("{what}:\n  expected {says:#?}\n  said {said:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
