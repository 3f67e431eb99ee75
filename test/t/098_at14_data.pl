# AT14: after a copy of a large table one changed, one missing and one extra row are
# reported by table, key and column, and a clean copy reports none.  While it runs, another
# session sees how far it is, and it can be cancelled at once.  What is dropped, truncated
# or rewritten under a reader is an error that says so.  (5 million rows with UPG_FULL.)
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(start finish pump timeout);
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);
use UpgTest;

my $rows = $ENV{UPG_FULL} ? 5_000_000 : 300_000;
my $dir = server_start('shared_buffers=256MB', 'max_worker_processes=16', 'max_parallel_workers_per_gather=0');
database($_) foreach qw(here there);
my ($rc, $out, $err);

sub start_sql
{
	my ($db, $query, $app) = @_;
	my ($o, $e) = ('', '');
	local $ENV{PGAPPNAME} = $app // 'at14';
	my $h = start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $db, '-c', $query ], \undef, \$o, \$e, timeout(300));
	return ($h, \$o, \$e);
}

# the copy
sql($_, qq{CREATE TABLE data (id bigint PRIMARY KEY, a integer, b numeric(12,2), c text, d timestamptz);
  INSERT INTO data SELECT g, g % 1000, g / 7.0, 'row ' || g, timestamptz '2020-01-01 00:00+00' + g * interval '1 second' FROM generate_series(1, $rows) g;
  VACUUM (FREEZE, ANALYZE) data}) foreach qw(here there);
($rc, $out, $err) = upg('compare', 'here', 'there', '--table=data', '--json');
is($rc, 0, 'a clean copy is equal') or diag $err;
my $doc = decode_json($out);
is_deeply([ @$doc{qw(missing extra changed source_rows target_rows)} ], [ 0, 0, 0, $rows, $rows ], 'with 0 differences, of all rows');
my $middle = int($rows / 2);
sql('there', qq{UPDATE data SET c = 'altered' WHERE id = $middle; DELETE FROM data WHERE id = 77; INSERT INTO data VALUES (-5, 0, 0, 'extra', now())});
my $t0 = time;
($rc, $out, $err) = upg('compare', 'here', 'there', '--table=data', '--json');
my $took = time - $t0;
is($rc, 8, 'a damaged one is not');
$doc = decode_json($out);
is($doc->{table}, 'data', 'the table');
my %by = map { ($_->{difference} => $_) } @{ $doc->{differences} };
is(scalar @{ $doc->{differences} }, 3, 'three differences');
is_deeply($by{changed}{key}, { id => "$middle" }, 'the key of the changed row');
is_deeply([ sort keys %{ $by{changed}{source} } ], ['c'], 'and its column');
is_deeply($by{missing}{key}, { id => '77' }, 'the missing row');
is_deeply($by{extra}{key}, { id => '-5' }, 'the extra row');
diag sprintf('%d rows on each side: %.1f s', $rows, $took);
sql('there', q{CREATE TABLE old (LIKE data); INSERT INTO old SELECT * FROM data; DELETE FROM old WHERE id = 5});
is(sql('there', q{SELECT difference || ' ' || row_key::text FROM upg_compare('old', 'data', key => '{id}')}), 'extra {"id": "5"}', 'inside one database, too');

# progress and cancel: a table that takes long enough to be looked at
sql('here', q{CREATE TABLE slow (id integer PRIMARY KEY, v text) WITH (autovacuum_enabled = false)});
sql('here', q{INSERT INTO slow SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 60000) g; CREATE TABLE slow2 AS TABLE slow; ALTER TABLE slow2 ADD PRIMARY KEY (id);
  CREATE FUNCTION cancel_ms(app text) RETURNS numeric LANGUAGE plpgsql AS $$
  DECLARE
    victim integer := (SELECT pid FROM pg_stat_activity WHERE application_name = app AND state = 'active');
    since timestamptz := clock_timestamp();
  BEGIN
    IF victim IS NULL OR NOT pg_cancel_backend(victim) THEN RETURN NULL; END IF;
    WHILE EXISTS (SELECT FROM pg_stat_activity WHERE pid = victim AND state = 'active') LOOP
      PERFORM pg_sleep(0.001), pg_stat_clear_snapshot();
    END LOOP;
    RETURN round(extract(epoch FROM clock_timestamp() - since) * 1000, 1);
  END$$});
