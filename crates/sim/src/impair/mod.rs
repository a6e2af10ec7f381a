//! What a link may do to a packet: one file for each impairment.
//!
//! Each is a small component with its own state that is asked about one packet at a time and
//! knows nothing of the others; [`Link`](crate::link::Link) asks them in the order in which a
//! real line would act. All of them may be changed while packets are under way: what is
//! already on the line keeps its fate.

pub mod corrupt;
pub mod delay;
pub mod duplicate;
pub mod loss;
pub mod mtu;
pub mod partition;
pub mod rate;
pub mod reorder;
mod words;

pub use corrupt::Corrupt;
pub use delay::Delay;
pub use duplicate::Duplicate;
pub use loss::{Burst, Loss};
pub use mtu::Mtu;
pub use partition::Partition;
pub use rate::{QueueLimit, Rate};
pub use reorder::Reorder;
pub use words::ConditionsError;
