# On a terminal: questions and their answers, the password, colour, the progress line,
# Ctrl-C.  Without one (all other tests) nothing asks and nothing moves.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(time);
use UpgTest;

eval { require IO::Pty; 1 } or plan skip_all => 'IO::Pty is not there';
eval { IO::Pty->new; 1 } or plan skip_all => 'no terminal can be opened (is devpts mounted?)';

my $dir = server_start();
my $work = workdir();
my ($rc, $seen);

# Run upg on a terminal of its own.  Each step is a pattern to wait for and what is
# then typed, or code that gives it; returns exit code and all that was shown.
sub on_terminal
{
	my ($args, @steps) = @_;
	my $pty = IO::Pty->new;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		$pty->make_slave_controlling_terminal;
		my $slave = $pty->slave;
		close $pty;
		open STDIN,  '<&', $slave;
		open STDOUT, '>&', $slave;
		open STDERR, '>&', $slave;
		delete $ENV{NO_COLOR};
		$ENV{TERM} = 'xterm';
		exec $UPG, @$args or POSIX::_exit(127);
	}
	$pty->close_slave;
	my ($text, $from, $until) = ('', 0, time + 30);
	while (time < $until)
	{
		my $ready = '';
		vec($ready, fileno($pty), 1) = 1;
		if (@steps && substr($text, $from) =~ $steps[0][0])
		{
			$from = length $text;
			print {$pty} ref $steps[0][1] ? $steps[0][1]->() : $steps[0][1];
			$pty->flush;
			shift @steps;
			next;
		}
		next unless select($ready, undef, undef, 0.1);
		last unless sysread($pty, $text, 65536, length $text);
	}
	kill 'KILL', $pid if time >= $until;
	close $pty;
	waitpid $pid, 0;
	my $status = $?;
	is(scalar @steps, 0, 'all that was waited for was shown') or diag $text;
	return ($status & 127 ? 128 + ($status & 127) : $status >> 8, $text);
}

database('term');
files("$work/m", map { ("${_}_t.up.sql" => "CREATE TABLE t$_ (i int);\nSELECT pg_sleep(0.4);\n", "${_}_t.down.sql" => "DROP TABLE t$_;\n") } 1 .. 4);