for my $case (
	[ 'checksum', q{SELECT count(upg_table_checksum('slow', workers => 0)) FROM generate_series(1, 20000)} ],
	[ 'compare', q{SELECT count(*) FROM generate_series(1, 5000) g, LATERAL (SELECT count(*) FROM upg_compare('slow', 'slow2', workers => g * 0)) x} ],
	[ 'verify', q{SELECT count(*) FROM generate_series(1, 5000) g, LATERAL (SELECT count(*) FROM upg_constraints_recheck('{slow,slow2}', max_rows => g)) x} ])
{
	my ($task, $query) = @$case;
	my ($h, $o, $e) = start_sql('here', $query, "run $task");
	my (%seen, $worst, $over);
	my $until = time + 20;
	while (time < $until && keys %seen < 2)
	{
		for (split /\n/, sql('here', q{SELECT task || '|' || relation || '|' || step || '|' || steps || '|' || percent || '|' || (blocks_done <= blocks_total) FROM upg_scan_progress()}))
		{
			my ($t, $r, $step, $steps, $percent, $within) = split /\|/;
			$seen{"$r $percent"} = 1 if $t eq $task;
			$over = 1 if $percent < 0 || $percent > 100 || $step > $steps || $within ne 'true';
		}
		sleep 0.02;
	}
	cmp_ok(scalar keys %seen, '>=', 2, "$task: another session sees it advance") or diag join(', ', %seen);
	ok(!$over, "$task: and within bounds");
	($rc, $out, $err) = upg('progress', '-d', 'here', '--json');
	ok(ref decode_json($out)->{scans} eq 'ARRAY', "$task: upg progress") or diag "$out$err";

	# cancelled at once; the machine may be busy, so the best of three counts
	my $best;
	for my $try (1 .. 3)
	{
		($h, $o, $e) = start_sql('here', $query, "run $task") if $try > 1;
		sleep 0.2 if $try > 1;
		my $ms = sql('here', "SELECT cancel_ms('run $task')");
		finish $h;
		like($$e, qr/57014/, "$task: a cancel request ends it") or diag $$e;
		$best = $ms if $ms ne '' && (!defined $best || $ms < $best);
		last if defined $best && $best < 100;
	}
	cmp_ok($best // 9999, '<', $ENV{UPG_SLOW} ? 5000 : 100, "$task: within 100 ms");
	diag sprintf('%s: cancelled within %.1f ms', $task, $best // -1);
	is(sql('here', 'SELECT count(*) FROM upg_scan_progress()'), 0, "$task: and is shown no more");
}

# dropped, truncated, rewritten while being read
sql('here', 'CREATE TABLE victim AS SELECT g AS id, g::text AS v FROM generate_series(1, 1000) g');
for my $case ([ 'TRUNCATE victim', 'truncated' ], [ 'VACUUM FULL victim', 'rewritten' ], [ 'ALTER TABLE victim ALTER id TYPE bigint', 'changed in type' ],
	[ 'DROP TABLE victim', 'dropped' ])
{
	my ($command, $what) = @$case;
	my ($o, $e) = ('', '');
	my $in = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class;\n\\echo ready\n";
	my $h = start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', 'here' ], \$in, \$o, \$e, timeout(60));
	pump $h until $o =~ /ready/;
	sql('here', $command);
	$in = "SELECT upg_table_checksum('victim');\nROLLBACK;\n";
	finish $h;
	like($e, $what eq 'dropped' ? qr/42P01.*"victim" does not exist/ : qr/UP042.*relation "victim" was created, truncated or rewritten/,
		"a table $what after the snapshot is an error that says so") or diag "$o$e";
	sql('here', "INSERT INTO victim VALUES (1, 'x')") if $what ne 'dropped';
}
# the reader's lock keeps the others waiting meanwhile
sql('here', 'CREATE TABLE victim AS SELECT g AS id FROM generate_series(1, 10) g');
my ($h, $o, $e) = start_sql('here', q{SELECT upg_table_checksum('victim'), pg_sleep(1)});
sleep 0.4;
eval { sql('here', q{SET lock_timeout = '50ms'; DROP TABLE victim}) };
like($@, qr/lock timeout/, 'what reads holds off who would drop');
finish $h;
is($$e, '', 'and reads to its end');

# T82: two databases under writes: in-flight rows vanish on looking again, planted ones stay
sql($_, 'CREATE TABLE moving (id integer PRIMARY KEY, v integer); INSERT INTO moving SELECT g, 0 FROM generate_series(1, 2000) g') foreach qw(here there);
sql('there', 'UPDATE moving SET v = -1 WHERE id = 1999; DELETE FROM moving WHERE id = 2000');
my $writer = start(
	[ 'bash', '-c', q{for i in $(seq 1 60); do psql -Xqd here -c "UPDATE moving SET v = $i WHERE id <= 50"; sleep 0.05; psql -Xqd there -c "UPDATE moving SET v = $i WHERE id <= 50"; done} ]);
sleep 0.3;
($rc, $out, $err) = upg('compare', 'here', 'there', '--table=moving', '--recheck=3', '--interval=400ms', '--json');
$doc = decode_json($out);
is($rc, 8, 'T82: under writes, the planted ones stay') or diag "$out$err";
is_deeply([ map { $_->{key}{id} } @{ $doc->{differences} } ], [ 1999, 2000 ], 'T82: and none is invented') or diag $out;
like($doc->{guarantee} // '', qr/looked at 4 times/, 'T82: what that guarantees is said');
$writer->kill_kill;

done_testing();
