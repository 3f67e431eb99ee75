# Every command against what can be wrong around it: no extension, no database, a wrong
# command line, damaged books; and names that look like paths.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);', '2_b.sql' => 'CREATE TABLE b (i int);');

# Arguments that each command needs; undef: it needs no database.
my %args = (
	'init' => [], 'up' => [$dir], 'down' => [], 'status' => [$dir], 'plan' => [$dir], 'verify' => [$dir], 'check' => [$dir],
	'history' => [], 'apply' => ["$dir/1_a.sql"], 'register' => [$dir], 'adopt' => [$dir], 'squash' => [$dir], 'dump-schema' => [],
	'new' => undef, 'wait' => ['x'], 'progress' => [], 'show' => ['x'], 'doctor' => [$dir], 'explain' => ['x'],
	'repair' => [ 'x', '--mark=applied', '--reason=y' ], 'finalize' => ['x'], 'audit log' => [], 'audit verify' => [], 'audit export' => [],
	'audit checkpoint' => [], 'lock show' => [], 'version' => undef, 'completion' => undef, 'help' => undef);
my %makes = map { $_ => 1 } qw(init dump-schema);    # do without the extension

# Every command of the reference, also those that are not in the table above.
for my $command (slurp("$UpgTest::TOP/docs/cli-reference.md") =~ /^### upg (.+)$/mg)
{
	my @words = split / /, $command;
	my ($rc, $out, $err) = upg(@words, '--help');
	is($rc, 0, "$command --help: exit 0");
	like($out, qr/^Usage:\n  upg \Q$command\E/, "$command --help: on standard output");
	($rc, $out, $err) = upg(@words, '--no-such-option');
	is($rc, 2, "$command, unknown option: exit 2");
	like($err, qr/unrecognized option "--no-such-option"/, "$command, unknown option: says so");
}

sql('postgres', 'CREATE DATABASE bare');
for my $command (sort grep { $args{$_} } keys %args)
{
	my @words = split / /, $command;
	my ($rc, $out, $err) = upg(@words, '-d', 'nonesuch', '--json', @{ $args{$command} });
	is($rc, 11, "$command, no such database: exit 11") or diag $err;
	my $doc = eval { decode_json($out) };
	is($doc->{error}{code}, 'UPG-2002', "$command, no such database: code");
	like($doc->{error}{why}, qr/nonesuch/, "$command, no such database: which");

	unless ($makes{$command})
	{
		($rc, $out, $err) = upg(@words, '-d', 'bare', '--json', @{ $args{$command} });
		is($rc, $command eq 'doctor' ? 8 : 1, "$command, no extension: exit code") or diag $err;
		$doc = eval { decode_json($out) };
		like($doc->{error}{code}, qr/^UPG-20(03|27)$/, "$command, no extension: code");
		like($out, qr/upg init/, "$command, no extension: what to do");
	}
	($rc, $out, $err) = upg(@words, @{ $args{$command} }, ('too', 'many') x 2);
	is($rc, 2, "$command, too many arguments: exit 2");
	like($err, qr/too many arguments.*upg $command.*--help/s, "$command, too many arguments: says so");
	($rc, $out, $err) = upg(@words, @{ $args{$command} }, '');
	is($rc, 2, "$command, empty argument: exit 2");
}

# books that were changed by hand: an error, not a crash, and nothing is lost
my $db = database('damaged');
upg('up', '-d', $db, $dir);
my $backup = sql($db, 'SELECT count(*) FROM upg.audit_log');
sql($db, q{SET session_replication_role = replica; UPDATE upg.migrations SET state = 'perhaps' WHERE name = '2_b'});
for (['up', 1, 'UPG-0017', $dir], ['status', 0, undef, $dir], ['verify', 8, 'UPG-2033', $dir], ['down', 1, 'UPG-0017', '2_b'],
	['squash', 2, 'UPG-2034', $dir], ['adopt', 1, 'UPG-0017', $dir])
{
	my ($command, $exit, $code, @more) = @$_;
	my ($rc, $out, $err) = upg($command, '-d', $db, '--json', @more);
	is($rc, $exit, "$command with damaged books: exit $exit") or diag $out . $err;
	is(decode_json($out)->{error}{code}, $code, "$command with damaged books: code") if $code;
}
sql($db, q{SET session_replication_role = replica; UPDATE upg.migrations SET state = 'applied' WHERE name = '2_b'});
my ($rc, $out, $err) = upg('up', '-d', $db, $dir);
like($out, qr/nothing to do/, 'mended: nothing is lost') or diag $err;

# the trail
($rc, $out, $err) = upg('audit', 'log', '-d', $db, '--limit', 2, '2_b');
is($rc, 0, 'audit log') or diag $err;
like($out, qr/^seq +at +actor +role +action +object\n\d+ .*postgres.*attempt\.refused +2_b\n\d+ .*migration\.applied +2_b\n\z/, 'what concerns a migration');
($rc, $out, $err) = upg('audit', 'log', '-d', $db, '--json');
is(decode_json($out)->{log}[-1]{seq}, 1, 'all of it, newest first');
($rc, $out, $err) = upg('audit', 'log', '-d', $db, 'nonesuch');
is($out, "no entries\n", 'nothing of an unknown one');
($rc, $out, $err) = upg('audit', 'log', '-d', $db, '--limit', 'x');
is($rc, 2, 'a limit that is no number');
sql('postgres', 'CREATE ROLE viewer1 LOGIN; GRANT upg_viewer TO viewer1');
($rc, $out, $err) = upg('audit', 'log', '-d', $db, '-U', 'viewer1');
is($rc, 9, 'not for viewers');

# names that look like paths stay names
($rc, $out, $err) = upg('apply', '-d', $db, '--name', '../../x', "$dir/../" . ($dir =~ s/.*\///r) . '/1_a.sql');
is($rc, 1, 'a name like a path is a name: the table exists already');
is(sql($db, q{SELECT name FROM upg_history('../../x', 1)}), '../../x', 'and it is recorded as it is');
my $new = workdir();
($rc, $out, $err) = upg('new', '--down', '../../etc/x', $new);
is($rc, 0, 'new') or diag $err;
is(scalar(() = glob("$new/*.sql")), 2, 'the files are in the directory');
like($out, qr/_+etc_x\.up\.sql/, 'and are called so');
($rc, $out, $err) = upg('new', 'x' x 201, $new);
is($rc, 2, 'a name too long for a file');
# a line end in a file's name
my $odd = workdir();
open(my $fh, '>', "$odd/1_new\nline.sql") or die;
print $fh 'SELECT 1;';
close $fh;
($rc, $out, $err) = upg('up', '-d', $db, $odd);
is($rc, 1, 'a line end in a name: exit 1');
like($err, qr/control character 0x0a/, 'is refused, with the byte');
is(sql($db, q{SELECT count(*) FROM upg.migrations WHERE name ~ 'line'}), 0, 'nothing is recorded as applied');

# idle_in_transaction_session_timeout of the role, while the client drives a script
my $slow = files(workdir(), '1_c.sql' => "CREATE TABLE c (i int);\nCOPY c FROM stdin;\n1\n\\.\nSELECT pg_sleep(1);\nINSERT INTO c VALUES (2);\n");
{
	local $ENV{PGOPTIONS} = '-c idle_in_transaction_session_timeout=300ms';
	($rc, $out, $err) = upg('up', '-d', $db, $slow);
}
is($rc, 0, 'a short idle_in_transaction_session_timeout: the client is never idle so long') or diag $err;
is(sql($db, 'SELECT count(*) FROM c'), 2, 'all of it is there');

# SIGPIPE at any moment: the run goes on to its end
for my $ms (50, 150, 300)
{
	my $one = database("pipe$ms");
	my $many = files(workdir(), map { ("$_.sql" => "CREATE TABLE p$_ (i int); SELECT pg_sleep(0.05);") } 1 .. 8);
	system("sh -c '$UPG up -d $one $many 2>/dev/null | sleep " . $ms / 1000 . "'");
	for (1 .. 100) { last if sql($one, q{SELECT count(*) FROM upg.upgrades WHERE state = 'executing'}) == 0; select undef, undef, undef, 0.1 }
	is(sql($one, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 8, "a reader that leaves after $ms ms: all are applied");
}
done_testing();
