# No down scripts: up with --undo, down, finalize, by the command line alone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP qw(decode_json);
use Test::More;
use UpgTest;

server_start();
my $db = database('bank');
my ($rc, $out, $err);

sql($db, q{CREATE TABLE acc (id int PRIMARY KEY, owner text NOT NULL, bal numeric(10,2));
	INSERT INTO acc SELECT g, 'o' || g, g FROM generate_series(1, 5000) g;
	CREATE VIEW rich AS SELECT * FROM acc WHERE bal > 100});
my $dir = files(workdir(), '1_drop.sql' => "DROP VIEW rich;\nALTER TABLE acc DROP COLUMN owner;\n",
	'2_type.sql' => "ALTER TABLE acc ALTER bal TYPE bigint;\nUPDATE acc SET bal = bal * 2;\n",
	'3_gone.sql' => "TRUNCATE acc;\n",
	'4_out.sql' => "COPY acc TO PROGRAM 'cat >/dev/null';\n");
upg('init', '-d', $db);

my $sums = q{SELECT upg_schema_fingerprint() || md5(string_agg(acc::text, '' ORDER BY id)) FROM acc};
my $before = sql($db, $sums);

($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
is($rc, 1, 'what cannot be taken back is refused');
like($err, qr/COPY \.\.\. PROGRAM cannot be taken back/, '... by name');
is(sql($db, q{SELECT string_agg(migration || ' ' || undo, ', ' ORDER BY ord) FROM upg_status() WHERE state = 'applied'}),
	'1_drop exact, 2_type exact, 3_gone exact', 'the rest is applied, its way back proven exact');
is(sql($db, 'SELECT count(*) FROM acc'), 0, 'the rows are gone');

($rc, $out, $err) = upg('down', '-d', $db, '--dry-run');
is($rc, 0, 'a dry run of the way back');
is(sql($db, 'SELECT count(*) FROM acc'), 0, '... changes nothing');

($rc, $out, $err) = upg('down', '-d', $db, '--all', '--yes');
is($rc, 0, 'down, without any down script') or diag($err);
is(sql($db, $sums), $before, 'schema and rows are what they were');
is(sql($db, 'SELECT count(*) FROM rich'), 4900, 'the view works');

unlink "$dir/4_out.sql";
($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
is($rc, 0, 'up again') or diag($err);
($rc, $out, $err) = upg('finalize', '-d', $db, '--yes', '3_gone');
is($rc, 0, 'finalize') or diag($err);
($rc, $out, $err) = upg('finalize', '-d', $db, '--yes', '3_gone');
isnt($rc, 0, 'a second time there is nothing to give up');
like($err, qr/has no undo to give up/, '... and it says so');
($rc, $out, $err) = upg('down', '-d', $db, '--yes');
isnt($rc, 0, 'what is finalized does not come back');
like($err, qr/cannot be rolled back/, '... and it says so');
($rc, $out, $err) = upg('finalize', '-d', $db, '--yes', '--json', '2_type');
is(decode_json($out)->{state}, 'finalized', 'finalize --json');
($rc, $out, $err) = upg('up', '-d', $db, '--undo=perhaps', $dir);
is($rc, 2, 'an unrecognized mode is wrong usage');
is(sql($db, 'SELECT ok FROM upg_audit_verify()'), 't', 'the audit trail is intact');

done_testing();
