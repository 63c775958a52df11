//! `routes.*.tenants`: whom a route serves.

use super::{Denied, TenantIndex};

/// The tenants that a route serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Option<Box<[TenantIndex]>>);

impl Allowed {
    /// Everybody, `anonymous` included.
    pub const EVERYBODY: Self = Self(None);

    /// These and no others.
    pub fn only(tenants: impl IntoIterator<Item = TenantIndex>) -> Self {
        let mut tenants: Vec<_> = tenants.into_iter().collect();
        tenants.sort_unstable();
        tenants.dedup();
        Self(Some(tenants.into()))
    }

    /// config.md, `routes.*.tenants`: requires one of them, else 403.
    ///
    /// # Errors
    /// The route is for others.
    pub fn check(&self, tenant: TenantIndex) -> Result<(), Denied> {
        match &self.0 {
            Some(tenants) if tenants.binary_search(&tenant).is_err() => Err(Denied::NotAllowed),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_serves_whom_it_names_and_without_names_everybody() {
        let [a, b, c] = [7, 3, 5].map(TenantIndex);
        let some = Allowed::only([a, b, a]);
        assert_eq!([a, b, c].map(|t| some.check(t)), [Ok(()), Ok(()), Err(Denied::NotAllowed)]);
        assert_eq!(Allowed::EVERYBODY.check(c), Ok(()));
        assert_eq!(Allowed::only([]).check(a), Err(Denied::NotAllowed));
    }
}
