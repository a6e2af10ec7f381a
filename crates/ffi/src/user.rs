//! Memory of the caller: the only place where its pointers are followed.
//!
//! The kernel notices any bad pointer; we notice a null pointer (`EFAULT`). Any other bad pointer
//! is undefined behaviour, as it is for the C library's own functions.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crate::errno::Errno;

/// The most parts of one message (`IOV_MAX`).
const IOV_MAX: usize = 1024;

/// A text of the caller.
///
/// # Safety
///
/// `text` is null or ends with a zero octet, and stays as it is for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Errno> {
    if text.is_null() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Errno::EINVAL)
}

/// A value that the caller hands over by its address, which need not be aligned.
///
/// # Safety
///
/// `from` is null or readable for a `T`, and any octets make a `T`.
pub(crate) unsafe fn get<T: Copy>(from: *const T) -> Result<T, Errno> {
    if from.is_null() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    Ok(unsafe { from.read_unaligned() })
}

/// Puts `value` where the caller wants it, aligned or not.
///
/// # Safety
///
/// `to` is null or writable for a `T`.
pub(crate) unsafe fn put<T: Copy>(to: *mut T, value: T) -> Result<(), Errno> {
    if to.is_null() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { to.write_unaligned(value) };
    Ok(())
}

/// Octets that the caller hands over.
///
/// # Safety
///
/// `from` is null or readable for `len` octets, which stay as they are for `'a`.
pub(crate) unsafe fn octets<'a>(from: *const c_void, len: usize) -> Result<&'a [u8], Errno> {
    if len == 0 {
        return Ok(&[]);
    }
    if from.is_null() {
        return Err(Errno::EFAULT);
    }
    if isize::try_from(len).is_err() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: not null, not longer than an allocation can be, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(from.cast(), len) })
}

/// `count` values of the caller, which it may read meanwhile and nobody else touches.
///
/// # Safety
///
/// `at` is null or an array of `count` values, aligned, that nobody else uses for `'a`.
pub(crate) unsafe fn array<'a, T: Copy>(at: *mut T, count: usize) -> Result<&'a mut [T], Errno> {
    if count == 0 {
        return Ok(&mut []);
    }
    if at.is_null() {
        return Err(Errno::EFAULT);
    }
    if !at.is_aligned() || isize::try_from(count.saturating_mul(size_of::<T>())).is_err() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: not null, aligned, of a possible length, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(at, count) })
}

/// The parts that `iov` names.
///
/// # Safety
///
/// `iov` is null or an array of `count` values.
unsafe fn parts(iov: *const libc::iovec, count: usize) -> Result<Vec<libc::iovec>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EMSGSIZE);
    }
    let mut total = 0_usize;
    (0..count)
        .map(|index| {
            // SAFETY: within the array, if there is one.
            let part = unsafe { get(if iov.is_null() { iov } else { iov.add(index) }) }?;
            total = total.checked_add(part.iov_len).ok_or(Errno::EINVAL)?;
            isize::try_from(total).map_err(|_| Errno::EINVAL)?;
            Ok(part)
        })
        .collect()
}

/// Octets to send, in one piece or several.
pub(crate) struct Source<'a> {
    parts: Vec<&'a [u8]>,
}

impl<'a> Source<'a> {
    /// # Safety
    ///
    /// As for [`octets`].
    pub(crate) unsafe fn plain(from: *const c_void, len: usize) -> Result<Self, Errno> {
        // SAFETY: the caller vouches.
        let part = unsafe { octets(from, len) }?;
        Ok(Self { parts: vec![part] })
    }

    /// # Safety
    ///
    /// `iov` is null or an array of `count` values, each as for [`octets`].
    pub(crate) unsafe fn vector(iov: *const libc::iovec, count: usize) -> Result<Self, Errno> {
        // SAFETY: the caller vouches for the array.
        let parts = unsafe { parts(iov, count) }?;
        let parts = parts.into_iter().map(|part| {
            // SAFETY: the caller vouches for each part.
            unsafe { octets(part.iov_base, part.iov_len) }
        });
        Ok(Self {
            parts: parts.collect::<Result<_, _>>()?,
        })
    }

    /// Octets in all parts.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// The first part from offset `at` on; empty at the end.
    pub(crate) fn from(&self, mut at: usize) -> &'a [u8] {
        for part in &self.parts {
            match part.get(at..) {
                Some(rest) if !rest.is_empty() => return rest,
                _ => at -= part.len(),
            }
        }
        &[]
    }

    /// At most `len` octets from the front, in one piece.
    pub(crate) fn first(&self, len: usize) -> bytes::Bytes {
        let mut front = Vec::new();
        for part in &self.parts {
            let room = part.len().min(len - front.len());
            front.extend_from_slice(part.get(..room).unwrap_or_default());
        }
        front.into()
    }

    /// All parts in one piece.
    pub(crate) fn to_bytes(&self) -> bytes::Bytes {
        self.parts.concat().into()
    }
}

