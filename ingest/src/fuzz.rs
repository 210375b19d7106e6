//! Bodies of the fuzz targets (`ingest/fuzz`): any bytes through a reader, which may refuse them and
//! must not panic. The tests drive them with random bytes.

use std::sync::Arc;

use crate::bcf::{Decoder, file_header, records};
use crate::encode::ChunkBuilder;
use crate::header::{Header, HeaderEnd, find_header_end};
use crate::plan::{BlockPlan, InputPlan, Layout};
use crate::vcf::RecordParser;

/// A header that the records are read under: every Type, several Numbers, two samples.
const HEADER: &str = concat!(
    "##fileformat=VCFv4.5\n##contig=<ID=1>\n##FILTER=<ID=q,Description=\"\">\n",
    "##INFO=<ID=I,Number=1,Type=Integer,Description=\"\">\n",
    "##INFO=<ID=F,Number=A,Type=Float,Description=\"\">\n",
    "##INFO=<ID=S,Number=R,Type=String,Description=\"\">\n",
    "##INFO=<ID=B,Number=0,Type=Flag,Description=\"\">\n",
    "##INFO=<ID=END,Number=1,Type=Integer,Description=\"\">\n",
    "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"\">\n",
    "##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"\">\n",
    "##FORMAT=<ID=GL,Number=G,Type=Float,Description=\"\">\n",
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\n",
);

/// Reads bytes as a VCF header. Returns whether they are one.
#[must_use]
pub fn header(bytes: &[u8]) -> bool {
    if let HeaderEnd::At(end) = find_header_end(bytes, 0, true) {
        assert!(end <= bytes.len(), "a header ends within its bytes");
    }
    let Ok(header) = Header::parse(bytes) else {
        return false;
    };
    let _ = (
        header.bcf_strings(),
        header.bcf_contigs(),
        header.repair_counts(),
    );
    true
}

/// Reads bytes as a BCF file, and as records. Returns whether any record was decoded.
#[must_use]
pub fn bcf(bytes: &[u8]) -> bool {
    let _ = file_header(bytes);
    let Ok(header) = Header::parse(HEADER.as_bytes()) else {
        return false;
    };
    let decoder = Decoder::new(&header);
    let mut line = Vec::new();
    records(bytes)
        .flatten()
        .filter(|record| decoder.decode(record, &mut line).is_ok())
        .count()
        > 0
}

/// Reads bytes as record lines. Returns whether the rows could be built.
#[must_use]
pub fn record(bytes: &[u8]) -> bool {
    let Ok(header) = Header::parse(HEADER.as_bytes()) else {
        return false;
    };
    let layout = Arc::new(Layout::new(header.info, &header.format, false));
    let input = Arc::new(InputPlan {
        source: 0,
        n_samples: 2,
        has_format: true,
        version: None,
        blocks: vec![BlockPlan {
            block: 0,
            n_samples: 2,
        }],
        filters: vec!["q".to_owned()],
        annotations: Vec::new(),
        whole: Default::default(),
    });
    let mut parser = RecordParser::new(Arc::clone(&layout), input, None);
    let mut chunk = ChunkBuilder::new(layout);
    let mut n = 0;
    for line in bytes.split(|&b| b == b'\n') {
        parser.line(line, n, &mut chunk);
        n += 1;
    }
    chunk.finish(n).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "1\t100\trs1\tAC\tA,<DEL>\t29.5\tq\tI=3;F=0.5,.;S=a,b,c;B;END=200\tGT:AD:GL\t0|1:1,2,3:0,1,2,3,4,5\t./.:.:.";

    #[test]
    fn the_record_that_is_mutated_is_good() {
        assert!(record(LINE.as_bytes()));
    }

    proptest! {
        #[test]
        fn random_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (header(&bytes), bcf(&bytes));
            prop_assert!(record(&bytes));
        }

        #[test]
        fn mutated_records_end_without_panic(
            flips in proptest::collection::vec((0..LINE.len(), prop::sample::select(&b"\t:;,=|/.0129AC<>[]*-+eE\xff\0"[..])), 1..8),
            cut in 0..LINE.len(),
        ) {
            let mut line = LINE.as_bytes().to_vec();
            for (at, byte) in flips {
                line[at] = byte;
            }
            prop_assert!(record(&line));
            prop_assert!(record(&line[..cut]));
        }

        #[test]
        fn mutated_headers_end_without_panic(
            flips in proptest::collection::vec((0..HEADER.len(), any::<u8>()), 1..8),
        ) {
            let mut text = HEADER.as_bytes().to_vec();
            for (at, byte) in flips {
                text[at] = byte;
            }
            let _ = header(&text);
        }
    }
}
