-- Every non-reference call as a line of text.
COPY (SELECT pos, ref, alt, sample, dosage FROM carriers) TO '/dev/stdout' (FORMAT csv, DELIMITER '\t', HEADER false);
