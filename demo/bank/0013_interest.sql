CREATE TABLE interest_rates (
    bid         integer PRIMARY KEY REFERENCES pgbench_branches (bid),
    rate        numeric(5, 4) NOT NULL CHECK (rate BETWEEN 0 AND 0.2),
    valid_from  date NOT NULL DEFAULT current_date
);
INSERT INTO interest_rates (bid, rate)
SELECT branch, 0.0125 FROM pgbench_branches;
CREATE INDEX interest_rates_valid_from ON interest_rates (valid_from);
