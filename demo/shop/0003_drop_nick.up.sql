-- Nicknames go: nobody used them.
ALTER TABLE customers DROP COLUMN nick;
