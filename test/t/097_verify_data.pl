# Verification of data from the command line: invariants, constraints, reports, --verify
# around up, down, apply and in the plan; every refusal with its exit code.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP;
use Test::More;
use UpgTest;

server_start('max_worker_processes=16');
database('bank');
my ($rc, $out, $err);
my $work = workdir();
sql('bank', <<'Q');
CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL, balance numeric NOT NULL);
CREATE TABLE entry (id int PRIMARY KEY, account int REFERENCES account, amount numeric);
INSERT INTO account SELECT g, 'owner ' || g, 10 FROM generate_series(1, 100) g;
INSERT INTO entry SELECT g, g, 10 FROM generate_series(1, 100) g;
Q

# declare, list, drop
($rc, $out, $err) = upg('data', 'invariants', '-d', 'bank');
is("$rc $out", "0 no invariant is declared\n", 'nothing is declared at first') or diag $err;
($rc, $out, $err) = upg('data', 'declare', 'money', '-d', 'bank', '--kind=sum', '--table=account', '--columns=balance', '--note=no money is lost');
is("$rc $out", "0 declared  money\n", 'a sum') or diag $err;
($rc, $out, $err) = upg('data', 'declare', 'books agree', '-d', 'bank', '--scope=account,entry', '--severity=warning',
	'--query=SELECT (SELECT sum(balance) FROM public.account) = (SELECT sum(amount) FROM public.entry)');
is($rc, 0, 'a query') or diag $err;
($rc, $out, $err) = upg('data', 'declare', 'owners', '-d', 'bank', '--kind=equal', '--key=id', '--query=SELECT id, owner FROM public.account WHERE id < 3');
is($rc, 0, 'a result that must stay equal') or diag $err;
($rc, $out, $err) = upg('data', 'declare', 'gone', '-d', 'bank', '--table=entry');
is($rc, 0, 'without a kind, the number of rows') or diag $err;
($rc, $out, $err) = upg('data', 'drop', 'gone', '-d', 'bank', '--json');
is(decode_json($out)->{dropped}, 'gone', 'dropped');
($rc, $out, $err) = upg('data', 'drop', 'gone', '-d', 'bank');
is($rc, 1, 'dropping what is not there fails');
like($err, qr/invariant "gone" is not declared/, 'and says so');
($rc, $out, $err) = upg('data', 'invariants', '-d', 'bank', '--json');
is_deeply([ map { $_->{name} } @{ decode_json($out)->{invariants} } ], [ 'books agree', 'money', 'owners' ], 'the list');
($rc, $out, $err) = upg('data', 'declare', 'bad', '-d', 'bank', '--query=DELETE FROM public.account');
is($rc, 1, 'a query that writes is refused');
like($err, qr/must be one SELECT/, 'and it says why');
($rc, $out, $err) = upg('data', 'declare', 'bad', '-d', 'bank', '--kind=nonsense');
is($rc, 2, 'an unknown kind is wrong usage');
($rc, $out, $err) = upg('data', 'declare', '-d', 'bank');
is($rc, 2, 'so is a missing name');

# verify
($rc, $out, $err) = upg('data', 'verify', '-d', 'bank', '--dry-run');
is($rc, 0, '--dry-run') or diag $err;
like($out, qr/planned +sum +money .* about 0\.\d seconds/, 'says what it would cost');
is(sql('bank', 'SELECT count(*) FROM upg.verifications'), 0, 'and keeps nothing');
($rc, $out, $err) = upg('data', 'verify', '-d', 'bank');
is($rc, 0, 'verify') or diag "$out$err";
like($out, qr/^verification 1$/m, 'with its number');
($rc, $out, $err) = upg('data', 'verify', '-d', 'bank', '--baseline=1', 'account', '--json');
is($rc, 0, 'against a baseline') or diag "$out$err";
my $doc = decode_json($out);
is_deeply([ grep { $_ ne 'passed' } map { $_->{state} } @{ $doc->{checks} } ], [], 'everything is as it was');
sql('bank', q{UPDATE account SET owner = 'thief', balance = 9 WHERE id = 2});
($rc, $out, $err) = upg('data', 'verify', '-d', 'bank', '--baseline=1', 'account', '--json');
is($rc, 8, 'what changed exits 8');
$doc = decode_json($out);
my %by = map { ($_->{name} => $_) } @{ $doc->{checks} };
is($by{money}{state}, 'failed', 'the sum');
is_deeply($by{owners}{details}{rows}, [ { key => { id => 2 }, before => { id => 2, owner => 'owner 2' }, after => { id => 2, owner => 'thief' } } ], 'the row, by its key');
is($doc->{error}{code}, 'UPG-2060', 'and the code');
sql('bank', q{UPDATE account SET owner = 'owner 2', balance = 10 WHERE id = 2});
($rc, $out, $err) = upg('data', 'verify', '-d', 'bank', 'nosuch');
is($rc, 1, 'a table that is not there');
like($err, qr/relation "nosuch" does not exist/, 'is named');
($rc, $out, $err) = upg('data', 'verify', '-d', 'bank', '--baseline=x');
is($rc, 1, 'a baseline that is no number');

