//! An excerpt of the Human Phenotype Ontology: the terms that the cohort's tables use, and all their ancestors.
//!
//! Ids, names and `is_a` are those of the release of 2025-01-16 (<https://hpo.jax.org>, Köhler et al. 2021), of
//! alternative ids the first two; definitions and synonyms are left out.

use std::io::{self, Write};

/// The release that the excerpt is of.
const RELEASE: &str = "hp/releases/2025-01-16";

/// A term in use.
struct Term {
    id: &'static str,
    name: &'static str,
    parents: &'static [&'static str],
    alt_ids: &'static [&'static str],
}

const fn term(
    id: &'static str,
    name: &'static str,
    parents: &'static [&'static str],
    alt_ids: &'static [&'static str],
) -> Term {
    Term {
        id,
        name,
        parents,
        alt_ids,
    }
}

/// Obsolete terms: id, name, the term in its place.
const OBSOLETE: [(&str, &str, Option<&str>); 3] = [
    (
        "HP:0001122",
        "obsolete Aplasia/Hypoplasia of the choroid",
        None,
    ),
    (
        "HP:0002109",
        "obsolete Abnormality of the bronchi",
        Some("HP:0025426"),
    ),
    (
        "HP:0003464",
        "obsolete Abnormal cholesterol homeostasis",
        Some("HP:0003107"),
    ),
];

/// Writes the excerpt as OBO 1.2.
pub fn write_hpo(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "format-version: 1.2\ndata-version: {RELEASE}\nontology: hp.obo"
    )?;
    for term in TERMS {
        writeln!(out, "\n[Term]\nid: {}\nname: {}", term.id, term.name)?;
        for alt in term.alt_ids {
            writeln!(out, "alt_id: {alt}")?;
        }
        for parent in term.parents {
            let name = TERMS
                .iter()
                .find(|t| t.id == *parent)
                .map_or("", |t| t.name);
            writeln!(out, "is_a: {parent} ! {name}")?;
        }
    }
    for (id, name, replaced_by) in OBSOLETE {
        writeln!(out, "\n[Term]\nid: {id}\nname: {name}\nis_obsolete: true")?;
        if let Some(replaced_by) = replaced_by {
            writeln!(out, "replaced_by: {replaced_by}")?;
        }
    }
    Ok(())
}

