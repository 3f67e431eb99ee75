# What a comparison of two databases takes for up to 1000 differences, however many rows
# there are: at most 1 MB over the network and 1 MB of memory in each process; and values
# that are too long to be sent before it is known that they are shown.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IO::Select;
use IO::Socket::UNIX;
use IPC::Open2;
use JSON::PP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);
use UpgTest;

use constant MB => 1024 * 1024;

server_start('autovacuum=off', 'jit=off', 'shared_buffers=512MB', 'max_parallel_workers_per_gather=0');
database($_) foreach qw(west east);
my ($rc, $out, $err);

sub both
{
	my ($query) = @_;
	sql($_, $query) foreach qw(west east);
}

# Bytes in both directions of all connections, while something runs.
sub bytes_of
{
	my ($run) = @_;
	my $dir = workdir();
	my $name = ".s.PGSQL.$ENV{PGPORT}";
	my $socket = "$ENV{PGHOST}/$name";
	my $listen = IO::Socket::UNIX->new(Local => "$dir/$name", Listen => 8) or die "proxy: $!";
	pipe(my $read, my $write);
	my $pid = fork // die "fork: $!";
	if (!$pid)
	{
		$SIG{CHLD} = 'IGNORE';
		while (my $client = $listen->accept)
		{
			next if fork;
			my $bytes = pass_on($client, IO::Socket::UNIX->new(Peer => $socket));
			syswrite($write, "$bytes\n");
			POSIX::_exit(0);
		}
		POSIX::_exit(0);
	}
	close $write;
	{ local $ENV{PGHOST} = $dir; $run->(); }
	kill 'TERM', $pid;
	waitpid($pid, 0);
	my $bytes = 0;
	$bytes += $_ while <$read>;
	return $bytes;
}

