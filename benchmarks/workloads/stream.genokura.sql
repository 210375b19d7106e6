-- Every non-reference call as a line of text.
COPY (SELECT pos, ref, alt, sample_id, dosage FROM cohort.carriers) TO STDOUT;
