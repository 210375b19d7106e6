//! Domain types of genokura: positions, alleles, genotypes, the genotype codec, schemas.
