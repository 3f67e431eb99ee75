# upg doctor finds what is planted and names the remedy; upg explain tells the story.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP;
use Test::More;
use UpgTest;

server_start();
my ($rc, $out, $err);
my $work = workdir();

database('sound');
files("$work/m", '1_a.sql' => 'CREATE TABLE a (i int);', '2_b.sql' => 'CREATE INDEX a_i ON a (i);', '4_d.sql' => 'SELECT 4;');
upg('up', '-d', 'sound', "$work/m");
($rc, $out, $err) = upg('doctor', '-d', 'sound', "$work/m");
is($rc, 0, 'a sound database exits 0') or diag $err;
like($out, qr/^ok +$_ /m, "$_ is ok") foreach qw(server versions rights workers unfinished indexes audit files);
like($out, qr/^all is well$/m, 'and it is said');

# warnings
sql('sound', q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'a_i'::regclass});
files("$work/m", '1_a.sql' => 'CREATE TABLE a (j int);', '3_c.sql' => 'SELECT 3;');
unlink "$work/m/2_b.sql";
($rc, $out, $err) = upg('doctor', '-d', 'sound', "$work/m");
is($rc, 0, 'warnings exit 0');
like($out, qr/^warning +indexes +index a_i on a is invalid.*\n +do: REINDEX INDEX CONCURRENTLY a_i/m, 'an invalid index');
like($out, qr/^warning +files +".*1_a\.sql" differs/m, 'a changed file');
like($out, qr/^warning +files +".*3_c\.sql" is pending and comes before/m, 'a late file');
like($out, qr/^warning +files +migration "2_b" is applied, but its file is gone/m, 'a missing file');
like($out, qr/^nothing is broken, but see the warnings$/m, 'summed up');
($rc, $out, $err) = upg('doctor', '--json', '-d', 'sound', "$work/m");
my $doc = decode_json($out);
is($doc->{warnings}, 4, '--json counts them');
is((grep { $_->{check} eq 'indexes' } @{ $doc->{checks} })[0]{result}, 'warning', 'and has each');

# a run whose process is gone
sql('sound', q{SELECT upg_upgrade_start('up', ARRAY['9_z'], NULL, '{}')});
($rc, $out, $err) = upg('doctor', '-d', 'sound');
like($out, qr/^warning +unfinished +run \d+ \(up, begun .* by postgres\) was cut off: its process is gone\n +do: "upg up"/m,
    'a run that was killed');
is(scalar(() = $out =~ /was cut off/g), 1, 'and no other');
unlike($out, qr/^ok +unfinished/m, 'such a database is not called whole');

# a role without rights
sql('sound', 'CREATE ROLE stranger LOGIN');
($rc, $out, $err) = upg('doctor', '-d', 'sound', '-U', 'stranger');
unlike($out, qr/^ok +(rights|audit|unfinished) /m, 'what may not be seen is not called ok');
like($out, qr/GRANT upg_operator TO stranger;/, 'the remedy is named') or diag "$out$err";

# one who may look, but not at everything
sql('sound', 'CREATE ROLE looker LOGIN; GRANT upg_viewer TO looker');
($rc, $out, $err) = upg('doctor', '-d', 'sound', '-U', 'looker');
like($out, qr/^skipped +audit +permission denied/m, 'what this role may not look at is skipped');
like($out, qr/^(ok|warning) +indexes /m, '... and the rest is looked at') or diag "$out$err";

# what runs, and what ended nobody knows how
database('opaque');
files("$work/o", '1_o.sql' => "CREATE TABLE seen (i int);\nCREATE PROCEDURE two() LANGUAGE plpgsql AS \$\$BEGIN INSERT INTO seen VALUES (1); COMMIT; PERFORM pg_sleep(60); END\$\$;\nCALL two();\n");
{
	my ($run, $o, $e) = upg_start('up', '-d', 'opaque', "$work/o");
	my $sleeps = q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'opaque' AND backend_type = 'upg migration' AND wait_event = 'PgSleep'};
	for (1 .. 200) { last if sql('postgres', $sleeps) eq '1'; select undef, undef, undef, 0.1 }
	($rc, $out, $err) = upg('doctor', '-d', 'opaque', "$work/o");
	like($out, qr/^ok +unfinished +migration "1_o" is running in process \d+/m, 'what runs is no fault') or diag "$out$err";
	($rc, $out, $err) = upg('explain', '-d', 'opaque', '1_o');
	like($out, qr/^migration "1_o" is running, .*: it runs now; "upg wait" waits for it/, 'explain says so, too') or diag "$out$err";
	sql('postgres', q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'opaque' AND backend_type = 'upg migration'});
	$run->finish;
	is($run->full_result >> 8, 7, 'a statement whose outcome cannot be found out: exit 7') or diag $$e;
	like($$e, qr/next: upg repair 1_o --mark=applied\|absent --reason=TEXT/, '... with what to do');
}
($rc, $out, $err) = upg('doctor', '-d', 'opaque', "$work/o");
is($rc, 8, 'the doctor calls it a fault');
like($out, qr/^fault +unfinished +the outcome of migration "1_o" is not known\n +do: find it out, then: upg repair 1_o/m, '... and says what to do');
($rc, $out, $err) = upg('explain', '-d', 'opaque', '1_o');
like($out, qr/is unknown, .*find out whether the statement took effect, then "upg repair"/, 'explain, too') or diag $out;
($rc, $out, $err) = upg('repair', '-d', 'opaque', '1_o', '--mark=applied', '--reason=the row is there', '--json');
is($rc, 0, 'a person settles it') or diag $err;
is(decode_json($out)->{migrations}[0]{name}, '1_o', '... with --json') or diag $out;
($rc, $out, $err) = upg('up', '-d', 'opaque', "$work/o");
is($rc, 0, '... then the run goes on') or diag $err;
is(sql('opaque', q{SELECT state, (SELECT count(*) FROM seen) FROM upg_migration_state('1_o')}), 'applied|1', '... and the statement did not run again');
like(sql('opaque', q{SELECT string_agg(e::text, ' ') FROM upg_audit_export('jsonl', 1) e}), qr/the row is there/, 'the audit trail has the reason');

