# upg drift and upg adopt-drift: what others changed is named, taken either way, booked.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP;
use Test::More;
use UpgTest;

server_start();
my $work = workdir();
my ($rc, $out, $err);
my $change = q{
	ALTER TABLE shop.orders ADD note text DEFAULT 'none';
	CREATE INDEX orders_note ON shop.orders (note);
	CREATE FUNCTION shop.twice(x int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2 * x; END';
	ALTER TABLE shop.customers RENAME TO clients;
	DROP VIEW shop.open;};
my $up = 'CREATE SCHEMA shop; CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer int REFERENCES shop.customers, price numeric);
CREATE VIEW shop.open AS SELECT * FROM shop.orders WHERE price > 0;';

database($_) foreach qw(live copy);
files("$work/m", '0001_shop.up.sql' => $up, '0001_shop.down.sql' => 'DROP SCHEMA shop CASCADE;');
upg('up', '-d', $_, "$work/m") foreach qw(live copy);

# nothing recorded, and faulty calls
my $doc;
($rc, $out, $err) = upg('drift', '-d', 'live');
is($rc, 1, 'without a record drift fails');
like($err, qr/the state of the schema is not recorded.*upg_drift_record/s, 'and says what to do');
($rc, $out, $err) = upg('verify', '--schema', '-d', 'live');
is($rc, 1, 'and so does verify --schema');
like($err, qr/not recorded.*upg_drift_record/s, 'for the same reason');
foreach my $bad ([ 'drift', '--script=sideways' ], [ 'drift', '--record', '--script=adopt' ], [ 'drift', 'more' ],
	[ 'adopt-drift' ], [ 'adopt-drift', 'x', "$work/none" ], [ 'up', '--drift=perhaps', "$work/m" ])
{
	($rc, $out, $err) = upg(@$bad, '-d', 'live');
	is($rc, 2, "@$bad: wrong usage") or diag "$out$err";
}
($rc, $out, $err) = upg('drift', '--record', '-d', 'live');
is($rc, 0, 'the schema is recorded');
like($out, qr/^\d+ objects recorded$/m, 'and counted');
($rc, $out, $err) = upg('drift', '-d', 'live');
is($rc, 0, 'no drift exits 0');
like($out, qr/^the schema is as the last migration left it$/m, 'and is said');
($rc, $out, $err) = upg('verify', '--schema', '-d', 'live', "$work/m");
is($rc, 0, 'verify --schema finds nothing') or diag "$out$err";
($rc, $out, $err) = upg('verify', '--schema=shop', '-d', 'live');
is($rc, 2, 'and takes no name') or diag "$out$err";
($rc, $out, $err) = upg('adopt-drift', 'none', "$work/m", '-d', 'live');
is($rc, 0, 'nothing to adopt');
is(scalar(glob("$work/m/*none*")), undef, 'writes nothing');

# drift
sql('live', $change);
($rc, $out, $err) = upg('drift', '-d', 'live');
is($rc, 8, 'drift exits 8');
like($out, qr/^column shop\.orders\.note +extra/m, 'a column');
like($out, qr/^table shop\.clients +renamed +table shop\.customers +table shop\.clients/m, 'a new name');
like($out, qr/^view shop\.open +missing/m, 'a view that is gone');
($rc, $out, $err) = upg('verify', '--schema', '-d', 'live', "$work/m");
is($rc, 8, 'verify --schema exits 8');
like($out, qr/^schema +view shop\.open: missing$/m, 'and names each object');
like($out, qr/^schema +table shop\.clients: renamed/m, '... and what became of it');
like($err, qr/the schema is not as the last migration left it: \d+ differences/, '... and how many');
is((upg('verify', '-d', 'live', "$work/m"))[0], 0, 'without it only the books are looked at');
$doc = decode_json((upg('verify', '--schema', '--json', '-d', 'live'))[1]);
is(scalar(grep { $_->{check} eq 'schema' } @{ $doc->{faults} }), scalar(@{ $doc->{faults} }), '--json names them, too');
($rc, $out, $err) = upg('drift', '--json', '-d', 'live');
is($rc, 8, '--json exits 8, too');
$doc = decode_json($out);
is_deeply([ sort map { "$_->{change} $_->{object}" } @{ $doc->{drift} } ],
	[ 'extra column shop.orders.note', 'extra function shop.twice(integer)', 'extra index shop.orders_note', 'missing view shop.open', 'renamed table shop.clients' ],
	'--json names the same');
($rc, $out, $err) = upg('drift', '--script=restore', '-d', 'live');
is($rc, 8, 'a script exits 8');
like($out, qr/^-- the values of the column are lost\nALTER TABLE shop\.orders DROP COLUMN note;$/m, 'and says what is lost');
like($out, qr/^ALTER TABLE shop\.clients RENAME TO customers;$/m, 'and gives the old name back');

# the policy
files("$work/m", '0002_more.up.sql' => 'CREATE TABLE shop.more (i int);', '0002_more.down.sql' => 'DROP TABLE shop.more;');
($rc, $out, $err) = upg('up', '--drift=refuse', '-d', 'live', "$work/m");
is($rc, 1, 'refused') or diag "$out$err";
like($err, qr/the schema has drifted: 5 objects.*view shop\.open is missing/s, 'by name');
is(sql('live', q{SELECT to_regclass('shop.more') IS NULL}), 't', 'and nothing ran');
($rc, $out, $err) = upg('up', '--drift=warn', '-d', 'live', "$work/m");
is($rc, 0, 'warned');
like($err, qr/warning: .*the schema has drifted since the last migration: /, 'in words');

# adopted
($rc, $out, $err) = upg('adopt-drift', 'hotfix', "$work/m", '--dry-run', '-d', 'live');
is($rc, 0, 'a dry run');
is_deeply([ glob("$work/m/*hotfix*") ], [], 'writes nothing');
($rc, $out, $err) = upg('adopt-drift', 'hotfix', "$work/m", '--book', '-d', 'live');
is($rc, 0, 'adopted') or diag $err;
like($out, qr/0003_hotfix\.up\.sql\n.*0003_hotfix\.down\.sql\n0003_hotfix is in the books as applied/, 'files and books');
is((upg('drift', '-d', 'live'))[0], 0, 'nothing differs any more');
($rc, $out, $err) = upg('up', '-d', 'live', "$work/m");
like($out, qr/nothing to do/, 'nothing is left to do') or diag "$out$err";
($rc, $out, $err) = upg('up', '-d', 'copy', "$work/m");
is($rc, 0, 'another database gets it by a run') or diag "$out$err";
my $image = 'SELECT upg_schema_image()';
is(sql('copy', $image), sql('live', $image), 'and has the same schema');
($rc, $out, $err) = upg('down', '0003_hotfix', '-d', 'copy');
is($rc, 0, 'there and back') or diag $err;
database('once');
upg('up', '--to', '0002_more', '-d', 'once', "$work/m");
is(sql('copy', $image), sql('once', $image), 'to what was recorded');

# a layout that keeps both ways in a file and splits at semicolons
files("$work/g", '001_first.sql' => "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n");
sql('live', 'ALTER TABLE shop.more ADD j int; CREATE FUNCTION shop.h() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN 1; END$$');
($rc, $out, $err) = upg('adopt-drift', 'two things', "$work/g", '--json', '-d', 'live');
is($rc, 0, 'a goose directory') or diag $err;
is_deeply(decode_json($out)->{files}, ["$work/g/002_two_things.sql"], '--json names the file');
database('goose');
sql('goose', 'CREATE SCHEMA shop; CREATE TABLE shop.more (i int)');
upg('up', '-d', 'goose', "$work/g");
is(sql('goose', 'SELECT shop.h(), count(j) FROM shop.more'), '1|0', 'is run as it was written');

# a role without rights
sql('live', 'CREATE ROLE stranger LOGIN; CREATE ROLE looker LOGIN; GRANT upg_viewer TO looker');
is((upg('drift', '-d', 'live', '-U', 'stranger'))[0], 9, 'a stranger may not look');
is((upg('drift', '-d', 'live', '-U', 'looker'))[0], 8, 'a viewer may');
is((upg('drift', '--record', '-d', 'live', '-U', 'looker'))[0], 9, 'but not accept');

# another database has other OIDs
sql('postgres', 'CREATE DATABASE template_copy TEMPLATE live');
($rc, $out, $err) = upg('drift', '-d', 'template_copy');
like($err, qr/not recorded/, 'a copy of the database has no record');
done_testing();
