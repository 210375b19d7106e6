//! Array blob: the values of one FORMAT key of one record in one sample block.

use crate::error::Result;

/// How the values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ArrayKind {
    /// Whole numbers.
    Integer = 0,
    /// 32-bit floats.
    Float = 1,
    /// One raw text for each sample, commas included (String, Character, and the fall back).
    Text = 2,
}

/// Builds the blob of one key x record x block; reused from record to record.
#[derive(Debug, Default)]
pub struct ArrayEncoder {}

impl ArrayEncoder {
    /// An empty encoder; call [`ArrayEncoder::begin`] before anything else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a blob for `n_samples` samples.
    pub fn begin(&mut self, kind: ArrayKind, n_samples: u32) {
        let _ = (kind, n_samples);
    }

    /// The text of a sample (ascending); samples never mentioned, `.` and the empty text are absent.
    /// False when the text does not fit the kind: the whole blob then falls back to text.
    pub fn push_text(&mut self, sample: u32, text: &[u8]) -> bool {
        let _ = (sample, text);
        true
    }

    /// Appends the blob; false when every sample is absent and nothing was written.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        let _ = out;
        todo!()
    }
}

/// The values of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayValue<'a> {
    /// `.`, or the trailing field was dropped.
    Absent,
    /// Whole numbers, `None` where `.` stands.
    Integers(Vec<Option<i32>>),
    /// Floats, `None` where `.` stands.
    Floats(Vec<Option<f32>>),
    /// Raw text.
    Text(&'a [u8]),
}

/// Borrowed view of one blob.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRow<'a> {
    bytes: &'a [u8],
}

impl<'a> ArrayRow<'a> {
    /// Reads and checks a blob.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when the bytes are not a blob of this version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Ok(Self { bytes })
    }

    /// How the values are stored; [`ArrayKind::Text`] also for a key of another type whose texts
    /// did not fit.
    #[must_use]
    pub fn kind(&self) -> ArrayKind {
        todo!()
    }

    /// Size of the block.
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        todo!()
    }

    /// Values of a sample; absent for one outside of the block.
    #[must_use]
    pub fn values(&self, sample: u32) -> ArrayValue<'a> {
        let _ = (sample, self.bytes);
        todo!()
    }

    /// The value of a sample that has exactly one whole number; else `None`.
    #[must_use]
    pub fn integer_scalar(&self, sample: u32) -> Option<i32> {
        let _ = sample;
        todo!()
    }

    /// The value of a sample that has exactly one float; else `None`.
    #[must_use]
    pub fn float_scalar(&self, sample: u32) -> Option<f32> {
        let _ = sample;
        todo!()
    }

    /// Appends the text of a sample as VCF has it; `.` when absent.
    pub fn write_text(&self, sample: u32, out: &mut Vec<u8>) {
        let _ = (sample, out);
        todo!()
    }
}
