//! One lookup under way: addresses as they become known.

use std::future::{Future, poll_fn, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{NameError, about};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Which families are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

impl Families {
    pub(crate) const BOTH: Self = Self { v4: true, v6: true };
}

/// Why a part of a lookup brought nothing.
pub(crate) enum Failure {
    Name(NameError),
    Other(io::Error),
}

type Finding<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, Failure>> + Send + 'a>>;

/// A question that somebody is being asked.
pub(crate) struct Part<'a> {
    /// The one family that it is about; `None`: whatever there is.
    pub(crate) family: Option<Family>,
    pub(crate) finding: Finding<'a>,
}

/// What to ask next where a name may be short for several: the parts of one full name.
type Candidates<'a> = Box<dyn Iterator<Item = Vec<Part<'a>>> + Send + 'a>;

/// One lookup: a stream of addresses.
pub(crate) struct Lookup<'a> {
    name: &'a str,
    parts: Vec<Part<'a>>,
    /// Asked one after the other until one exists.
    candidates: Candidates<'a>,
    is_by_family: bool,
    found: bool,
    /// Why the candidate at hand has no addresses so far.
    failure: Option<Failure>,
    /// Why those before it had none.
    before: Option<NameError>,
}

impl<'a> Lookup<'a> {
    fn new(name: &'a str, parts: Vec<Part<'a>>, candidates: Candidates<'a>) -> Self {
        Self {
            name,
            is_by_family: parts.iter().any(|part| part.family.is_some()),
            parts,
            candidates,
            found: false,
            failure: None,
            before: None,
        }
    }

    /// Nothing is to be asked.
    pub(crate) fn known(name: &'a str, addresses: Vec<IpAddr>) -> Self {
        Self::whole(name, ready(Ok(addresses)))
    }

    /// The answer is known to be no.
    pub(crate) fn failed(name: &'a str, why: NameError) -> Self {
        Self::whole(name, ready(Err(Failure::Name(why))))
    }

    /// One question brings everything.
    pub(crate) fn whole(
        name: &'a str,
        finding: impl Future<Output = Result<Vec<IpAddr>, Failure>> + Send + 'a,
    ) -> Self {
        let whole = Part {
            family: None,
            finding: Box::pin(finding),
        };
        Self::new(name, vec![whole], Box::new(std::iter::empty()))
    }

    /// One full name after the other, until one has addresses.
    #[cfg(any(test, feature = "dns"))]
    pub(crate) fn each_of(
        name: &'a str,
        candidates: impl Iterator<Item = Vec<Part<'a>>> + Send + 'a,
    ) -> Self {
        let mut candidates = Box::new(candidates);
        let parts = candidates.next().unwrap_or_default();
        Self::new(name, parts, candidates)
    }

    /// Whether each family is asked for by itself, so that their order says nothing.
    pub(crate) fn is_by_family(&self) -> bool {
        self.is_by_family
    }

    /// Whether addresses of `family` alone are still being asked for.
    pub(crate) fn awaits(&self, family: Family) -> bool {
        self.parts.iter().any(|part| part.family == Some(family))
    }

    /// The next addresses, in the order in which to try them. `None`: that was all. The error,
    /// if nothing was found, comes last and once.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Vec<IpAddr>>>> {
        loop {
            let mut place = 0;
            while let Some(part) = self.parts.get_mut(place) {
                match part.finding.as_mut().poll(cx) {
                    Poll::Pending => place += 1,
                    Poll::Ready(done) => {
                        self.parts.remove(place);
                        match done {
                            Ok(addresses) if !addresses.is_empty() => {
                                self.found = true;
                                return Poll::Ready(Some(Ok(addresses)));
                            }
                            Ok(_) => {
                                self.note(Failure::Name(NameError::NoAddress { server: None }))
                            }
                            Err(failure) => self.note(failure),
                        }
                    }
                }
            }
            if !self.parts.is_empty() {
                return Poll::Pending;
            }
            if self.found {
                return Poll::Ready(None);
            }
            if let Err(error) = self.next_candidate() {
                // Nothing more comes after it.
                self.found = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// The candidate at hand has no addresses: on to the next, if there is one.
    fn next_candidate(&mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(Failure::Other(error)) => return Err(error),
            // Whether this one exists is not known. Going on could make a longer name, of
            // somebody else, mean what this one does when its server answers.
            Some(Failure::Name(why)) if !says_no(&why) => return Err(about(self.name, why)),
            // That one of them exists is more than that others do not.
            Some(Failure::Name(why)) if self.before.is_none() || is_no_address(&why) => {
                self.before = Some(why);
            }
            Some(Failure::Name(_)) | None => {}
        }
        match self.candidates.next() {
            Some(parts) => {
                self.parts = parts;
                Ok(())
            }
            None => {
                let why = self.before.take().unwrap_or(NameError::NotAName);
                Err(about(self.name, why))
            }
        }
    }

    /// Of several failures about one name the one that says most: that it does not exist holds
    /// for both families, that one has no address says nothing of the other.
    fn note(&mut self, failure: Failure) {
        fn weight(failure: &Failure) -> u8 {
            match failure {
                Failure::Name(NameError::NoAddress { .. }) => 0,
                Failure::Name(NameError::NoSuchName { .. }) => 2,
                Failure::Name(_) | Failure::Other(_) => 1,
            }
        }
        match &self.failure {
            Some(known) if weight(known) >= weight(&failure) => {}
            _ => self.failure = Some(failure),
        }
    }

    /// Everything that can be found, in the order in which to try it: of families that were
    /// asked for by themselves `first` goes first.
    pub(crate) async fn all(mut self, first: Family) -> io::Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        while let Some(more) = poll_fn(|cx| self.poll_next(cx)).await {
            found.extend(more?);
        }
        if self.is_by_family {
            found.sort_by_key(|address| Family::of(address) != first);
        }
        Ok(found)
    }
}

/// Whether `why` is an answer: the name, or an address of it, is not there.
fn says_no(why: &NameError) -> bool {
    matches!(why, NameError::NoSuchName { .. }) || is_no_address(why)
}

fn is_no_address(why: &NameError) -> bool {
    matches!(why, NameError::NoAddress { .. })
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
