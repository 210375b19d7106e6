//! Sex, and how the place of a variant decides who hands it down.

use crate::contig::{Assembly, canonical_key};

/// Sex of a person as far as chromosomes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sex {
    /// Two X.
    Female,
    /// One X, one Y.
    Male,
    /// Not known, or neither.
    #[default]
    Unknown,
}

impl Sex {
    /// The sex that a PED file or a clinical table writes: `1`, `m`, `male`, `XY`; `2`, `f`, `female`, `XX`, in any
    /// case. Everything else is [`Sex::Unknown`].
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "m" | "male" | "xy" => Self::Male,
            "2" | "f" | "female" | "xx" => Self::Female,
            _ => Self::Unknown,
        }
    }

    /// `male`, `female` or `unknown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
            Self::Unknown => "unknown",
        }
    }
}

/// A part of the genome with one way of inheritance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// One copy from each parent: chromosomes 1 to 22, the pseudoautosomal regions of X and Y, and every contig
    /// that is no human primary.
    Autosomal,
    /// X outside of its pseudoautosomal regions: a son has one copy, his mother's.
    X,
    /// Y outside of its pseudoautosomal regions: a son has one copy, his father's.
    Y,
    /// The mitochondrial genome: the mother's.
    Mitochondrial,
}

impl Zone {
    /// The zone of a position (1-based) of a contig (any alias).
    ///
    /// `None` on X and Y when the assembly is not known: without it nobody can tell the pseudoautosomal regions.
    #[must_use]
    pub fn of(assembly: Option<Assembly>, contig: &str, pos: u32) -> Option<Self> {
        let beyond = |assembly: Assembly, zone| {
            if assembly.is_pseudoautosomal(contig, pos) {
                Self::Autosomal
            } else {
                zone
            }
        };
        match canonical_key(contig) {
            Some("X") => assembly.map(|assembly| beyond(assembly, Self::X)),
            Some("Y") => assembly.map(|assembly| beyond(assembly, Self::Y)),
            Some("MT") => Some(Self::Mitochondrial),
            _ => Some(Self::Autosomal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sexes_are_read_as_ped_files_and_tables_write_them() {
        for (text, sex) in [
            ("1", Sex::Male),
            ("2", Sex::Female),
            ("Female", Sex::Female),
            (" XY ", Sex::Male),
            ("0", Sex::Unknown),
            ("-9", Sex::Unknown),
            ("", Sex::Unknown),
            ("other", Sex::Unknown),
        ] {
            assert_eq!(Sex::of_text(text), sex, "{text}");
        }
    }

    /// First and last base of every pseudoautosomal region, and their neighbours outside.
    #[test]
    fn zones_change_at_the_pseudoautosomal_boundaries() {
        use Assembly::{Chm13, GRCh37, GRCh38};
        for (assembly, contig, zone, regions) in [
            (
                GRCh37,
                "X",
                Zone::X,
                [(60_001, 2_699_520), (154_931_044, 155_260_560)],
            ),
            (
                GRCh37,
                "Y",
                Zone::Y,
                [(10_001, 2_649_520), (59_034_050, 59_363_566)],
            ),
            (
                GRCh38,
                "chrX",
                Zone::X,
                [(10_001, 2_781_479), (155_701_383, 156_030_895)],
            ),
            (
                GRCh38,
                "chrY",
                Zone::Y,
                [(10_001, 2_781_479), (56_887_903, 57_217_415)],
            ),
            (
                Chm13,
                "chrX",
                Zone::X,
                [(1, 2_394_410), (153_925_835, 154_259_566)],
            ),
            (
                Chm13,
                "chrY",
                Zone::Y,
                [(1, 2_458_320), (62_122_810, 62_460_029)],
            ),
        ] {
            let at = |pos| Zone::of(Some(assembly), contig, pos);
            for (start, end) in regions {
                assert_eq!(
                    at(start),
                    Some(Zone::Autosomal),
                    "{assembly} {contig}:{start}"
                );
                assert_eq!(at(end), Some(Zone::Autosomal), "{assembly} {contig}:{end}");
                assert_eq!(at(end + 1), Some(zone), "{assembly} {contig}:{end}+1");
                if start > 1 {
                    assert_eq!(at(start - 1), Some(zone), "{assembly} {contig}:{start}-1");
                }
            }
        }
    }

    #[test]
    fn the_zone_of_x_needs_an_assembly() {
        assert_eq!(Zone::of(None, "chrX", 5_000_000), None);
        assert_eq!(Zone::of(None, "chr7", 5_000_000), Some(Zone::Autosomal));
        assert_eq!(Zone::of(None, "MT", 7), Some(Zone::Mitochondrial));
        assert_eq!(Zone::of(None, "chrUn_1", 7), Some(Zone::Autosomal));
    }
}
