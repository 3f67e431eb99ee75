DROP FUNCTION transfer(integer, integer, integer);
