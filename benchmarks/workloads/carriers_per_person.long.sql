-- Non-reference calls of everybody.
SELECT sample, count(*) FROM carriers GROUP BY 1;
