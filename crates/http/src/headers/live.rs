//! The value of a field that changes while it is in use, such as one that holds a secret.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use http::HeaderValue;

/// See the [module documentation](self). Clones share the value.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<HeaderValue>>);

/// Changes the value for as long as somebody uses it.
#[derive(Clone, Debug)]
pub struct Pen(Weak<ArcSwap<HeaderValue>>);

impl Live {
    /// Begins with `value`, which is not shown in debug output.
    pub fn new(mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// The value as it is now.
    pub fn get(&self) -> HeaderValue {
        HeaderValue::clone(&self.0.load())
    }

    /// What changes it.
    pub fn pen(&self) -> Pen {
        Pen(Arc::downgrade(&self.0))
    }
}

impl Pen {
    /// Changes the value; false when nobody uses it any more.
    pub fn write(&self, mut value: HeaderValue) -> bool {
        value.set_sensitive(true);
        let live = self.0.upgrade();
        live.inspect(|live| live.store(Arc::new(value))).is_some()
    }

    /// Whether anybody uses it.
    pub fn is_used(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl PartialEq for Live {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Live {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_changes_for_all_who_use_it_and_is_not_shown() {
        let live = Live::new(HeaderValue::from_static("Bearer 1"));
        let (other, pen) = (live.clone(), live.pen());
        assert!(pen.write(HeaderValue::from_static("Bearer 2")));
        assert_eq!(other.get(), "Bearer 2");
        assert!(!format!("{live:?} {:?}", live.get()).contains("Bearer"));
        drop((live, other));
        assert!(!pen.is_used() && !pen.write(HeaderValue::from_static("3")));
    }
}