/// Room for what is received, in one piece or several.
pub(crate) struct Sink<'a> {
    parts: Vec<(*mut u8, usize)>,
    filled: usize,
    /// The room is the caller's, who wrote nothing there perhaps.
    room: PhantomData<&'a mut [MaybeUninit<u8>]>,
}

impl Sink<'_> {
    /// # Safety
    ///
    /// `to` is null or writable for `len` octets as long as the sink lives.
    pub(crate) unsafe fn plain(to: *mut c_void, len: usize) -> Result<Self, Errno> {
        // SAFETY: the caller vouches.
        unsafe {
            Self::new(
                [libc::iovec {
                    iov_base: to,
                    iov_len: len,
                }]
                .into(),
            )
        }
    }

    /// # Safety
    ///
    /// `iov` is null or an array of `count` values, each as for `plain`.
    pub(crate) unsafe fn vector(iov: *const libc::iovec, count: usize) -> Result<Self, Errno> {
        // SAFETY: the caller vouches for the array and for each part.
        unsafe { Self::new(parts(iov, count)?) }
    }

    /// # Safety
    ///
    /// Each part is as for `plain`.
    unsafe fn new(parts: Vec<libc::iovec>) -> Result<Self, Errno> {
        let parts = parts.into_iter().filter(|part| part.iov_len > 0);
        let parts = parts.map(|part| {
            let len = part.iov_len;
            isize::try_from(len).map_err(|_| Errno::EINVAL)?;
            Ok((part.iov_base.cast(), len))
        });
        Ok(Self {
            parts: parts.collect::<Result<_, Errno>>()?,
            filled: 0,
            room: PhantomData,
        })
    }

    /// Whether there is room, and all of it is somewhere. Asked before anything is taken from a
    /// socket, so that a bad pointer loses nothing.
    pub(crate) fn check(&self) -> Result<(), Errno> {
        let is_bad = self.parts.iter().any(|(to, _)| to.is_null());
        if is_bad { Err(Errno::EFAULT) } else { Ok(()) }
    }

    /// Octets of room left.
    pub(crate) fn room(&self) -> usize {
        let all: usize = self.parts.iter().map(|(_, len)| len).sum();
        all - self.filled
    }

    /// Octets put there.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// Counts octets as put without putting them: the caller wanted them discarded.
    pub(crate) fn skip(&mut self, len: usize) {
        self.filled += len.min(self.room());
    }

    /// Puts what there is room for.
    pub(crate) fn put(&mut self, mut from: &[u8]) {
        let mut at = self.filled;
        for &(to, len) in &self.parts {
            if at >= len {
                at -= len;
                continue;
            }
            let count = from.len().min(len - at);
            if to.is_null() || count == 0 {
                return;
            }
            // SAFETY: whoever made the sink vouched for `len` writable octets at `to`, and
            // `at + count` is within them; `from` is ours and apart from them.
            unsafe { to.add(at).copy_from_nonoverlapping(from.as_ptr(), count) };
            from = from.get(count..).unwrap_or_default();
            self.filled += count;
            at = 0;
        }
    }
}

/// Sets `errno` of the calling thread.
pub(crate) fn set_errno(Errno(errno): Errno) {
    // SAFETY: the address of the calling thread's `errno` is always good.
    unsafe { *libc::__errno_location() = errno };
}

/// What a call answers its C caller: the value, or -1 and `errno`. A panic must not cross into
/// C, and what it leaves behind is not to be trusted: it ends the process.
pub(crate) fn answer<T: From<i8>>(call: impl FnOnce() -> Result<T, Errno>) -> T {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        Ok(Ok(value)) => value,
        Ok(Err(errno)) => {
            set_errno(errno);
            T::from(-1)
        }
        Err(_) => {
            eprintln!("libswitchboard: a fault of its own, see above; the process ends");
            std::process::abort()
        }
    }
}

/// `answer` for calls that return a count of octets or messages.
pub(crate) fn answer_len(call: impl FnOnce() -> Result<usize, Errno>) -> isize {
    answer(|| call().map(|len| isize::try_from(len).unwrap_or(isize::MAX)))
}

/// `answer` for calls that return 0.
pub(crate) fn answer_done(call: impl FnOnce() -> Result<(), Errno>) -> c_int {
    answer(|| call().map(|()| 0))
}
