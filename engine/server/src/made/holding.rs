//! Arrays that hold the memory they take until the last copy of them is dropped.

use std::collections::BTreeSet;
use std::fmt;

use datafusion::arrow::array::{Array as _, ArrayData, ArrayRef, make_array};
use datafusion::arrow::buffer::Buffer;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::ColumnarValue;

/// The bytes of an array that none of the arguments has: what was made for it.
pub(super) fn made(array: &ArrayRef, given: &[ColumnarValue]) -> usize {
    let mut known = BTreeSet::new();
    for value in given {
        if let ColumnarValue::Array(array) = value {
            for_each(&array.to_data(), &mut |buffer| {
                known.insert(buffer.data_ptr().addr());
            });
        }
    }
    let mut bytes = 0_usize;
    for_each(&array.to_data(), &mut |buffer| {
        if known.insert(buffer.data_ptr().addr()) {
            bytes = bytes.saturating_add(buffer.capacity());
        }
    });
    bytes
}

fn for_each(data: &ArrayData, see: &mut dyn FnMut(&Buffer)) {
    for buffer in data.buffers() {
        see(buffer);
    }
    for child in data.child_data() {
        for_each(child, see);
    }
}

/// Bytes that memory was taken for.
struct Taken {
    bytes: Buffer,
    _memory: MemoryReservation,
}

impl AsRef<[u8]> for Taken {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken")
    }
}

/// The array, whose longest buffer holds the memory.
///
/// # Errors
/// None for an array that is one.
pub(super) fn holding(array: &ArrayRef, memory: MemoryReservation) -> Result<ArrayRef> {
    let mut memory = Some(memory);
    let data = with(array.to_data(), &mut memory)?;
    Ok(make_array(data))
}

fn with(data: ArrayData, memory: &mut Option<MemoryReservation>) -> Result<ArrayData> {
    let own = data.buffers().iter().map(Buffer::len).max().unwrap_or(0);
    let sizes = data.child_data().iter().map(longest);
    let within = sizes.enumerate().max_by_key(|(_, bytes)| *bytes);
    if let Some((at, bytes)) = within
        && bytes > own
    {
        let mut children = data.child_data().to_vec();
        if let Some(child) = children.get_mut(at) {
            *child = with(child.clone(), memory)?;
        }
        return Ok(data.into_builder().child_data(children).build()?);
    }
    let mut buffers = data.buffers().to_vec();
    let longest = buffers.iter_mut().max_by_key(|buffer| buffer.len());
    if let Some(buffer) = longest
        && !buffer.is_empty()
        && let Some(memory) = memory.take()
    {
        let taken = Taken {
            bytes: buffer.clone(),
            _memory: memory,
        };
        *buffer = Buffer::from(bytes::Bytes::from_owner(taken));
    }
    Ok(data.into_builder().buffers(buffers).build()?)
}

fn longest(data: &ArrayData) -> usize {
    let own = data.buffers().iter().map(Buffer::len);
    own.chain(data.child_data().iter().map(longest))
        .max()
        .unwrap_or(0)
}
