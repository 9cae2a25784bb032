//! W3C trace context, levels 1 and 2: reading and writing `traceparent`.
//!
//! A trace id is only ever taken from `traceparent`; request ids are never turned into one. Versions above ours are read
//! by their known beginning, as the standard asks, and written as version 00. Flags that no standard defines yet are
//! dropped, so that we never vouch for a meaning we do not know. `tracestate` needs no understanding: it passes as it came.

use crate::digits::hex;

const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// The place of one span in one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The id of the whole trace; never all zero.
    pub trace_id: [u8; 16],
    /// The id of this span; never all zero.
    pub span_id: [u8; 8],
    /// Bit 0: sampled; bit 1: the trace id is random.
    pub flags: u8,
}

impl TraceContext {
    /// Reads the value of a `traceparent` field; `None` when it is not valid, which means: start a new trace.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let head: &[u8; 55] = value.first_chunk()?;
        if head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
            return None;
        }
        let [version] = unhex(&head[..2])?;
        let rest_fits = match version {
            0 => value.len() == 55,
            0xff => false,
            _ => value.len() == 55 || value[55] == b'-',
        };
        let trace_id = unhex(&head[3..35])?;
        let span_id = unhex(&head[36..52])?;
        let [flags] = unhex(&head[53..])?;
        if !rest_fits || trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            flags: flags & (SAMPLED | RANDOM),
        })
    }

    /// Starts a trace from 24 random bytes.
    pub fn new(random: [u8; 24], sampled: bool) -> Self {
        let mut trace_id = [0; 16];
        trace_id.copy_from_slice(&random[..16]);
        if trace_id == [0; 16] {
            trace_id[15] = 1;
        }
        let mut span = [0; 8];
        span.copy_from_slice(&random[16..]);
        Self {
            trace_id,
            span_id: span_id(span),
            flags: RANDOM | if sampled { SAMPLED } else { 0 },
        }
    }

    /// A new span of the same trace, with the same flags.
    #[must_use]
    pub fn child(self, random: [u8; 8]) -> Self {
        Self {
            span_id: span_id(random),
            ..self
        }
    }

    /// Whether the caller records this trace.
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value of a `traceparent` field.
    pub fn write(&self) -> [u8; 55] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hex(&self.trace_id, &mut out[3..35]);
        hex(&self.span_id, &mut out[36..52]);
        hex(&[self.flags], &mut out[53..]);
        out
    }

    /// The trace id as 32 lower-case hexadecimal digits.
    pub fn trace_id_hex(&self) -> [u8; 32] {
        let mut out = [0; 32];
        hex(&self.trace_id, &mut out);
        out
    }

    /// The span id as 16 lower-case hexadecimal digits.
    pub fn span_id_hex(&self) -> [u8; 16] {
        let mut out = [0; 16];
        hex(&self.span_id, &mut out);
        out
    }
}

/// Zero means "no span" on the wire; a generator that yields it would break the chain.
fn span_id(mut random: [u8; 8]) -> [u8; 8] {
    if random == [0; 8] {
        random[7] = 1;
    }
    random
}

/// Lower case only: the standard forbids capitals in `traceparent`.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parse(text: &str) -> Option<TraceContext> {
        TraceContext::parse(text.as_bytes())
    }

    #[test]
    fn reads_the_standard_example() {
        let context = parse(GOOD).unwrap();
        assert_eq!(&context.trace_id_hex(), b"0af7651916cd43dd8448eb211c80319c");
        assert_eq!(&context.span_id_hex(), b"b7ad6b7169203331");
        assert!(context.sampled());
        assert_eq!(&context.write(), GOOD.as_bytes());
    }

    #[test]
    fn refuses_what_the_standard_refuses() {
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01extra",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_later_versions_by_their_beginning_and_drops_unknown_flags() {
        let later = parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more").unwrap();
        assert_eq!(later.flags, 0b11);
        assert_eq!(&later.write()[..3], b"00-");
        assert_eq!(&later.write()[53..], b"03");
    }

    #[test]
    fn never_makes_an_all_zero_id() {
        let fresh = TraceContext::new([0; 24], false);
        assert_eq!(
            parse(std::str::from_utf8(&fresh.write()).unwrap()),
            Some(fresh)
        );
        assert_ne!(fresh.child([0; 8]).span_id, [0; 8]);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(random: [u8; 24], span: [u8; 8], sampled: bool) {
            let root = TraceContext::new(random, sampled);
            prop_assert_eq!(TraceContext::parse(&root.write()), Some(root));
            prop_assert_eq!(root.sampled(), sampled);
            let child = root.child(span);
            prop_assert_eq!(child.trace_id, root.trace_id);
            prop_assert_eq!(TraceContext::parse(&child.write()), Some(child));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(context) = TraceContext::parse(&bytes) {
                prop_assert_eq!(TraceContext::parse(&context.write()), Some(context));
            }
        }
    }
}
