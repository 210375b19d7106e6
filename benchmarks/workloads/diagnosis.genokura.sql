-- Copies of every carried ALT allele in the people of each diagnosis.
SELECT p.diagnosis, c.pos, c.ref, c.alt, sum(c.dosage)
FROM cohort.carriers c JOIN clin.person p USING (sample_id)
GROUP BY p.diagnosis, c.pos, c.ref, c.alt;
