//! The bytes of one entry: exactly as many as it claims, with the checksum that it claims.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use lambent_core::ports::CodeRefusal;

use super::archive::{Entry, Method, corrupt};

/// Bytes of one piece: large enough that most source files are one write.
const PIECE_BYTES: usize = 128 * 1024;

/// One worker's state and buffer, used for many entries.
pub(super) struct Inflater {
    stream: Decompress,
    piece: Box<[u8]>,
}

impl Inflater {
    pub fn new() -> Self {
        Self { stream: Decompress::new(false), piece: vec![0; PIECE_BYTES].into_boxed_slice() }
    }

    /// Gives the contents to `take` piece by piece. Never gives more than the entry claims to hold.
    pub fn unpack(
        &mut self,
        zip: &[u8],
        entry: &Entry,
        mut take: impl FnMut(&[u8]) -> Result<(), CodeRefusal>,
    ) -> Result<(), CodeRefusal> {
        let mut checked = Checked { entry, crc: Crc::new(), left: entry.size };
        let packed = &zip[entry.data.clone()];
        match entry.method {
            Method::Stored => {
                for piece in packed.chunks(PIECE_BYTES) {
                    checked.pass(piece)?;
                    take(piece)?;
                }
            }
            Method::Deflated => self.inflate(packed, |piece| {
                checked.pass(piece)?;
                take(piece)
            })?,
        }
        checked.end()
    }

    fn inflate(
        &mut self,
        packed: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), CodeRefusal>,
    ) -> Result<(), CodeRefusal> {
        self.stream.reset(false);
        loop {
            let (in_before, out_before) = (self.stream.total_in(), self.stream.total_out());
            // The stream counts what it took of this slice, so it fits.
            let rest = &packed[in_before as usize..];
            let status = self
                .stream
                .decompress(rest, &mut self.piece, FlushDecompress::None)
                .map_err(|error| corrupt(format!("an entry can't be inflated: {error}")))?;
            let given = (self.stream.total_out() - out_before) as usize;
            take(&self.piece[..given])?;
            if status == Status::StreamEnd {
                return Ok(());
            }
            if given == 0 && self.stream.total_in() == in_before {
                return Err(corrupt("an entry's data is cut off"));
            }
        }
    }
}

struct Checked<'a> {
    entry: &'a Entry,
    crc: Crc,
    left: u64,
}

impl Checked<'_> {
    fn pass(&mut self, piece: &[u8]) -> Result<(), CodeRefusal> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(|| self.wrong_size())?;
        self.crc.update(piece);
        Ok(())
    }

    fn end(self) -> Result<(), CodeRefusal> {
        if self.left != 0 {
            return Err(self.wrong_size());
        }
        if self.crc.sum() != self.entry.crc {
            return Err(corrupt(format!("the checksum of entry {:?} is wrong", self.entry.name)));
        }
        Ok(())
    }

    fn wrong_size(&self) -> CodeRefusal {
        corrupt(format!("entry {:?} does not have the size that it claims", self.entry.name))
    }
}
