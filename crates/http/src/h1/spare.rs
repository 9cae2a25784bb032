//! Header maps and extensions of messages that are over, kept for the next ones of this thread.
//!
//! A map costs three allocations and an exchange has two of them, which is more than filling them costs. What is kept is
//! empty, bounded in number and in size, and dies with its thread.

use std::cell::RefCell;

use http::{Extensions, HeaderMap};

/// Kept of each kind: about as many as a busy worker has requests under way. With fewer, what a burst brings back is freed and
/// the next burst allocates it anew.
const MOST: usize = 256;
/// A map that grew beyond this many fields is not worth its memory: all that are kept hold less than 2 MiB.
const LARGEST: usize = 64;

#[derive(Default)]
struct Spare {
    headers: Vec<HeaderMap>,
    extensions: Vec<Extensions>,
}

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// An empty map with room for `fields`.
pub fn headers(fields: usize) -> HeaderMap {
    SPARE
        .with_borrow_mut(|spare| spare.headers.pop())
        .unwrap_or_else(|| HeaderMap::with_capacity(fields))
}

/// Empty extensions.
pub fn extensions() -> Extensions {
    SPARE
        .with_borrow_mut(|spare| spare.extensions.pop())
        .unwrap_or_default()
}

/// Keeps a map, emptied, if there is room for it.
pub fn keep_headers(map: HeaderMap) {
    if map.capacity() == 0 || map.capacity() > LARGEST {
        return;
    }
    keep(|spare| &mut spare.headers, map, HeaderMap::clear);
}

/// Keeps extensions, emptied, if there is room for them.
pub fn keep_extensions(extensions: Extensions) {
    keep(|spare| &mut spare.extensions, extensions, Extensions::clear);
}

fn keep<T>(shelf: impl Fn(&mut Spare) -> &mut Vec<T>, mut item: T, empty: impl FnOnce(&mut T)) {
    // A message may be dropped when its thread ends, after the thread's own values are gone.
    SPARE
        .try_with(|spare| {
            let has_room = shelf(&mut spare.borrow_mut()).len() < MOST;
            if has_room {
                // Not while the shelf is held: who knows what goes with the item.
                empty(&mut item);
                shelf(&mut spare.borrow_mut()).push(item);
            }
        })
        .unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HOST, HeaderValue};

    #[test]
    fn what_is_kept_comes_back_empty() {
        let mut map = headers(8);
        map.insert(HOST, HeaderValue::from_static("a"));
        keep_headers(map);
        let again = headers(0);
        assert!(again.is_empty());
        assert!(again.capacity() > 0, "it is the one that was kept");
        assert_eq!(headers(0).capacity(), 0, "and there was only one");

        let mut with = extensions();
        with.insert(1_u8);
        keep_extensions(with);
        assert!(extensions().is_empty());
    }

    #[test]
    fn neither_number_nor_size_grows() {
        keep_headers(HeaderMap::with_capacity(10 * LARGEST));
        assert_eq!(headers(0).capacity(), 0);
        for _ in 0..10 * MOST {
            keep_headers(HeaderMap::with_capacity(8));
        }
        let kept = SPARE.with_borrow(|spare| spare.headers.len());
        assert_eq!(kept, MOST);
    }
}