# progress and colour
($rc, $seen) = on_terminal([ 'up', '-d', 'term', "$work/m" ]);
is($rc, 0, 'up on a terminal') or diag $seen;
like($seen, qr/\e\[32mapplied +\e\[0m 1_t/, 'what was done is coloured');
like($seen, qr/\r\e\[K[^\r\n]*2_t/, 'a progress line names what runs');
like($seen, qr/\r\e\[K(?![^\r\n]*\r\e\[K)[^\r]*applied/, '... and is gone before what follows');
unlike($seen, qr/\r\e\[K$/, '... at the end, too');

# questions
($rc, $seen) = on_terminal([ 'down', '-d', 'term', '--all' ], [ qr/\[y\/N\] $/ => "n\n" ]);
is($rc, 1, 'answered with n');
like($seen, qr/not confirmed.*Nothing was changed/s, '... it says that nothing was done');
is(sql('term', q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 4, '... which is so');
($rc, $seen) = on_terminal([ 'down', '-d', 'term', '--all' ], [ qr/\[y\/N\] $/ => "\cD" ]);
is($rc, 1, 'the end of input is no yes');
($rc, $seen) = on_terminal([ 'down', '-d', 'term', '--all' ], [ qr/\[y\/N\] $/ => "\cC" ]);
is($rc, 130, 'Ctrl-C at the question exits 130') or diag $seen;
is(sql('term', q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 4, '... and changes nothing');
($rc, $seen) = on_terminal([ 'down', '-d', 'term', '--to', '2_t' ], [ qr/\[y\/N\] $/ => "y\n" ]);
is($rc, 0, 'answered with y') or diag $seen;
is(sql('term', q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 2, '... it is done');
($rc, $seen) = on_terminal([ 'down', '-d', 'term', '--all', '--yes' ]);
is($rc, 0, '--yes does not ask');
unlike($seen, qr/\[y\/N\]/, '... at all');

# Ctrl-C while it runs: the statement is cancelled, the books are in order
files("$work/long", '1_short.sql' => 'CREATE TABLE short (i int);', '2_long.sql' => "CREATE TABLE long (i int);\nSELECT pg_sleep(60);\n");
my $begun = time;
my $at_work = sub {
	my $runs = q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'term' AND wait_event = 'PgSleep'};
	for (1 .. 200) { last if sql('postgres', $runs) > 0; select undef, undef, undef, 0.05 }
	return "\cC";
};
($rc, $seen) = on_terminal([ 'up', '-d', 'term', "$work/long" ], [ qr/1_short.*2_long/s => $at_work ]);
is($rc, 130, 'Ctrl-C while a migration runs exits 130') or diag $seen;
cmp_ok(time - $begun, '<', 30, '... at once');
is(sql('term', q{SELECT to_regclass('short') IS NOT NULL, to_regclass('long') IS NULL}), 't|t', '... what was applied stays, nothing of the other');
is(sql('term', q{SELECT state FROM upg_history('2_long') LIMIT 1}), 'failed', '... which the history has') or diag $seen;

# how far a statement of a worker is, as the server tells it
sql('term', 'CREATE TABLE wide AS SELECT g AS i, md5(g::text) AS t FROM generate_series(1, 5000) g');
sql('term', q{CREATE FUNCTION slowly(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.001); RETURN t; END$$});
files("$work/index", '1_index.sql' => 'CREATE INDEX CONCURRENTLY wide_t ON wide (slowly(t));');
($rc, $seen) = on_terminal([ 'up', '-d', 'term', "$work/index" ]);
is($rc, 0, 'an index of a worker, on a terminal') or diag $seen;
like($seen, qr/1_index: step 1 of 1  building index[^\r]*: \d+%/, '... with the part that is done') or diag $seen;
like($seen, qr/: \d+%, about \d+:\d\d left/, '... and the time that is left');

# who is waited for, and how often it was tried
{
	local $ENV{PGOPTIONS} = '-c upg.lock_timeout=200ms -c upg.lock_retries=2';
	files("$work/locked", '1_locked.sql' => 'ALTER TABLE wide ADD locked int;');
	my $holder = hold('term', 'LOCK TABLE wide IN ACCESS SHARE MODE');
	($rc, $seen) = on_terminal([ 'up', '-d', 'term', "$work/locked" ]);
	is($rc, 1, 'up, while another session holds the table');
	like($seen, qr/\r\e\[K1_locked: waiting for locks: try 1 of 3 failed\. +wide is locked by process \d+/, '... says for whom it waits') or diag $seen;
	like($seen, qr/\r\e\[K1_locked: waiting for locks: try 2 of 3 failed/, '... and which try it is') or diag $seen;
	unlike($seen, qr/\e\[K[^\r\n]{81}/, '... on one line') or diag $seen;
	my ($code, $out, $err) = upg('up', '-d', 'term', "$work/locked");
	is($code, 1, 'the same without a terminal');
	unlike($err, qr/waiting for locks/, '... says nothing on the way') or diag $err;
	like($err, qr/after 3 tries/, '... and how it ended');
	($code, $out, $err) = upg('up', '-v', '-d', 'term', "$work/locked");
	like($err, qr/^upg: notice: waiting for locks: try 2 of 3 failed\n  wide is locked by process \d+/m, '... unless it is asked to') or diag $err;
	release($holder);
	($rc, $seen) = on_terminal([ 'up', '-d', 'term', "$work/locked" ]);
	is($rc, 0, '... and when it is gone') or diag $seen;
	unlike($seen, qr/waiting/, '... nobody is waited for');
	$holder = hold('term', 'LOCK TABLE wide IN ACCESS SHARE MODE');
	($rc, $seen) = on_terminal([ 'down', '-d', 'term' ]);
	is($rc, 1, 'down, while another session holds the table') or diag $seen;
	like($seen, qr/waiting for locks: try 1 of 3 failed\. +public\.wide is locked by process \d+/, '... says for whom it waits') or diag $seen;
	like($seen, qr/waiting for locks: try 2 of 3 failed/, '... and which try it is') or diag $seen;
	release($holder);
	($rc, $seen) = on_terminal([ 'down', '-d', 'term' ]);
	is($rc, 0, '... and when it is gone') or diag $seen;
	files("$work/worker", '1_worker.sql' => 'CREATE INDEX CONCURRENTLY wide_i ON wide (i);');
	$holder = hold('term', 'LOCK TABLE wide IN SHARE ROW EXCLUSIVE MODE');
	($rc, $seen) = on_terminal([ 'up', '-d', 'term', '--timeout=3s', "$work/worker" ]);
	like($seen, qr/1_worker: step 1 of 1  waits for process \d+/, 'whom a worker waits for') or diag $seen;
	release($holder);
	upg('wait', '-d', 'term', '1_worker');
}

# work that is handed over, as was asked for, is no error
files("$work/index2", '1_index2.sql' => 'CREATE INDEX CONCURRENTLY wide_2 ON wide (slowly(t));');
($rc, $seen) = on_terminal([ 'up', '-d', 'term', '--no-wait', "$work/index2" ]);
is($rc, 5, '--no-wait leaves the work to the worker') or diag $seen;
like($seen, qr/^upg: migration "1_index2" runs in the background\r?\nupg: next: upg wait 1_index2/m, '... and says so') or diag $seen;
unlike($seen, qr/error/, '... not as an error') or diag $seen;
my (undef, $json) = upg('up', '-d', 'term', '--no-wait', '--json', "$work/index2");
like($json, qr/"exit_code":\s*5,\s*"error":\s*null/, '... with --json, too') or diag $json;
upg('wait', '-d', 'term', '1_index2');
my (undef, $status) = upg('status', '-d', 'term');
like($status, qr/^rolled_back +1_locked .*[^ct]$/m, 'what was taken back has no way back') or diag $status;
unlike($status, qr/^rolled_back.*exact/m, '... in words') or diag $status;
(undef, $status) = upg('status', '-d', 'term', '--json');
like($status, qr/"migration":\s*"1_locked"[^}]*"undo":\s*null/, '... nor in JSON') or diag $status;

# watch: clears the screen until Ctrl-C
($rc, $seen) = on_terminal([ 'status', '-d', 'term', '--watch', '--interval=200ms', "$work/m" ],
	[ qr/applied, \d+ pending/ => '' ], [ qr/applied, \d+ pending/ => "\cC" ]);
cmp_ok(scalar(() = $seen =~ /\e\[H\e\[2J/g), '>=', 2, 'status --watch draws anew');
ok($rc == 0 || $rc == 130, '... until Ctrl-C');

# the password
sql('postgres', q{SET password_encryption = 'scram-sha-256'; CREATE ROLE asked LOGIN PASSWORD 'geheim 1'; GRANT CONNECT ON DATABASE term TO asked});
sql('term', 'GRANT upg_viewer TO asked');
my $hba = slurp("$dir/data/pg_hba.conf");
open(my $fh, '>', "$dir/data/pg_hba.conf") or die;
print $fh "local all asked scram-sha-256\n$hba";
close $fh;
sql('postgres', 'SELECT pg_reload_conf(); SELECT pg_sleep(0.5)');
($rc, $seen) = on_terminal([ 'history', '-d', 'term', '-U', 'asked' ], [ qr/[Pp]assword[^:]*: $/ => "geheim 1\n" ]);
is($rc, 0, 'a server that wants a password gets one') or diag $seen;
unlike($seen, qr/geheim/, '... that is not shown');
($rc, $seen) = on_terminal([ 'history', '-d', 'term', '-U', 'asked', '-W' ], [ qr/[Pp]assword[^:]*: $/ => "wrong\n" ]);
is($rc, 11, 'a wrong one exits 11') or diag $seen;
like($seen, qr/password authentication failed/, '... with the reason');
($rc, $seen) = on_terminal([ 'history', '-d', 'term', '-U', 'asked', '-w' ]);
is($rc, 11, '--no-password does not ask');
unlike($seen, qr/[Pp]assword[^:]*: $/, '... at all');
my ($code, $out, $err) = upg('history', '-d', 'term', '-U', 'asked');
is($code, 11, 'without a terminal nobody is asked');
like($err, qr/no password supplied/, '... and the error says what is missing');
{
	local $ENV{PGPASSWORD} = 'geheim 1';
	($code, $out, $err) = upg('history', '-d', 'term', '-U', 'asked');
	is($code, 0, 'PGPASSWORD does it');
}
done_testing();