# Pass on what comes from either side until one ends; how much it was.
sub pass_on
{
	my ($client, $server) = @_;
	my %peer = ($client => $server, $server => $client);
	my $select = IO::Select->new($client, $server);
	my $bytes = 0;
	while (my @ready = $select->can_read)
	{
		foreach my $side (@ready)
		{
			my $got = sysread($side, my $data, 65536) or return $bytes;
			$bytes += $got;
			for (my $sent = 0; $sent < $got;) { $sent += syswrite($peer{$side}, $data, $got - $sent, $sent) // return $bytes; }
		}
	}
	return $bytes;
}

# Private memory of a process in bytes; 0 when it is gone.
sub private_memory
{
	my ($pid) = @_;
	open(my $fh, '<', "/proc/$pid/status") or return 0;
	my ($kb) = join('', <$fh>) =~ /RssAnon:\s+(\d+)/;
	return ($kb // 0) * 1024;
}

# Most private memory that a program has while it runs.
sub peak_of
{
	my @command = @_;
	my $pid = fork // die "fork: $!";
	if (!$pid)
	{
		open(STDOUT, '>', '/dev/null');
		open(STDERR, '>', '/dev/null');
		exec @command or POSIX::_exit(127);
	}
	my $most = 0;
	my $program = readlink("/proc/$$/exe");
	while (waitpid($pid, POSIX::WNOHANG()) == 0)
	{
		next if (readlink("/proc/$pid/exe") // $program) eq $program;    # not yet what it will be
		my $now = private_memory($pid);
		$most = $now if $now > $most;
		sleep 0.0005;
	}
	return $most;
}

# A session; what its backend takes more for a query than before it.
my %session;

sub session
{
	my ($database) = @_;
	return $session{$database} if $session{$database};
	my $pid = open2(my $output, my $input, 'psql', '-XqAtd', $database, '-v', 'ON_ERROR_STOP=1');
	$input->autoflush(1);
	my $s = $session{$database} = { in => $input, out => $output, pid => $pid };
	$s->{backend} = ask($database, 'SET client_min_messages = warning; SELECT pg_backend_pid()');
	return $s;
}

sub ask
{
	my ($database, $query, $most) = @_;
	my $s = session($database);
	print { $s->{in} } "$query;\n\\echo ---done---\n";
	my $select = IO::Select->new($s->{out});
	until ($select->can_read(0.001))
	{
		my $now = $most ? private_memory($s->{backend}) : 0;
		$$most = $now if $most && $now > $$most;
	}
	my @lines;
	while (defined(my $line = readline $s->{out}))
	{
		chomp $line;
		return join("\n", @lines) if $line eq '---done---';
		push @lines, $line;
	}
	die "psql ended while running: $query\n";
}

sub end_session
{
	my ($database) = @_;
	my $s = delete $session{$database} or return;
	close $s->{in};
	waitpid($s->{pid}, 0);
	return;
}

sub extra_memory
{
	my ($database, @queries) = @_;
	my $before = private_memory(session($database)->{backend});
	my $most = $before;
	ask($database, $_, \$most) foreach @queries;
	return $most - $before;
}

# a table of many rows, of which few differ, then a thousand
my $rows = 300_000;
foreach my $table (qw(n tiny))
{
	both('CREATE TABLE ' . $table . ' (aid int PRIMARY KEY, bid int, abalance int, filler char(84))');
	both("INSERT INTO $table SELECT g, 1, 0, '' FROM generate_series(1, " . ($table eq 'n' ? $rows : 10) . ') g');
}
sql('east', 'UPDATE tiny SET abalance = 1 WHERE aid = 3; DELETE FROM tiny WHERE aid = 4');
sql('east', "UPDATE n SET abalance = 1 WHERE aid % 37500 = 0;
	DELETE FROM n WHERE aid % 50000 = 1; INSERT INTO n SELECT -i, 1, 0, '' FROM generate_series(1, 6) i");
both('VACUUM (FREEZE, ANALYZE) n');

sub compared
{
	my ($expected, @args) = @_;
	($rc, $out, $err) = upg('compare', 'west', 'east', @args);
	is(scalar(() = $out =~ /^(?:changed|missing|extra)/mg), $expected, "$expected differences are found") or diag $err;
}
my $bytes = bytes_of(sub { compared(20, '--table', 'n') });
cmp_ok($bytes, '<', 0.6 * MB, sprintf('%.2f MB on the wire for 20 differences of %d rows', $bytes / MB, $rows));
sql('east', 'UPDATE n SET abalance = 3 WHERE aid BETWEEN 1000 AND 1979; VACUUM (FREEZE, ANALYZE) n');
$bytes = bytes_of(sub { compared(1000, '--table', 'n') });
cmp_ok($bytes, '<', MB, sprintf('%.2f MB for 1000, their rows included', $bytes / MB));

# memory: over what the same processes take for a table of ten rows
my $least = peak_of($UPG, 'status', 'west');
my $most = peak_of($UPG, 'compare', 'west', 'east', '--table', 'n');
cmp_ok($most - $least, '<', MB, sprintf('%.2f MB more memory of the program than for upg status', ($most - $least) / MB));
my $keys = q{SELECT string_agg(decode(lpad(to_hex(i), 32, '0'), 'hex'), '') FROM generate_series(1000, 1999) i};
my %calls = (
	west => ["SELECT length(upg_table_sketch('%s', key => '{aid}', seed => 7))",
		"SELECT length(upg_rows_packed('%s', ($keys), key => '{aid}', seed => 7, longest => 64))"],
	east => [ 'BEGIN READ ONLY', "SELECT upg_sketch_keep('%s', key => '{aid}', seed => 7)",
		'SELECT t.complete, length(t.prints) FROM sketch_of_%s, upg_sketch_take(s) t',
		"SELECT length(upg_rows_packed('%s', ($keys), key => '{aid}', seed => 7, longest => 64))", 'COMMIT' ]);
foreach my $table (qw(tiny n))
{
	my $sketch = sql('west', "SELECT upg_table_sketch('$table', key => '{aid}', seed => 7)");
	sql('east', "CREATE TABLE sketch_of_$table AS SELECT '$sketch'::bytea AS s");
}
foreach my $database (qw(west east))
{
	my @queries = @{ $calls{$database} };
	ask($database, "SELECT upg_table_checksum('n')");
	ask($database, $_) foreach map { s/%s/tiny/r } @queries;
	my $extra = extra_memory($database, map { s/%s/n/r } @queries);
	cmp_ok($extra, '<', MB, sprintf('%.2f MB of memory of the backend in the %s', $extra / MB, $database));
}
sql('west', 'CREATE TABLE o (LIKE n INCLUDING ALL); INSERT INTO o SELECT * FROM n;
	CREATE TABLE tiny2 AS SELECT aid, bid, 5 AS abalance, filler FROM tiny; ALTER TABLE tiny2 ADD PRIMARY KEY (aid);
	UPDATE o SET abalance = 3 WHERE aid BETWEEN 1000 AND 1999; VACUUM (FREEZE, ANALYZE) o');
end_session('west');
ask('west', q{SELECT upg_table_checksum('n')});
ask('west', q{SELECT count(*) FROM upg_compare('tiny', 'tiny2')});
ask('west', q{SELECT upg_table_checksum('o')});
my $extra = extra_memory('west', q{SELECT count(*) FROM upg_compare('n', 'o')});
cmp_ok($extra, '<', MB, sprintf('%.2f MB of memory for upg_compare(), the differences shown included', $extra / MB));
is(ask('west', q{SELECT count(*) FROM upg_compare('n', 'o')}), 1000, 'which finds them all');

# twelve columns, long values: only what is shown travels
both(q{CREATE TABLE w (id bigint PRIMARY KEY, grp int, amount numeric(12,2), created timestamptz, flag boolean, code varchar(20), who uuid,
	score float8, day date, title text, body text, last int);
	INSERT INTO w SELECT g, g % 1000, g * 1.37, '2020-01-01'::timestamptz + g * interval '1 min', g % 2 = 0, 'code-' || g % 997, md5(g::text)::uuid,
	g / 7.0, '2020-01-01'::date + g % 3000, 'title of row number ' || g, repeat(md5(g::text), 12), g FROM generate_series(1, 50000) g});
sql('east', 'UPDATE w SET last = 0 WHERE id BETWEEN 1 AND 800; DELETE FROM w WHERE id BETWEEN 1001 AND 1100; UPDATE w SET body = body || id WHERE id BETWEEN 2001 AND 2100');
$bytes = bytes_of(sub { compared(1000, '--table', 'w') });
cmp_ok($bytes, '<', MB, sprintf('%.2f MB for 1000 differences of wide rows', $bytes / MB));
like($out, qr/^changed  \{"id":"7"\}  \{"last":"7"\} -> \{"last":"0"\}$/m, 'a short value that changed');
my $body = sql('west', 'SELECT body FROM w WHERE id = 2050');
like($out, qr/^changed  \{"id":"2050"\}  \{"body":"$body"\} -> \{"body":"${body}2050"\}$/m, 'a long value that changed');
$body = sql('west', 'SELECT body FROM w WHERE id = 1050');
like($out, qr/^missing  \{"id":"1050"\}  \{.*"body":"$body".*\}$/m, 'a row with a long value that is missing');

# long values in keys, hidden, looked at again, in JSON, longer than is ever shown
both(q{CREATE TABLE k (a text, b text, c text, PRIMARY KEY (a));
	INSERT INTO k SELECT repeat('k', 100) || g, repeat('b', 200) || g, repeat('c', 5000) || g FROM generate_series(1, 300) g});
sql('east', q{UPDATE k SET b = 'new' WHERE a LIKE '%k7'; UPDATE k SET b = NULL WHERE a LIKE '%k8'; UPDATE k SET c = 'short' WHERE a LIKE '%k9'; INSERT INTO k VALUES (repeat('z', 70), '', NULL)});
my ($key, $b) = ('k' x 100, 'b' x 200);
foreach my $options ([], [ '--recheck=1', '--interval=10ms' ])
{
	($rc, $out, $err) = upg('compare', 'west', 'east', '--table', 'k', @$options);
	like($out, qr/^changed  \{"a":"${key}7"\}  \{"b":"${b}7"\} -> \{"b":"new"\}$/m, "a long key @$options") or diag $out;
	like($out, qr/^changed  \{"a":"${key}8"\}  \{"b":"${b}8"\} -> \{"b":null\}$/m, "a long value that is null @$options");
	like($out, qr/^changed  \{"a":"${key}9"\}  \{"c":"c{4032}\.\.\. \(5001 bytes\)"\} -> \{"c":"short"\}$/m, "a value that is cut @$options");
	like($out, qr/^extra    \{"a":"z{70}"\}  \{"a":"z{70}","b":"","c":null\}$/m, "an extra row @$options");
}
($rc, $out, $err) = upg('compare', 'west', 'east', '--table', 'k', '--redact=a,b', '--json');
unlike("$out$err", qr/kkk|bbb|zzz/, 'long values that are hidden');
is(decode_json($out)->{changed}, 3, 'and counted');

# where samples show that many rows differ, a small sketch is not made for nothing
sql('east', 'UPDATE n SET abalance = 9 WHERE aid % 8 = 0');
both('VACUUM ANALYZE n');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table', 'n', '-v');
my $expected = sql('east', 'SELECT count(*) FROM n WHERE abalance <> 0') + 6 + 6;
is($out =~ tr/\n//, $expected, 'all of many differences are found');
like($err, qr/about \d+ rows differ, by samples/, 'after a look at samples');
unlike($err, qr/the sketches were too small/, 'with sketches that are large enough');

end_session($_) foreach qw(west east);
done_testing();
