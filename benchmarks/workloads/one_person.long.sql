-- All non-reference calls of one person.
SELECT pos, ref, alt, dosage FROM carriers WHERE sample = {one};
