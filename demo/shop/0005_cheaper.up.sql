-- Prices in whole euros.
ALTER TABLE orders ALTER COLUMN price TYPE int;
