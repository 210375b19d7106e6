//! Counts of cohorts in the place of genotypes, for statements that only count: see
//! [`genokura_core::codec::counted`].
//!
//! The counts of everybody stand in the site table; where the session sees every sample, no genotype is read for
//! them. Other cohorts are counted on the stored rows of the blocks that hold their samples.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use genokura_core::codec::counted::{CohortCounts, CohortId, write_cohort, write_head};
use genokura_core::codec::{AlleleCounts, GenotypeRow, SampleMask};

use crate::choice::masks_of;
use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::members::Members;
use crate::source::SiteRows;
use crate::variants::STORED_COUNTS;

/// Makes counted cells.
pub(crate) struct CountedCells {
    cohorts: Vec<Cohort>,
}

struct Cohort {
    id: CohortId,
    of: Of,
}

/// What a cohort is counted on.
enum Of {
    /// Everybody: the counts of the site table.
    Sites,
    /// Per block of the view the members that the session sees.
    Genotypes(Vec<Option<SampleMask>>),
}

impl CountedCells {
    /// Cells that count these cohorts; a name that the session does not see counts nobody.
    pub(crate) fn new(cohorts: &[Option<Vec<String>>], view: &DatasetView) -> Self {
        let cohorts = cohorts.iter().map(|names| match names {
            None if view.sees_all => Cohort {
                id: CohortId::ALL,
                of: Of::Sites,
            },
            None => Cohort {
                id: CohortId::ALL,
                of: Of::Genotypes(masks_of(view, |_| true)),
            },
            Some(names) => {
                let mut member = vec![false; view.directory.samples.len()];
                for index in names.iter().filter_map(|n| view.directory.index_of(n)) {
                    member[index as usize] = true;
                }
                let is_member = |sample: u32| member.get(sample as usize) == Some(&true);
                Cohort {
                    id: CohortId::of(names.iter().map(String::as_str)),
                    of: Of::Genotypes(masks_of(view, is_member)),
                }
            }
        });
        Self {
            cohorts: cohorts.collect(),
        }
    }

    /// Per block whether genotypes of it are counted.
    pub(crate) fn blocks(&self, view: &DatasetView) -> Vec<bool> {
        let counted = |block: usize| {
            self.cohorts.iter().any(|cohort| match &cohort.of {
                Of::Sites => false,
                Of::Genotypes(masks) => masks.get(block).is_some_and(Option::is_some),
            })
        };
        (0..view.blocks.len()).map(counted).collect()
    }

    /// True when a cohort is counted on genotypes.
    pub(crate) fn reads_genotypes(&self) -> bool {
        let genotypes = |c: &Cohort| matches!(c.of, Of::Genotypes(_));
        self.cohorts.iter().any(genotypes)
    }

    /// True when a cohort is counted on the site table.
    pub(crate) fn reads_sites(&self) -> bool {
        self.cohorts.iter().any(|c| matches!(c.of, Of::Sites))
    }

    /// The cells of `rows`, which are the variants at `places` among `members`; NULL for one without visible samples.
    pub(crate) fn column(
        &self,
        view: &DatasetView,
        members: &Members,
        places: &[usize],
        rows: &SiteRows,
    ) -> Result<ArrayRef> {
        let counts = self
            .cohorts
            .iter()
            .map(|cohort| {
                Ok(match &cohort.of {
                    Of::Sites => of_sites(view, members, places, rows)?,
                    Of::Genotypes(masks) => {
                        let all = of_genotypes(masks, members)?;
                        places.iter().map(|place| all[*place]).collect()
                    }
                })
            })
            .collect::<Result<Vec<Vec<CohortCounts>>>>()?;
        let n_cohorts = u8::try_from(self.cohorts.len())
            .map_err(|_| Error::Plan("it counts more than 255 cohorts".into()))?;
        let mut cells = BinaryViewBuilder::with_capacity(places.len());
        let mut cell = Vec::new();
        for (row, place) in places.iter().enumerate() {
            if !members.is_visible(*place) {
                cells.append_null();
                continue;
            }
            cell.clear();
            write_head(n_cohorts, &mut cell);
            for (cohort, counts) in self.cohorts.iter().zip(&counts) {
                write_cohort(cohort.id, &counts[row], &mut cell);
            }
            cells.try_append_value(&cell)?;
        }
        Ok(Arc::new(cells.finish()))
    }
}

fn of_genotypes(masks: &[Option<SampleMask>], members: &Members) -> Result<Vec<CohortCounts>> {
    let mask = |block: usize| masks.get(block).and_then(Option::as_ref);
    members.sums_of(
        |default, block| {
            mask(block).map_or_else(CohortCounts::default, |mask| {
                let row = GenotypeRow::of_default(mask.n_samples(), default);
                CohortCounts::of(&row, Some(mask))
            })
        },
        |stored, member, block| {
            let Some(mask) = mask(block) else {
                return Ok(CohortCounts::default());
            };
            let listed = stored.checked();
            if let Some(counts) = listed.and_then(|bytes| CohortCounts::of_listed(bytes, mask)) {
                return Ok(counts);
            }
            let row = members.read_row(stored, member, block)?;
            Ok(CohortCounts::of(&row, Some(mask)))
        },
    )
}

/// Counts of everybody; how many have a genotype follows from the default call and the blocks.
fn of_sites(
    view: &DatasetView,
    members: &Members,
    places: &[usize],
    rows: &SiteRows,
) -> Result<Vec<CohortCounts>> {
    let genotypes = members.default_sums(|default, block| {
        let n = view.blocks.get(block).map_or(0, |b| b.n_samples);
        CohortCounts::of(&GenotypeRow::of_default(n, default), None)
    });
    let [ac, an, n_het, n_hom_alt, n_missing] = STORED_COUNTS.map(|name| rows.sums(name));
    let (ac, an, n_het) = (ac?, an?, n_het?);
    let (n_hom_alt, n_missing) = (n_hom_alt?, n_missing?);
    let counts = places.iter().enumerate().map(|(row, place)| CohortCounts {
        alleles: AlleleCounts {
            ac: ac.value(row),
            an: an.value(row),
            n_het: n_het.value(row),
            n_hom_alt: n_hom_alt.value(row),
            n_missing: n_missing.value(row),
            n_samples: 0,
        },
        genotypes: genotypes[*place].genotypes,
    });
    Ok(counts.collect())
}
