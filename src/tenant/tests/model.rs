//! The compiled tables against the sentence that they stand for.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// Small worlds, so that items meet.
fn criteria() -> impl Strategy<Value = Criteria> {
    let some = |n: u8| prop::collection::vec(0..n, 0..2);
    (
        some(2),
        some(2),
        some(2),
        prop::option::of(0_u8..2),
        prop::collection::vec((0_u8..4, 24_u8..=32), 0..3),
        some(2),
    )
        .prop_map(|(keys, uids, listeners, header, networks, certificates)| Criteria {
            certificates: certificates.into_iter().map(|n| [n; 32]).collect(),
            api_keys: keys
                .first()
                .map(|n| ApiKeys { header: name("x-key"), blake3: vec![digest(&n.to_string())] }),
            peer_uids: uids.into_iter().map(u32::from).collect(),
            listeners: listeners.into_iter().map(|n| n.to_string()).collect(),
            header: header.map(|n| Header { name: name("x-tenant"), value: n.to_string() }),
            networks: networks.into_iter().map(|(n, prefix)| Network::new(ip(n), prefix)).collect(),
            sni: Vec::new(),
        })
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn ip(n: u8) -> IpAddr {
    IpAddr::from([10, 0, n / 2, n % 2])
}

/// The strength with which an item holds: its kinds, then the prefix.
fn strength(
    item: &Criteria,
    evidence: &Evidence<'_>,
    key: Option<u8>,
    header: Option<u8>,
) -> Option<(u8, u8)> {
    let address = evidence.address?;
    let prefix = item.networks.iter().filter(|n| n.contains(address)).map(Network::prefix).max();
    let holds = item.kinds() != 0
        && (item.certificates.is_empty()
            || evidence.certificate.is_some_and(|c| item.certificates.contains(c)))
        && item
            .api_keys
            .as_ref()
            .is_none_or(|k| key.is_some_and(|n| k.blake3.contains(&digest(&n.to_string()))))
        && (item.peer_uids.is_empty() || evidence.peer_uid.is_some_and(|uid| item.peer_uids.contains(&uid)))
        && (item.listeners.is_empty() || item.listeners.iter().any(|l| l == evidence.listener))
        && item
            .header
            .as_ref()
            .is_none_or(|h| evidence.trusted && header.is_some_and(|n| h.value == n.to_string()))
        && (item.networks.is_empty() || prefix.is_some());
    holds.then_some((item.kinds(), prefix.unwrap_or(0)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_request_is_the_tenants_whose_strongest_item_holds(
        tenants in prop::collection::vec(prop::collection::vec(criteria(), 0..3), 1..5),
        certificate in prop::option::of(0_u8..3), key in prop::option::of(0_u8..3), uid in prop::option::of(0_u32..3),
        listener in 0_u8..3, header in prop::option::of(0_u8..3), address in 0_u8..5, trusted: bool,
    ) {
        let mut all = vec![Policy { name: ANONYMOUS.to_owned(), identify: Vec::new() }];
        all.extend(tenants.into_iter().zip(1..).map(|(identify, n): (_, u32)| Policy { name: n.to_string(), identify }));
        let Ok(identifier) = Identifier::new(&all) else { return Ok(()) };
        let listener = listener.to_string();
        let lines = [("x-key", key), ("x-tenant", header)];
        let lines: Vec<_> = lines.iter().filter_map(|(name, n)| n.map(|n| (*name, n.to_string()))).collect();
        let fields = headers(&lines.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>());
        let certificate = certificate.map(|n| [n; 32]);
        let evidence = Evidence {
            certificate: certificate.as_ref(), trusted, peer_uid: uid, address: Some(ip(address)),
            ..Evidence::new(&listener, &fields)
        };

        let items = || (0..).zip(&all).flat_map(|(n, tenant)| tenant.identify.iter().map(move |item| (n, item)));
        let holding: Vec<(u8, u8, u32)> = items()
            .filter_map(|(n, item)| strength(item, &evidence, key, header).map(|(kinds, prefix)| (kinds, prefix, n)))
            .collect();
        let best = holding.iter().max().copied();
        let rivals = holding.iter().filter(|m| best.is_some_and(|b| (m.0, m.1) == (b.0, b.1) && m.2 != b.2)).count();
        prop_assert_eq!(rivals, 0, "one field of each name: the configuration sees all equal evidence");
        let asks = |kind: Kind| items().any(|(_, item)| item.kinds() & kind.bit() != 0);
        let used = |kind: Kind| holding.iter().any(|(kinds, ..)| kinds & kind.bit() != 0);
        let wrong_key = key.is_some() && asks(Kind::ApiKey) && !used(Kind::ApiKey);
        let wrong_header = header.is_some() && trusted && asks(Kind::Header)
            && best.is_none_or(|(kinds, ..)| kinds < Kind::Header.bit());
        let want = if wrong_key {
            Err(Denied::Wrong(Kind::ApiKey))
        } else if wrong_header {
            Err(Denied::Wrong(Kind::Header))
        } else {
            Ok(best.map_or(0, |(.., tenant)| tenant))
        };
        prop_assert_eq!(identifier.identify(&evidence).map(|identity| identity.tenant.0), want);
    }
}
