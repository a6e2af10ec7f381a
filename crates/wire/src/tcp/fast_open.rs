//! The Fast Open option (RFC 7413 section 4.1.1).

use core::fmt::{self, Write};
use core::str::FromStr;

/// Shortest and longest cookie, in octets.
pub const COOKIE_MIN: usize = 4;
/// See [`COOKIE_MIN`].
pub const COOKIE_MAX: usize = 16;

/// A server's cookie: it takes text with a SYN that brings it along. 4 to 16 octets, an even
/// number of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FastOpenCookie {
    /// The cookie, then zeros.
    octets: [u8; COOKIE_MAX],
    len: u8,
}

impl FastOpenCookie {
    /// `None` where a cookie cannot have that length.
    #[must_use]
    pub fn new(cookie: &[u8]) -> Option<Self> {
        if !(COOKIE_MIN..=COOKIE_MAX).contains(&cookie.len()) || !cookie.len().is_multiple_of(2) {
            return None;
        }
        let mut octets = [0; COOKIE_MAX];
        octets.get_mut(..cookie.len())?.copy_from_slice(cookie);
        let len = u8::try_from(cookie.len()).ok()?;
        Some(Self { octets, len })
    }

    /// Its octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// As hexadecimal digits.
impl fmt::Display for FastOpenCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice()
            .iter()
            .try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for FastOpenCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FastOpenCookie({self})")
    }
}

/// What kept a text from being a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCookie;

/// Reads hexadecimal digits.
impl FromStr for FastOpenCookie {
    type Err = NoCookie;

    fn from_str(text: &str) -> Result<Self, NoCookie> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(NoCookie);
        };
        let mut octets = [0; COOKIE_MAX];
        for (index, pair) in pairs.iter().enumerate() {
            let octet = pair.iter().try_fold(0, |octet: u8, digit| {
                let digit = char::from(*digit).to_digit(16)?;
                Some(octet << 4 | u8::try_from(digit).ok()?)
            });
            *octets.get_mut(index).ok_or(NoCookie)? = octet.ok_or(NoCookie)?;
        }
        let octets = octets.get(..pairs.len()).ok_or(NoCookie)?;
        Self::new(octets).ok_or(NoCookie)
    }
}

/// What the option of a SYN says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FastOpen {
    /// The client asks for a cookie.
    Request,
    /// Of the client: the text is for a server that gave it this. Of the server: here it is.
    Cookie(FastOpenCookie),
}

impl FastOpen {
    /// Reads what follows the option's length. `None`: a length that no cookie has, which is to
    /// be ignored.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        match data {
            [] => Some(Self::Request),
            cookie => FastOpenCookie::new(cookie).map(Self::Cookie),
        }
    }

    /// The octets of its cookie.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Request => &[],
            Self::Cookie(cookie) => cookie.as_slice(),
        }
    }

    /// Octets of the option's data.
    #[must_use]
    pub const fn data_len(&self) -> usize {
        match self {
            Self::Request => 0,
            Self::Cookie(cookie) => cookie.len as usize,
        }
    }
}

/// As a line has it: `tfo`, or `tfo=` and the cookie.
impl fmt::Display for FastOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tfo")?;
        if let Self::Cookie(cookie) = self {
            f.write_char('=')?;
            cookie.fmt(f)?;
        }
        Ok(())
    }
}
