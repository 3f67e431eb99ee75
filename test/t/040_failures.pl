# Failures on the way: what stays, what is said, which exit code.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep);
use UpgTest;

my $server = server_start('restart_after_crash=on');
my ($rc, $out, $err);

# Wait until a query gives a value, at most 20 s.
sub wait_for
{
	my ($db, $query, $want) = @_;
	for (1 .. 200)
	{
		return 1 if sql($db, $query) eq $want;
		sleep 0.1;
	}
	return 0;
}

my $dir = files(workdir(), '1_a.up.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => 'DROP TABLE a;',
	'2_b.up.sql' => 'CREATE TABLE b (i int);', '2_b.down.sql' => 'DROP TABLE b;',
	'3_c.up.sql' => "CREATE TABLE c (i int);\nINSERT INTO c\nVALUES (1/0);\n", '4_d.up.sql' => 'CREATE TABLE d (i int);');
my $db = database('stop');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'a failing migration: exit 1');
like($err, qr/2 applied, stopped at "3_c"/, '... says how far it came');
like($err, qr/3_c\.up\.sql:\d+/, '... and where it failed');
like($err, qr/sqlstate: 22012/, '... with the SQLSTATE');
is(sql($db, q{SELECT string_agg(migration, ' ' ORDER BY ord) FROM upg_status() WHERE state = 'applied'}), '1_a 2_b', '... what was applied stays');
is(sql($db, q{SELECT count(*) FROM upg_history('3_c') WHERE state = 'failed'}), 1, '... the failure is in the history');
($rc, $out, $err) = upg('up', '-d', $db, '--json', $dir);
my $json = decode_json($out);
is($json->{exit_code}, 1, '--json: exit code');
is($json->{error}{sqlstate}, '22012', '--json: sqlstate');
is($json->{error}{code}, 'UPG-1000', '--json: code');
like($json->{error}{where}, qr/3_c/, '--json: where');
ok(@{ $json->{error}{next_actions} } >= 1, '--json: next actions');

$db = database('back');
($rc, $out, $err) = upg('up', '-d', $db, '--on-fail=rollback', $dir);
is($rc, 3, '--on-fail=rollback: exit 3') or diag $err;
like($out, qr/rolled_back 2_b.*rolled_back 1_a/s, '... takes back the latest first');
is(sql($db, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 0, '... nothing is left');
unlink "$dir/1_a.down.sql";
$db = database('halfback');
($rc, $out, $err) = upg('up', '-d', $db, '--on-fail=rollback', '--undo=none', $dir);
is($rc, 4, '--on-fail=rollback without a way back: exit 4') or diag $err;
$db = database('undoback');
($rc, $out, $err) = upg('up', '-d', $db, '--on-fail=rollback', $dir);
is($rc, 3, '--on-fail=rollback without down scripts: exit 3') or diag $err;
is(sql($db, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 0, '... nothing is left');

# non-transactional steps: the done ones stay, the next run goes on there
$db  = database('steps');
$dir = files(workdir(), '1_t.sql' => "CREATE TABLE t (i int); INSERT INTO t VALUES (1), (1);",
	'2_i.sql' => "CREATE INDEX CONCURRENTLY one ON t (i);\nCREATE UNIQUE INDEX CONCURRENTLY two ON t (i);\n", '3_z.sql' => '');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 4, 'a failure between steps: exit 4') or diag $err;
like($err, qr/2_i\.sql:2/, '... at the second statement');
is(sql($db, q{SELECT state FROM upg_status() WHERE migration = '2_i'}), 'partial', '... the migration is partial');
sql($db, 'DELETE FROM t');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, '... the next run goes on') or diag $err;
is(sql($db, q{SELECT string_agg(indexrelid::regclass || ' ' || indisvalid, ',' ORDER BY 1) FROM pg_index WHERE indrelid = 't'::regclass}),
	'one true,two true', '... and both indexes are valid');

