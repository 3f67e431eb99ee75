ALTER TABLE customers ADD COLUMN nick text NOT NULL DEFAULT 'guest';
