//! The tables of the OMOP Common Data Model, versions 5.3 and 5.4, and the types of their columns.
//!
//! Most types follow from names, as the model names things: `…_id` is a number, `…_date` a date, `…_datetime` a moment,
//! all else text. Columns that do not follow the rule have their type behind a colon: `n` a decimal number, `i` a whole
//! one, `t` text, `d` a date. Columns of 5.3 alone stand with those of 5.4. (OHDSI, CommonDataModel, DDL of 5.3 and 5.4.)

use crate::table::ColumnType;

/// A table of the model.
pub(super) struct CdmTable {
    pub(super) name: &'static str,
    columns: &'static str,
}

/// Tables that tell of persons without naming them: their rows could not be hidden with their person.
pub(super) const NAMELESS: [&str; 6] = [
    "note_nlp",
    "cost",
    "fact_relationship",
    "episode_event",
    "cohort",
    "cohort_definition",
];

/// The table of a name.
pub(super) fn table(name: &str) -> Option<&'static CdmTable> {
    TABLES.iter().find(|table| table.name == name)
}

/// The table whose name is most like another.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let names: Vec<&'static str> = TABLES.iter().map(|table| table.name).collect();
    genokura_core::contig::suggest(name, &names)
}

impl CdmTable {
    /// The type of a column; `None` for one that the model does not have.
    pub(super) fn column(&self, name: &str) -> Option<ColumnType> {
        let mut columns = self.columns.split_whitespace();
        columns.find_map(|column| {
            let (known, ty) = column.split_once(':').unwrap_or((column, ""));
            (known == name).then(|| match ty {
                "n" => ColumnType::Float8,
                "i" => ColumnType::Int4,
                "t" => ColumnType::Text,
                "d" => ColumnType::Date,
                _ => by_name(name),
            })
        })
    }

    /// The column that a file must have: the first.
    pub(super) fn key(&self) -> &'static str {
        let first = self.columns.split_whitespace().next().unwrap_or("");
        first.split(':').next().unwrap_or(first)
    }

    /// The column of which no value may come twice, where the model has one: the number of the row.
    pub(super) fn unique_key(&self) -> Option<&'static str> {
        let own = self.key().strip_suffix("_id");
        own.filter(|own| *own == self.name).map(|_| self.key())
    }

    /// Whether rows are of persons.
    pub(super) fn is_of_persons(&self) -> bool {
        self.column(PERSON).is_some()
    }
}

/// The column that names a person.
pub(super) const PERSON: &str = "person_id";

fn by_name(name: &str) -> ColumnType {
    if name.ends_with("_id") {
        ColumnType::Int8
    } else if name.ends_with("_datetime") {
        ColumnType::Timestamp
    } else if name.ends_with("_date") {
        ColumnType::Date
    } else {
        ColumnType::Text
    }
}

const fn of(name: &'static str, columns: &'static str) -> CdmTable {
    CdmTable { name, columns }
}

