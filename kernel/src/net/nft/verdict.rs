//! What becomes of a packet.

use super::attributes::Attributes;
use super::error::Malformed;
use super::object::name_fault;
use std::fmt;

/// The end of a rule, or the data of an element in a verdict map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The packet passes this hook.
    Accept,
    /// The packet is gone.
    Drop,
    /// The next rule decides.
    Continue,
    /// As [`Continue`](Self::Continue), where a rule breaks off.
    Break,
    /// The chain that led here decides, or the policy.
    Return,
    /// Another chain decides, and may come back.
    Jump(String),
    /// Another chain decides, and comes back to this chain's caller.
    Goto(String),
    /// One that only other programs make, by its number.
    Other(i32),
}

impl Verdict {
    /// The chain that decides instead.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept
            | Self::Drop
            | Self::Continue
            | Self::Break
            | Self::Return
            | Self::Other(_) => None,
        }
    }

    /// The kernel's number.
    pub(super) const fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Continue => -1,
            Self::Break => -2,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
            Self::Other(code) => *code,
        }
    }

    /// Why no packet can go there, if none can.
    pub(super) fn fault(&self) -> Option<String> {
        self.target().and_then(name_fault)
    }

    /// The verdict in an attribute of data, if it holds one.
    pub(super) fn from_data(data: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        const VERDICT: u16 = 2;
        const CODE: u16 = 1;
        const CHAIN: u16 = 2;
        let Some(verdict) = data.nested(VERDICT)? else {
            return Ok(None);
        };
        let code = verdict
            .u32(CODE)?
            .ok_or(Malformed::Lacking("verdict", "code"))?;
        let code = i32::from_ne_bytes(code.to_ne_bytes());
        let read = Self::read(code, verdict.string(CHAIN)?);
        read.map(Some).ok_or(Malformed::Lacking("verdict", "chain"))
    }

    fn read(code: i32, target: Option<String>) -> Option<Self> {
        Some(match code {
            0 => Self::Drop,
            1 => Self::Accept,
            -1 => Self::Continue,
            -2 => Self::Break,
            -3 => Self::Jump(target?),
            -4 => Self::Goto(target?),
            -5 => Self::Return,
            other => Self::Other(other),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Continue => f.write_str("continue"),
            Self::Break => f.write_str("break"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Other(code) => write!(f, "verdict {code}"),
        }
    }
}