# constraints
($rc, $out, $err) = upg('data', 'recheck', '-d', 'bank');
is($rc, 0, 'recheck') or diag "$out$err";
sql('bank', 'SET session_replication_role = replica; INSERT INTO entry VALUES (1000, 4711, 1)');
($rc, $out, $err) = upg('data', 'recheck', '-d', 'bank', 'entry');
is($rc, 8, 'a row against a foreign key exits 8');
like($out, qr/failed .*entry_account_fkey .*"id": 1000/, 'and is named by key') or diag $out;
($rc, $out, $err) = upg('data', 'recheck', '-d', 'bank', '--json');
is_deeply([ map { $_->{rows_in_violation} } grep { $_->{state} eq 'failed' } @{ decode_json($out)->{constraints} } ],
	[ [ { id => 1000, account => 4711 } ] ], 'in JSON');

# evidence
($rc, $out, $err) = upg('data', 'report', '-d', 'bank', '1');
is($rc, 0, 'report') or diag $err;
like($out, qr/\AVerification 1: passed\n.*Complete: every check read all/s, 'as text');
($rc, $out, $err) = upg('data', 'report', '-d', 'bank', '--as=html');
like($out, qr/^<!DOCTYPE html>.*<\/html>\n\z/s, 'as a page');
($rc, $out, $err) = upg('data', 'report', '-d', 'bank', '--json');
is(decode_json($out)->{report}{intact}, JSON::PP::true, 'as JSON');
($rc, $out, $err) = upg('data', 'report', '-d', 'bank', '99');
is($rc, 1, 'of one that is not there');
sql('bank', 'DELETE FROM entry WHERE id = 1000');

# around up and down
files(
	"$work/m",
	'1_good.up.sql' => q{UPDATE account SET owner = upper(owner) WHERE id = 50;},
	'1_good.down.sql' => q{UPDATE account SET owner = lower(owner) WHERE id = 50;},
	'2_bad.up.sql' => q{UPDATE account SET balance = balance * 1.01;},
	'2_bad.down.sql' => q{SELECT 1;});
($rc, $out, $err) = upg('plan', '-d', 'bank', "$work/m", '--verify=touched', '--budget=1s');
is($rc, 0, 'plan --verify') or diag "$out$err";
like($out, qr/1_good .*\n +verify .*money[^\n]* about 0\.\d seconds/s, 'shows what would be verified') or diag $out;
($rc, $out, $err) = upg('plan', '--json', '-d', 'bank', "$work/m", '--verify=all');
ok((grep { $_->{name} eq 'money' } @{ decode_json($out)->{plan}[0]{verify} }), 'in JSON, too') or diag $out;
($rc, $out, $err) = upg('up', '-d', 'bank', "$work/m", '--verify=touched');
is($rc, 8, 'what breaks an invariant stops the run with 8') or diag "$out$err";
like($out, qr/^applied +1_good/m, 'what came before it stays');
like($err, qr/verification after applying migration "2_bad" failed.*"money"/s, 'the invariant is named');
is(sql('bank', 'SELECT sum(balance) FROM account'), '1000', 'and nothing of it is there');
($rc, $out, $err) = upg('down', '-d', 'bank', '-y', '--verify=touched', '--budget=10s');
is($rc, 0, 'down --verify') or diag $err;
is(sql('bank', q{SELECT state FROM upg.check_results WHERE kind = 'content' AND phase = 'after' ORDER BY verification_id DESC, check_no LIMIT 1}),
	'passed', 'the table is proven to be what it was');
($rc, $out, $err) = upg('apply', '-d', 'bank', "$work/m/2_bad.up.sql", '--verify=all');
is($rc, 8, 'apply --verify');
($rc, $out, $err) = upg('apply', '-d', 'bank', "$work/m/2_bad.up.sql", '--verify=none');
is($rc, 0, '--verify=none applies it') or diag $err;
($rc, $out, $err) = upg('up', '-d', 'bank', "$work/m", '--verify=some');
is($rc, 2, 'an unknown level is wrong usage');
$ENV{PGOPTIONS} = '-c upg.verify=all';
files("$work/n", '1_worse.sql' => q{DELETE FROM entry; DELETE FROM account WHERE id > 90;});
($rc, $out, $err) = upg('up', '-d', 'bank', "$work/n");
is($rc, 8, 'the setting does the same') or diag "$out$err";
delete $ENV{PGOPTIONS};

# steps that commit one by one
files("$work/s", '1_steps.sql' => "CREATE INDEX CONCURRENTLY account_owner ON account (owner);\nUPDATE account SET balance = 0 WHERE id = 1;\n");
($rc, $out, $err) = upg('up', '-d', 'bank', "$work/s", '--verify=touched');
isnt($rc, 0, 'a migration in steps is verified by its worker');
like($err, qr/verification after applying migration "1_steps" failed/, 'and the failure is told') or diag "$rc $out$err";
is(sql('bank', q{SELECT state FROM upg_migration_state('1_steps')}), 'partial', 'it is not applied in the books');

for my $command (qw(verify recheck damage report invariants declare drop))
{
	($rc, $out, $err) = upg('data', $command, '--help');
	is($rc, 0, "data $command --help");
	like($out, qr/^Usage:\n  upg data $command/m, "data $command says how");
}
($rc, $out, $err) = upg('data', 'verify', '-d', 'nosuchdb');
is($rc, 11, 'no database exits 11');

done_testing();