# signals
for ([ INT => 130 ], [ TERM => 143 ])
{
	my ($signal, $code) = @$_;
	$db = database(lc "sig$signal");
	$dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);', '2_s.sql' => 'CREATE TABLE s (i int); SELECT pg_sleep(60);');
	my ($h, $o, $e) = upg_start('up', '-d', $db, $dir);
	ok(wait_for('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND query ~ 'upg_apply' AND state = 'active' AND wait_event = 'PgSleep'", 1), 'it runs');
	$h->signal($signal);
	$h->finish;
	is($h->full_result >> 8, $code, "SIG$signal: exit $code") or diag $$e;
	is(sql($db, q{SELECT string_agg(migration, ' ') FROM upg_status() WHERE state = 'applied'}), '1_a', '... what was applied stays, no more');
	ok(wait_for('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND query ~ 'pg_sleep'", 0), '... the statement was cancelled');
	is(sql($db, q{SELECT state FROM upg.upgrades ORDER BY upgrade_id DESC LIMIT 1}), 'cancelled', '... the run is closed in the ledger');
}
$db = database('deadline');
($rc, $out, $err) = upg('up', '-d', $db, '--timeout=1s', $dir);
is($rc, 124, '--timeout: exit 124') or diag $err;

# the server ends the session in the middle: connect again and go on
$db  = database('lost');
$dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);', '2_s.sql' => 'CREATE TABLE s (i int); SELECT pg_sleep(2);', '3_c.sql' => 'CREATE TABLE c (i int);');
my ($h, $o, $e) = upg_start('up', '-d', $db, $dir);
wait_for('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND wait_event = 'PgSleep'", 1);
sql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$db'");
$h->finish;
is($h->full_result >> 8, 0, 'a terminated session: the run goes on') or diag $$e;
like($$e, qr/connection was lost; connecting again/, '... and says so');
is(sql($db, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 3, '... each is applied once');

$db = database('restarted');
($h, $o, $e) = upg_start('up', '-d', $db, $dir);
wait_for('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND wait_event = 'PgSleep'", 1);
system("$UpgTest::TOP/scripts/server.sh", 'stop', $server, 'immediate');
system(qq($UpgTest::TOP/scripts/server.sh start $server >/dev/null 2>&1));
$h->finish;
is($h->full_result >> 8, 0, 'a server that restarts: the run goes on') or diag $$e;
is(sql($db, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 3, '... each is applied once');

# the database goes away for good in the middle
$db  = database('dropped');
$dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);', '2_s.sql' => 'CREATE TABLE s (i int); SELECT pg_sleep(20);');
($h, $o, $e) = upg_start('up', '-d', $db, '--timeout=8s', $dir);
ok(wait_for('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND wait_event = 'PgSleep'", 1), 'a migration runs');
sql('postgres', "DROP DATABASE $db WITH (FORCE)");
$h->finish;
is($h->full_result >> 8, 11, 'a database that is dropped meanwhile: exit 11') or diag $$e;
like($$e, qr/detail: .*database "dropped" does not exist/, '... says so');

# somebody listens, and says nothing
my $mute = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!";
($rc, $out, $err) = upg('status', '-d', 'host=127.0.0.1 dbname=x port=' . $mute->sockport, '--timeout=1s');
is($rc, 124, 'a server that does not answer: exit 124') or diag $err;
like($err, qr/time is over while connecting/, '... says so');
close $mute;

# rights, read-only, settings of the role
$db = database('rights');
sql($db, 'CREATE ROLE nobody_special LOGIN');
($rc, $out, $err) = upg('up', '-d', $db, '-U', 'nobody_special', $dir);
is($rc, 9, 'a role without rights: exit 9') or diag $err;
{
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=on';
	($rc, $out, $err) = upg('up', '-d', $db, $dir);
	is($rc, 1, 'a read-only session: exit 1');
	like($err, qr/hint: Connect to the primary/, '... with a hint');
}
{
	local $ENV{PGOPTIONS} = '-c statement_timeout=300ms -c lock_timeout=200ms -c idle_in_transaction_session_timeout=500ms';
	($rc, $out, $err) = upg('up', '-d', $db, $dir);
	is($rc, 1, 'a statement_timeout of the role: exit 1');
	like($err, qr/statement timeout/, '... says so');
	is(sql($db, q{SELECT string_agg(migration, ' ') FROM upg_status() WHERE state = 'applied'}), '1_a', '... what was done before stays');
}
{
	local $ENV{PGOPTIONS} = '-c lock_timeout=50ms';
	my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $db, map { ('-c', $_) } 'BEGIN', 'LOCK TABLE a IN SHARE MODE', 'SELECT pg_sleep(60)' ], \undef, \my $ignored, \my $ended);
	ok(wait_for($db, q{SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass AND mode = 'ShareLock' AND granted}, 1), 'a table is locked');
	my ($pid) = sql($db, q{SELECT pid FROM pg_locks WHERE relation = 'a'::regclass AND mode = 'ShareLock'});
	($rc, $out, $err) = upg('up', '-d', $db, files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);', '2_alter.sql' => 'ALTER TABLE a ADD c int;'));
	is($rc, 1, 'a lock_timeout of the role: exit 1') or diag $out;
	like($err, qr/UP015/, '... with its SQLSTATE');
	like($err, qr/\b$pid\b/, '... the holder is named') or diag $err;
	is(sql($db, q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'c'}), 0, '... nothing of it is there');
	($rc, $out, $err) = upg('explain', '-d', $db, '2_alter');
	like($out, qr/^    waited for locks: .*\b$pid\b/m, '... and explain tells whom it waited for') or diag $out;
	sql('postgres', "SELECT pg_terminate_backend($pid)");
	$holder->finish;
}

# down
$db  = database('down');
$dir = files(workdir(), map { ("${_}_m.up.sql" => "CREATE TABLE m$_ (i int);", "${_}_m.down.sql" => "DROP TABLE m$_;") } 1 .. 4);
upg('up', '-d', $db, '--release', 'v1.0', $dir);
is(sql($db, 'SELECT version FROM upg.versions WHERE state = \'current\''), 'v1.0', '--release names the version');
($rc, $out, $err) = upg('down', '-d', $db);
like($out, qr/^rolled_back 4_m/, 'down: the latest') or diag $err;
($rc, $out, $err) = upg('down', '-d', $db, '--dry-run', '--to', '1_m');
like($out, qr/3_m.*\n.*2_m/, 'down --dry-run shows the list') or diag $err;
($rc, $out, $err) = upg('down', '-d', $db, '--to', '1_m');
is($rc, 0, 'down --to') or diag $err;
is(sql($db, q{SELECT string_agg(migration, ' ') FROM upg_status() WHERE state = 'applied'}), '1_m', '... keeps that one');
($rc, $out, $err) = upg('down', '-d', $db, '1_m', '--all');
is($rc, 2, 'NAME and --all exclude each other');
($rc, $out, $err) = upg('down', '-d', $db, 'nonesuch');
is($rc, 1, 'down of an unknown migration: exit 1');
($rc, $out, $err) = upg('down', '-d', $db, '--to', 'nonesuch');
is($rc, 2, 'down --to an unknown migration: exit 2');

# other commands on the result
($rc, $out, $err) = upg('history', '-d', $db, '--json');
is(scalar @{ decode_json($out)->{history} }, 7, 'history --json lists all attempts');
($rc, $out, $err) = upg('show', '-d', $db, '1_m', '--down');
like($out, qr/DROP TABLE m1/, 'show --down');
($rc, $out, $err) = upg('show', '-d', $db, 'nonesuch');
is($rc, 1, 'show of an unknown migration');
($rc, $out, $err) = upg('audit', 'checkpoint', '-d', $db, '--note', 'after the test');
my $work = files(workdir(), 'cp.json' => $out);
($rc, $out, $err) = upg('audit', 'verify', '-d', $db, '--checkpoint', "$work/cp.json");
is($rc, 0, 'audit verify against a checkpoint') or diag $err;
($rc, $out, $err) = upg('audit', 'export', '-d', $db);
ok((grep { decode_json($_)->{seq} } split /\n/, $out) > 5, 'audit export is JSON Lines');
sql($db, q{ALTER TABLE upg.audit_log DISABLE TRIGGER ALL; UPDATE upg.audit_log SET actor = 'mallory' WHERE seq = 3});
($rc, $out, $err) = upg('audit', 'verify', '-d', $db);
is($rc, 8, 'a changed entry: exit 8') or diag $out . $err;
($rc, $out, $err) = upg('progress', '-d', $db);
like($out, qr/nothing is running/, 'progress');
($rc, $out, $err) = upg('lock', 'show', '-d', $db);
is($rc, 0, 'lock show') or diag $err;
($rc, $out, $err) = upg('plan', '-d', $db, '--detailed-exitcode', $dir);
is($rc, 10, 'plan --detailed-exitcode with something to do: exit 10');
done_testing();