# faults
database('bare', bare => 1);
($rc, $out, $err) = upg('doctor', '-d', 'bare');
is($rc, 8, 'a missing extension exits 8');
like($out, qr/^fault +versions +extension "upg" is not installed.*\n +do: .*upg init/m, 'and is named');
database('readonly');
sql('postgres', 'ALTER DATABASE readonly SET default_transaction_read_only = on');
($rc, $out, $err) = upg('doctor', '-d', 'readonly');
is($rc, 8, 'a read-only database exits 8');
like($out, qr/^fault +server +transactions are read-only/m, 'and is named');
sql('sound', 'ALTER TABLE upg.audit_log DISABLE TRIGGER ALL; UPDATE upg.audit_log SET actor = \'nobody\' WHERE seq = 1');
($rc, $out, $err) = upg('doctor', '-d', 'sound', "$work/m");
is($rc, 8, 'a damaged audit trail exits 8');
like($out, qr/^fault +audit +the trail does not verify/m, 'and is named');
like($err, qr/1 fault found/, 'and counted');
($rc) = upg('doctor', '-h', '/nonexistent');
is($rc, 11, 'no server exits 11');

# pending files that cannot be read: named, each
database('unread');
files("$work/u", '1_latin1.sql' => "SELECT 'gr\xf6\xdfe';\n", '2_zero.sql' => "SELECT 1;\0\n", '3_open.sql' => "SELECT 'open;\n",
    '4_down.up.sql' => 'SELECT 4;', '4_down.down.sql' => "SELECT 1;\n/* open", '5_good.sql' => 'SELECT 5;');
($rc, $out, $err) = upg('doctor', '-d', 'unread', "$work/u");
is($rc, 0, 'nothing in the database is broken') or diag $err;
like($out, qr/^warning +files +\S+1_latin1\.sql:1: file "\S+" is not valid UTF-8\n +do: Convert the file/m, 'a pending file that is not UTF-8');
like($out, qr/^warning +files +\S+2_zero\.sql:1: file "\S+" holds a zero byte/m, 'one with a zero byte');
like($out, qr/^warning +files +\S+3_open\.sql:1: unterminated quoted string/m, 'one with an open quote');
like($out, qr/^warning +files +\S+4_down\.down\.sql:2: unterminated comment/m, 'a way back that cannot be read');
unlike($out, qr/^ok +files /m, 'such a directory is not called ok');
unlike($out, qr/5_good/, 'and the good one is not blamed');
($rc, $out, $err) = upg('doctor', '--json', '-d', 'unread', "$work/u");
is(decode_json($out)->{warnings}, 4, '--json counts them');

# the story
database('story');
files("$work/s", '1_good.sql' => 'CREATE TABLE good (i int);', '2_bad.sql' => "SELECT 1;\nSELECT * FROM nothing;\n");
upg('up', '-d', 'story', "$work/s");
($rc, $out, $err) = upg('explain', '-d', 'story', '2_bad');
is($rc, 0, 'explain of what failed') or diag $err;
like($out, qr/^migration "2_bad" is not applied: nothing of it is there; mend/, 'state and advice');
like($out, qr/apply "2_bad": failed, by postgres in run 1/, 'the attempt');
like($out, qr/line 2: relation "nothing" does not exist/, 'its error and place');
like($out, qr/statement: SELECT \* FROM nothing/, 'and its statement');
like($out, qr/^audit trail: 1 entry /m, 'and the audit trail');
($rc, $out, $err) = upg('explain', '-d', 'story', '1');
like($out, qr/^1 +up +failed /m, 'explain of a run');
like($out, qr/apply "1_good": succeeded.*apply "2_bad": failed/s, 'tells its attempts in order');
($rc, $out, $err) = upg('explain', '--json', '-d', 'story', '2_bad');
$doc = decode_json($out);
is($doc->{attempts}[0]{sqlstate}, '42P01', '--json has the attempts');
is(scalar(@{ $doc->{audit} }), 1, 'and the audit entries');
($rc, $out, $err) = upg('explain', '-d', 'story', 'nonesuch');
is($rc, 1, 'what nobody knows exits 1');
like($err, qr/holds no migration "nonesuch"/, 'and is named');

done_testing();
