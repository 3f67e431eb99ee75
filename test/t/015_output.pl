# What a person or a program sees while a run goes on: lines as they happen, true
# durations, every faulty file of a directory, each file read once.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(pump finish);
use Test::More;
use UpgTest;

server_start();
my ($rc, $out, $err);
my $work = workdir();

# line by line on a pipe
database('lines');
files("$work/lines", '1_fast.sql' => 'CREATE TABLE fast (i int);', '2_slow.sql' => 'SELECT pg_sleep(3);');
my ($run, $seen) = upg_start('up', '-d', 'lines', "$work/lines");
my $until = time + 20;
pump($run) while $$seen !~ /\n/ && $run->pumpable && time < $until;
like($$seen, qr/^applied +1_fast/, 'a pipe gets the first line');
unlike($$seen, qr/2_slow/, 'before the second migration is done');
is(sql('lines', q{SELECT state FROM upg_migration_state('2_slow')}), '', 'which the ledger confirms');
finish($run);
like($$seen, qr/^applied +2_slow +3\d\d\d ms$/m, 'then the rest');

# durations
database('lasting');
files(
	"$work/lasting",
	'1_steps.up.sql' => "CREATE TABLE a (i int);\nSELECT pg_sleep(0.7);\nCREATE INDEX CONCURRENTLY a_i ON a (i);\n",
	'1_steps.down.sql' => "DROP INDEX CONCURRENTLY a_i;\nSELECT pg_sleep(0.7);\nDROP TABLE a;\n");
($rc, $out, $err) = upg('up', '-d', 'lasting', "$work/lasting");
is($rc, 0, 'steps') or diag $err;
my ($ms) = $out =~ /1_steps +(\d+) ms/;
cmp_ok($ms // 0, '>=', 700, 'the time of several steps is the time until they are done');
($rc, $out, $err) = upg('down', '-d', 'lasting', '--method=given');
($ms) = $out =~ /1_steps +(\d+) ms/;
cmp_ok($ms // 0, '>=', 700, 'on the way back, too') or diag "$out$err";

# all faults of a directory
database('faulty');
files(
	"$work/faulty",
	'1_good.sql' => 'CREATE TABLE g (i int);',
	'2_bad.sql' => "\nSELECT 1;\nCREATE TABEL b ();\n",
	'3_open.sql' => "SELECT 'x",
	'4_good.sql' => 'SELECT 2;');
for my $command (qw(plan check))
{
	($rc, $out, $err) = upg($command, '-d', 'faulty', "$work/faulty");
	is($rc, 2, "$command of unreadable files exits 2");
	like($out, qr{2_bad\.sql:3:8: syntax error at or near "TABEL"}, "$command shows the first with its place");
	like($out, qr{3_open\.sql:1: unterminated quoted string}, "$command shows the second");
	like($err, qr/2 faults; the first:/, "$command counts them");
}
($rc, $out, $err) = upg('plan', '-d', 'faulty', "$work/faulty");
like($out, qr/^  1  1_good  1 statement.*^  2  2_bad  cannot run:.*^  4  4_good  1 statement/ms, 'plan shows the readable ones as well');
($rc, $out, $err) = upg('plan', '--json', '-d', 'faulty', "$work/faulty");
is($rc, 2, 'plan --json exits 2');
is(scalar(() = $out =~ /"ord":/g), 4, 'and has all four');
is(scalar(() = $out =~ /"fault":\{/g), 2, 'two of them with a fault');
like($out, qr/"where":"[^"]*2_bad\.sql:3:8"/, 'and its place');
($rc, $out, $err) = upg('check', '--json', '-d', 'faulty', "$work/faulty");
is(scalar(() = $out =~ /"what":/g), 3, 'check --json has both faults and the error');
($rc, $out, $err) = upg('up', '-d', 'faulty', "$work/faulty");
is($rc, 2, 'up refuses before anything runs');
is(sql('faulty', 'SELECT count(*) FROM upg_status()'), '0', 'nothing was changed');
upg('apply', '-d', 'faulty', "$work/faulty/1_good.sql");
files("$work/faulty", '1_good.sql' => 'CREATE TABLE other (i int);');
($rc, $out, $err) = upg('plan', '-d', 'faulty', "$work/faulty");
is($rc, 2, 'plan with a changed script exits 2');
like($err, qr/changed after it was applied/, 'says so');
like($out, qr/^  3  4_good  1 statement/m, 'and shows what is pending all the same');

# a reader that leaves
my $left = qx(sh -c 'LC_ALL=C; { sleep 1; $UPG help --markdown; echo "exit \$?" >&2; } | true' 2>&1);
is($left, "exit 1\n", 'a reader that leaves a command that only looks is no news');
for my $no (1 .. 3) { files("$work/left", "$no.sql" => 'SELECT pg_sleep(0.3);'); }
database('gone');
$left = qx(sh -c '{ sleep 1; $UPG up -d gone $work/left; } | true' 2>&1);
like($left, qr/could not write the output: Broken pipe.*What was done stays done/s, 'but a run says that its report is incomplete');
is(sql('gone', 'SELECT count(*) FROM upg_status()'), '3', 'and goes on to its end');

# each file once
SKIP:
{
	skip 'strace is not there', 2 if system('command -v strace >/dev/null');
	database('once');
	files("$work/once", map { ("$_.up.sql" => "CREATE TABLE t$_ ();", "$_.down.sql" => "DROP TABLE t$_;") } 1 .. 3);
	system('strace', '-f', '-o', "$work/trace", '-e', 'trace=open,openat', $UPG, 'up', '-q', '-d', 'once', "$work/once");
	skip 'strace may not trace here', 2 if $?;
	my $trace = slurp("$work/trace");
	is(scalar(() = $trace =~ /\.up\.sql/g), 3, 'each up script is opened once');
	is(scalar(() = $trace =~ /\.down\.sql/g), 3, 'each down script, too');
}

done_testing();
