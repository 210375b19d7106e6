-- All non-reference calls of one person.
SELECT pos, ref, alt, gt, dosage FROM cohort.carriers WHERE sample_id = '{one_name}';
