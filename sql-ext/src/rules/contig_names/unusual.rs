//! Human contigs under names that other tables do not use (`chr01`, `chrMT`): equal to none of theirs, and nobody would
//! be told. Other species have contigs of such names, so that it is a warning.

use std::collections::BTreeSet;

use datafusion::common::Result as DfResult;
use datafusion::execution::SessionState;
use genokura_core::contig::{ContigNames, canonical_key, odd_key};

use super::origin::{Origin, spelling};
use crate::error::shown;
use crate::warnings::{Warning, Warnings};

/// Warns where one side of a comparison has a contig under an unusual name, and the other has not that name, but may
/// have the contig under another.
///
/// # Errors
/// What looking at rows in memory and at the results of functions fails with.
pub(crate) async fn warn(left: &[Origin], right: &[Origin], state: &SessionState) -> DfResult<()> {
    let names = [unusual(left).await?, unusual(right).await?];
    if names.iter().all(BTreeSet::is_empty) {
        return Ok(());
    }
    let folded = left.iter().chain(right).any(Origin::is_folded);
    let [of_left, of_right] = &names;
    for (names, others, side) in [(of_left, of_right, right), (of_right, of_left, left)] {
        let alone = alone(names, others, folded);
        if alone.is_empty() {
            continue;
        }
        let spelled = spelling(side, state).await?;
        let contigs: Option<Vec<Vec<String>>> = side.iter().map(Origin::contigs).collect();
        let contigs = contigs.map(|contigs| contigs.concat());
        let called = alone.into_iter().find_map(|name| {
            let called = called(name, others, spelled.as_deref(), contigs.as_deref())?;
            Some((name, called))
        });
        if let Some((name, called)) = called {
            Warnings::add(state.config_options(), || warning(name, &called));
            return Ok(());
        }
    }
    Ok(())
}

/// The names that the others do not have.
fn alone<'a>(names: &'a BTreeSet<String>, others: &BTreeSet<String>, folded: bool) -> Vec<&'a str> {
    let mut alone = Vec::new();
    for name in names {
        let has = match folded {
            true => others.iter().any(|other| other.eq_ignore_ascii_case(name)),
            false => others.contains(name),
        };
        if !has {
            alone.push(name.as_str());
        }
    }
    alone
}

async fn unusual(origins: &[Origin]) -> DfResult<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for origin in origins {
        names.extend(origin.unusual().await?.into_iter().flatten());
    }
    Ok(names)
}

/// What a side calls the human contig of an unusual name that it does not have: by its own unusual names, how it spells
/// the others, and its contigs, where it tells them.
fn called(
    name: &str,
    others: &BTreeSet<String>,
    spelled: Option<&str>,
    contigs: Option<&[String]>,
) -> Option<String> {
    let key = key_of(name)?;
    if let Some(other) = others.iter().find(|other| key_of(other) == Some(key)) {
        return Some(format!("\"{other}\""));
    }
    let usual = match spelled? {
        "" => ContigNames::Plain.of(key).into_owned(),
        "chr" => ContigNames::Chr.of(key).into_owned(),
        other => return Some(format!("like {}", shown(other))),
    };
    let has = contigs.is_none_or(|contigs| contigs.contains(&usual));
    has.then(|| format!("\"{usual}\""))
}

fn key_of(name: &str) -> Option<&'static str> {
    canonical_key(name).or_else(|| odd_key(name))
}

fn warning(name: &str, called: &str) -> Warning {
    Warning {
        text: format!(
            "contig \"{name}\" is compared with contigs of a table that calls this one {called}: it is equal to none of them"
        ),
        hint: "If it is the human contig, load its table again with --contigs (or with the name changed in the input)."
            .to_owned(),
    }
}