const TABLES: [CdmTable; 33] = [
    of(
        "person",
        "person_id gender_concept_id year_of_birth:i month_of_birth:i day_of_birth:i birth_datetime race_concept_id \
         ethnicity_concept_id location_id provider_id care_site_id person_source_value gender_source_value \
         gender_source_concept_id race_source_value race_source_concept_id ethnicity_source_value \
         ethnicity_source_concept_id",
    ),
    of(
        "observation_period",
        "observation_period_id person_id observation_period_start_date observation_period_end_date \
         period_type_concept_id",
    ),
    of(
        "visit_occurrence",
        "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date \
         visit_end_datetime visit_type_concept_id provider_id care_site_id visit_source_value \
         visit_source_concept_id admitted_from_concept_id admitted_from_source_value discharged_to_concept_id \
         discharged_to_source_value preceding_visit_occurrence_id admitting_source_concept_id \
         admitting_source_value discharge_to_concept_id discharge_to_source_value",
    ),
    of(
        "visit_detail",
        "visit_detail_id person_id visit_detail_concept_id visit_detail_start_date visit_detail_start_datetime \
         visit_detail_end_date visit_detail_end_datetime visit_detail_type_concept_id provider_id care_site_id \
         visit_detail_source_value visit_detail_source_concept_id admitted_from_concept_id \
         admitted_from_source_value discharged_to_source_value discharged_to_concept_id preceding_visit_detail_id \
         parent_visit_detail_id visit_detail_parent_id visit_occurrence_id admitting_source_concept_id \
         admitting_source_value discharge_to_concept_id discharge_to_source_value",
    ),
    of(
        "condition_occurrence",
        "condition_occurrence_id person_id condition_concept_id condition_start_date condition_start_datetime \
         condition_end_date condition_end_datetime condition_type_concept_id condition_status_concept_id \
         stop_reason provider_id visit_occurrence_id visit_detail_id condition_source_value \
         condition_source_concept_id condition_status_source_value",
    ),
    of(
        "drug_exposure",
        "drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_start_datetime \
         drug_exposure_end_date drug_exposure_end_datetime verbatim_end_date drug_type_concept_id stop_reason \
         refills:i quantity:n days_supply:i sig route_concept_id lot_number provider_id visit_occurrence_id \
         visit_detail_id drug_source_value drug_source_concept_id route_source_value dose_unit_source_value",
    ),
    of(
        "procedure_occurrence",
        "procedure_occurrence_id person_id procedure_concept_id procedure_date procedure_datetime \
         procedure_end_date procedure_end_datetime procedure_type_concept_id modifier_concept_id quantity:i \
         provider_id visit_occurrence_id visit_detail_id procedure_source_value procedure_source_concept_id \
         modifier_source_value",
    ),
    of(
        "device_exposure",
        "device_exposure_id person_id device_concept_id device_exposure_start_date device_exposure_start_datetime \
         device_exposure_end_date device_exposure_end_datetime device_type_concept_id unique_device_id:t \
         production_id:t quantity:i provider_id visit_occurrence_id visit_detail_id device_source_value \
         device_source_concept_id unit_concept_id unit_source_value unit_source_concept_id",
    ),
    of(
        "measurement",
        "measurement_id person_id measurement_concept_id measurement_date measurement_datetime measurement_time \
         measurement_type_concept_id operator_concept_id value_as_number:n value_as_concept_id unit_concept_id \
         range_low:n range_high:n provider_id visit_occurrence_id visit_detail_id measurement_source_value \
         measurement_source_concept_id unit_source_value unit_source_concept_id value_source_value \
         measurement_event_id meas_event_field_concept_id",
    ),
    of(
        "observation",
        "observation_id person_id observation_concept_id observation_date observation_datetime \
         observation_type_concept_id value_as_number:n value_as_string value_as_concept_id qualifier_concept_id \
         unit_concept_id provider_id visit_occurrence_id visit_detail_id observation_source_value \
         observation_source_concept_id unit_source_value qualifier_source_value value_source_value \
         observation_event_id obs_event_field_concept_id",
    ),
    of(
        "death",
        "person_id death_date death_datetime death_type_concept_id cause_concept_id cause_source_value \
         cause_source_concept_id",
    ),
    of(
        "note",
        "note_id person_id note_date note_datetime note_type_concept_id note_class_concept_id note_title note_text \
         encoding_concept_id language_concept_id provider_id visit_occurrence_id visit_detail_id note_source_value \
         note_event_id note_event_field_concept_id",
    ),
    of(
        "specimen",
        "specimen_id person_id specimen_concept_id specimen_type_concept_id specimen_date specimen_datetime \
         quantity:n unit_concept_id anatomic_site_concept_id disease_status_concept_id specimen_source_id:t \
         specimen_source_value unit_source_value anatomic_site_source_value disease_status_source_value",
    ),
    of(
        "payer_plan_period",
        "payer_plan_period_id person_id payer_plan_period_start_date payer_plan_period_end_date payer_concept_id \
         payer_source_value payer_source_concept_id plan_concept_id plan_source_value plan_source_concept_id \
         sponsor_concept_id sponsor_source_value sponsor_source_concept_id family_source_value \
         stop_reason_concept_id stop_reason_source_value stop_reason_source_concept_id",
    ),
    of(
        "drug_era",
        "drug_era_id person_id drug_concept_id drug_era_start_date drug_era_end_date drug_exposure_count:i gap_days:i",
    ),
    of(
        "dose_era",
        "dose_era_id person_id drug_concept_id unit_concept_id dose_value:n dose_era_start_date dose_era_end_date",
    ),
    of(
        "condition_era",
        "condition_era_id person_id condition_concept_id condition_era_start_date condition_era_end_date \
         condition_occurrence_count:i",
    ),
    of(
        "episode",
        "episode_id person_id episode_concept_id episode_start_date episode_start_datetime episode_end_date \
         episode_end_datetime episode_parent_id episode_number:i episode_object_concept_id \
         episode_type_concept_id episode_source_value episode_source_concept_id",
    ),
    of(
        "location",
        "location_id address_1 address_2 city state zip county location_source_value country_concept_id \
         country_source_value latitude:n longitude:n",
    ),
    of(
        "care_site",
        "care_site_id care_site_name place_of_service_concept_id location_id care_site_source_value \
         place_of_service_source_value",
    ),
    of(
        "provider",
        "provider_id provider_name npi dea specialty_concept_id care_site_id year_of_birth:i gender_concept_id \
         provider_source_value specialty_source_value specialty_source_concept_id gender_source_value \
         gender_source_concept_id",
    ),
    of(
        "cdm_source",
        "cdm_source_name cdm_source_abbreviation cdm_holder source_description source_documentation_reference \
         cdm_etl_reference source_release_date cdm_release_date cdm_version cdm_version_concept_id \
         vocabulary_version",
    ),
    of(
        "metadata",
        "metadata_concept_id metadata_id metadata_type_concept_id name value_as_string value_as_concept_id \
         value_as_number:n metadata_date metadata_datetime",
    ),
    of(
        "concept",
        "concept_id concept_name domain_id:t vocabulary_id:t concept_class_id:t standard_concept concept_code \
         valid_start_date valid_end_date invalid_reason",
    ),
    of(
        "vocabulary",
        "vocabulary_id:t vocabulary_name vocabulary_reference vocabulary_version vocabulary_concept_id",
    ),
    of("domain", "domain_id:t domain_name domain_concept_id"),
    of(
        "concept_class",
        "concept_class_id:t concept_class_name concept_class_concept_id",
    ),
    of(
        "concept_relationship",
        "concept_id_1:i concept_id_2:i relationship_id:t valid_start_date valid_end_date invalid_reason",
    ),
    of(
        "relationship",
        "relationship_id:t relationship_name is_hierarchical defines_ancestry reverse_relationship_id:t \
         relationship_concept_id",
    ),
    of(
        "concept_synonym",
        "concept_id concept_synonym_name language_concept_id",
    ),
    of(
        "concept_ancestor",
        "ancestor_concept_id descendant_concept_id min_levels_of_separation:i max_levels_of_separation:i",
    ),
    of(
        "drug_strength",
        "drug_concept_id ingredient_concept_id amount_value:n amount_unit_concept_id numerator_value:n \
         numerator_unit_concept_id denominator_value:n denominator_unit_concept_id box_size:i valid_start_date \
         valid_end_date invalid_reason",
    ),
    of(
        "source_to_concept_map",
        "source_code source_concept_id source_vocabulary_id:t source_code_description target_concept_id \
         target_vocabulary_id:t valid_start_date valid_end_date invalid_reason",
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn types_follow_the_model() {
        let ty = |of: &str, column: &str| table(of).unwrap().column(column);
        for (of, column, expected) in [
            ("person", "person_id", Some(ColumnType::Int8)),
            ("person", "year_of_birth", Some(ColumnType::Int4)),
            ("person", "birth_datetime", Some(ColumnType::Timestamp)),
            ("drug_exposure", "quantity", Some(ColumnType::Float8)),
            ("procedure_occurrence", "quantity", Some(ColumnType::Int4)),
            ("concept", "domain_id", Some(ColumnType::Text)),
            ("concept", "valid_start_date", Some(ColumnType::Date)),
            ("person", "ward", None),
        ] {
            assert_eq!(ty(of, column), expected, "{of}.{column}");
        }
        assert_eq!(table("death").unwrap().key(), "person_id");
        assert_eq!(table("vocabulary").unwrap().key(), "vocabulary_id");
        assert_eq!(nearest("persons"), Some("person"));
        assert!(!table("concept").unwrap().is_of_persons());
    }
}
