-- A constraint cannot be made NOT VALID again; 0007 takes the constraints away.
SELECT 'nothing to take back';