const TERMS: &[Term] = &[
    term("HP:0000001", "All", &[], &[]),
    term(
        "HP:0000008",
        "Abnormal morphology of female internal genitalia",
        &["HP:0000812", "HP:0010460"],
        &[],
    ),
    term(
        "HP:0000078",
        "Abnormality of the genital system",
        &["HP:0000119"],
        &[],
    ),
    term(
        "HP:0000079",
        "Abnormality of the urinary system",
        &["HP:0000119"],
        &[],
    ),
    term("HP:0000093", "Proteinuria", &["HP:0020129"], &[]),
    term("HP:0000118", "Phenotypic abnormality", &["HP:0000001"], &[]),
    term(
        "HP:0000119",
        "Abnormality of the genitourinary system",
        &["HP:0000118"],
        &["HP:0008658", "HP:0008688"],
    ),
    term(
        "HP:0000137",
        "Abnormality of the ovary",
        &["HP:0000008"],
        &[],
    ),
    term("HP:0000364", "Hearing abnormality", &["HP:0031704"], &[]),
    term(
        "HP:0000365",
        "Hearing impairment",
        &["HP:0000364"],
        &["HP:0000404", "HP:0001728"],
    ),
    term(
        "HP:0000407",
        "Sensorineural hearing impairment",
        &["HP:0000365", "HP:0011389"],
        &["HP:0000374", "HP:0001753"],
    ),
    term("HP:0000598", "Abnormality of the ear", &["HP:0000118"], &[]),
    term(
        "HP:0000707",
        "Abnormality of the nervous system",
        &["HP:0000118"],
        &["HP:0001333", "HP:0006987"],
    ),
    term(
        "HP:0000769",
        "Abnormality of the breast",
        &["HP:0000118"],
        &[],
    ),
    term(
        "HP:0000812",
        "Abnormal internal genitalia",
        &["HP:0012243"],
        &[],
    ),
    term(
        "HP:0000822",
        "Hypertension",
        &["HP:0032263"],
        &["HP:0004949", "HP:0005126"],
    ),
    term(
        "HP:0000951",
        "Abnormality of the skin",
        &["HP:0001574"],
        &["HP:0001478", "HP:0001479"],
    ),
    term("HP:0001014", "Angiokeratoma", &["HP:0011276"], &[]),
    term(
        "HP:0001249",
        "Intellectual disability",
        &["HP:0011446", "HP:0012759"],
        &["HP:0000730", "HP:0001267"],
    ),
    term(
        "HP:0001250",
        "Seizure",
        &["HP:0012638"],
        &["HP:0001275", "HP:0001303"],
    ),
    term(
        "HP:0001263",
        "Global developmental delay",
        &["HP:0012758"],
        &["HP:0000754", "HP:0001255"],
    ),
    term(
        "HP:0001507",
        "Growth abnormality",
        &["HP:0000118"],
        &["HP:0008904"],
    ),
    term(
        "HP:0001508",
        "Failure to thrive",
        &["HP:0004325"],
        &["HP:0001535", "HP:0008853"],
    ),
    term(
        "HP:0001574",
        "Abnormality of the integument",
        &["HP:0000118"],
        &[],
    ),
    term(
        "HP:0001626",
        "Abnormality of the cardiovascular system",
        &["HP:0000118"],
        &["HP:0003116"],
    ),
    term("HP:0001658", "Myocardial infarction", &["HP:0033678"], &[]),
    term(
        "HP:0001732",
        "Abnormality of the pancreas",
        &["HP:0002012"],
        &[],
    ),
    term(
        "HP:0001738",
        "Exocrine pancreatic insufficiency",
        &["HP:0012092"],
        &["HP:0002581", "HP:0004508"],
    ),
    term(
        "HP:0001871",
        "Abnormality of blood and blood-forming tissues",
        &["HP:0000118"],
        &["HP:0003135"],
    ),
    term(
        "HP:0001877",
        "Abnormal erythrocyte morphology",
        &["HP:0001871"],
        &["HP:0010973"],
    ),
    term(
        "HP:0001903",
        "Anemia",
        &["HP:0001877"],
        &["HP:0001926", "HP:0003136"],
    ),
    term(
        "HP:0001939",
        "Abnormality of metabolism/homeostasis",
        &["HP:0000118"],
        &["HP:0002146", "HP:0004355"],
    ),
    term(
        "HP:0002012",
        "Abnormality of the abdominal organs",
        &["HP:0025031"],
        &[],
    ),
    term(
        "HP:0002027",
        "Abdominal pain",
        &["HP:0011458", "HP:0012531"],
        &[],
    ),
    term(
        "HP:0002086",
        "Abnormality of the respiratory system",
        &["HP:0000118"],
        &[],
    ),
    term(
        "HP:0002099",
        "Asthma",
        &["HP:0002795", "HP:0100326"],
        &["HP:0002112"],
    ),
    term("HP:0002110", "Bronchiectasis", &["HP:0025426"], &[]),
    term(
        "HP:0002373",
        "Febrile seizure (within the age range of 3 months to 6 years)",
        &["HP:0032894"],
        &["HP:0002175", "HP:0007102"],
    ),
    term(
        "HP:0002597",
        "Abnormality of the vasculature",
        &["HP:0001626"],
        &[],
    ),
    term(
        "HP:0002664",
        "Neoplasm",
        &["HP:0000118"],
        &["HP:0003008", "HP:0006741"],
    ),
    term(
        "HP:0002715",
        "Abnormality of the immune system",
        &["HP:0000118"],
        &["HP:0003257", "HP:0003346"],
    ),
    term(
        "HP:0002795",
        "Abnormal respiratory system physiology",
        &["HP:0002086"],
        &["HP:0005952"],
    ),
    term("HP:0003002", "Breast carcinoma", &["HP:0100013"], &[]),
    term(
        "HP:0003107",
        "Abnormal circulating cholesterol concentration",
        &["HP:0003119"],
        &["HP:0003464"],
    ),
    term(
        "HP:0003110",
        "Abnormality of urine homeostasis",
        &["HP:0001939", "HP:0011277"],
        &["HP:0011865", "HP:0011866"],
    ),
    term(
        "HP:0003112",
        "Abnormal circulating amino acid concentration",
        &["HP:0004354"],
        &[],
    ),
    term(
        "HP:0003119",
        "Abnormal circulating lipid concentration",
        &["HP:0430071"],
        &["HP:0003611"],
    ),
    term(
        "HP:0003124",
        "Hypercholesterolemia",
        &["HP:0003107"],
        &["HP:0008154", "HP:0008173"],
    ),
    term(
        "HP:0003401",
        "Paresthesia",
        &["HP:0033747"],
        &["HP:0002082"],
    ),
    term(
        "HP:0003474",
        "Somatic sensory dysfunction",
        &["HP:0012638"],
        &["HP:0100964"],
    ),
    term(
        "HP:0004323",
        "Abnormality of body weight",
        &["HP:0001507"],
        &["HP:0010718"],
    ),
    term(
        "HP:0004325",
        "Decreased body weight",
        &["HP:0004323"],
        &["HP:0001823", "HP:0001826"],
    ),
    term(
        "HP:0004338",
        "Abnormal circulating aromatic amino acid concentration",
        &["HP:0033107"],
        &[],
    ),
    term(
        "HP:0004354",
        "Abnormal circulating carboxylic acid concentration",
        &["HP:0430071"],
        &[],
    ),
    term("HP:0004923", "Hyperphenylalaninemia", &["HP:0010893"], &[]),
    term(
        "HP:0005607",
        "Abnormal tracheobronchial morphology",
        &["HP:0012252"],
        &["HP:0005940"],
    ),
    term(
        "HP:0007359",
        "Focal-onset seizure",
        &["HP:0001250"],
        &["HP:0002358", "HP:0040168"],
    ),
    term(
        "HP:0007379",
        "Neoplasm of the genitourinary tract",
        &["HP:0000119", "HP:0011793"],
        &[],
    ),
    term(
        "HP:0010460",
        "Abnormality of the female genitalia",
        &["HP:0012243"],
        &[],
    ),
    term("HP:0010785", "Gonadal neoplasm", &["HP:0010787"], &[]),
    term(
        "HP:0010787",
        "Genital neoplasm",
        &["HP:0000078", "HP:0007379"],
        &[],
    ),
    term(
        "HP:0010893",
        "Abnormal circulating phenylalanine concentration",
        &["HP:0004338"],
        &[],
    ),
    term(
        "HP:0010978",
        "Abnormality of immune system physiology",
        &["HP:0002715"],
        &[],
    ),
    term(
        "HP:0011025",
        "Abnormal cardiovascular system physiology",
        &["HP:0001626"],
        &[],
    ),
    term(
        "HP:0011121",
        "Abnormal skin morphology",
        &["HP:0000951"],
        &[],
    ),
    term(
        "HP:0011276",
        "Vascular skin abnormality",
        &["HP:0002597", "HP:0011354"],
        &[],
    ),
    term(
        "HP:0011277",
        "Abnormality of the urinary system physiology",
        &["HP:0000079"],
        &[],
    ),
    term(
        "HP:0011354",
        "Generalized abnormality of skin",
        &["HP:0011121"],
        &[],
    ),
    term(
        "HP:0011389",
        "Functional abnormality of the inner ear",
        &["HP:0031704"],
        &[],
    ),
    term(
        "HP:0011446",
        "Abnormality of mental function",
        &["HP:0012638"],
        &[],
    ),
    term("HP:0011458", "Abdominal symptom", &["HP:0025032"], &[]),
    term(
        "HP:0011793",
        "Neoplasm by anatomical site",
        &["HP:0002664"],
        &[],
    ),
    term(
        "HP:0012091",
        "Abnormality of pancreas physiology",
        &["HP:0001732"],
        &[],
    ),
    term(
        "HP:0012092",
        "Abnormality of exocrine pancreas physiology",
        &["HP:0012091"],
        &[],
    ),
    term(
        "HP:0012243",
        "Abnormal reproductive system morphology",
        &["HP:0000078"],
        &[],
    ),
    term(
        "HP:0012252",
        "Abnormal respiratory system morphology",
        &["HP:0002795"],
        &[],
    ),
    term("HP:0012531", "Pain", &["HP:0025142"], &[]),
    term(
        "HP:0012638",
        "Abnormal nervous system physiology",
        &["HP:0000707"],
        &[],
    ),
    term(
        "HP:0012758",
        "Neurodevelopmental delay",
        &["HP:0012759"],
        &[],
    ),
    term(
        "HP:0012759",
        "Neurodevelopmental abnormality",
        &["HP:0012638"],
        &[],
    ),
    term(
        "HP:0020129",
        "Abnormal urine protein level",
        &["HP:0033354"],
        &[],
    ),
    term(
        "HP:0025031",
        "Abnormality of the digestive system",
        &["HP:0000118"],
        &[],
    ),
    term(
        "HP:0025032",
        "Abnormality of digestive system physiology",
        &["HP:0025031"],
        &[],
    ),
    term("HP:0025142", "Constitutional symptom", &["HP:0000118"], &[]),
    term(
        "HP:0025426",
        "Abnormal bronchus morphology",
        &["HP:0005607"],
        &["HP:0002109"],
    ),
    term(
        "HP:0030972",
        "Abnormal systemic blood pressure",
        &["HP:0011025"],
        &[],
    ),
    term(
        "HP:0031093",
        "Abnormal breast morphology",
        &["HP:0000769"],
        &[],
    ),
    term(
        "HP:0031704",
        "Abnormal ear physiology",
        &["HP:0000598"],
        &[],
    ),
    term(
        "HP:0032180",
        "Abnormal circulating metabolite concentration",
        &["HP:0001939"],
        &[],
    ),
    term(
        "HP:0032263",
        "Increased blood pressure",
        &["HP:0030972"],
        &[],
    ),
    term(
        "HP:0032892",
        "Infection-related seizure",
        &["HP:0001250"],
        &[],
    ),
    term(
        "HP:0032894",
        "Seizure precipitated by febrile infection",
        &["HP:0032892"],
        &[],
    ),
    term(
        "HP:0033107",
        "Abnormal circulating proteinogenic amino acid concentration",
        &["HP:0003112"],
        &[],
    ),
    term(
        "HP:0033354",
        "Abnormal urine metabolite level",
        &["HP:0003110"],
        &[],
    ),
    term(
        "HP:0033678",
        "Acute coronary syndrome",
        &["HP:0011025"],
        &[],
    ),
    term(
        "HP:0033747",
        "Abnormal exteroceptive sensation",
        &["HP:0003474"],
        &[],
    ),
    term(
        "HP:0100013",
        "Neoplasm of the breast",
        &["HP:0011793", "HP:0031093"],
        &["HP:0010623"],
    ),
    term(
        "HP:0100326",
        "Immunologic hypersensitivity",
        &["HP:0010978"],
        &[],
    ),
    term(
        "HP:0100615",
        "Ovarian neoplasm",
        &["HP:0000137", "HP:0010785"],
        &[],
    ),
    term(
        "HP:0430071",
        "Abnormal circulating organic compound concentration",
        &["HP:0032180"],
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parent_is_in_the_excerpt() {
        let known = |id: &str| TERMS.iter().any(|term| term.id == id);
        for term in TERMS {
            assert!(
                term.parents.iter().all(|parent| known(parent)),
                "{}",
                term.id
            );
            assert!(
                term.id == "HP:0000001" || !term.parents.is_empty(),
                "{}",
                term.id
            );
        }
        for (_, _, replaced_by) in OBSOLETE {
            assert!(replaced_by.is_none_or(known));
        }
    }
}
