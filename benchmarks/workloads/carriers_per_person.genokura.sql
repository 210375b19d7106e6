-- Non-reference calls of everybody.
SELECT sample_id, count(*) FROM cohort.carriers GROUP BY 1;
