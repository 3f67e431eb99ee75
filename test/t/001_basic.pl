# Help, version, wrong usage, the way to the database: what needs no migration.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

my ($rc, $out, $err);
my @commands = qw(init up down status plan check history apply register adopt new wait progress
  show doctor explain compare repair version completion help);

($rc, $out, $err) = upg('--help');
is($rc, 0, '--help exits 0');
like($out, qr/^upg: upgrades you can take back/, '--help goes to stdout');
is($err, '', '--help leaves stderr empty');
for my $command (@commands, 'audit verify', 'audit export', 'audit checkpoint', 'lock show')
{
	($rc, $out, $err) = upg(split(/ /, $command), '--help');
	is($rc, 0, "$command --help exits 0");
	like($out, qr/^Usage:\n  upg \Q$command\E/, "$command --help shows its usage");
	is(scalar(grep { length > 90 } split /\n/, $out), 0, "$command --help fits the screen");
}
($rc, $out) = upg('version');
is($rc, 0, 'version exits 0');
like($out, qr/^upg \d+\.\d+\.\d+/, 'version prints the version');
($rc, my $short) = upg('-V');
is($short, $out, '-V is the same');

($rc, $out, $err) = upg();
is($rc, 2, 'no command exits 2');
is($out, '', 'and prints nothing on stdout');
($rc, $out, $err) = upg('stauts');
is($rc, 2, 'a misspelt command exits 2');
like($err, qr/Did you mean "status"\?/, 'and is corrected');
($rc, $out, $err) = upg('up', '--dryrun');
is($rc, 2, 'a misspelt option exits 2');
like($err, qr/Did you mean "dry-run"\?/, 'and is corrected');
like($err, qr/Try "upg up --help"/, 'and says where help is');
($rc, $out, $err) = upg('status', '--all');
is($rc, 2, 'an option of another command exits 2');
($rc, $out, $err) = upg('up', 'a', 'b');
is($rc, 2, 'too many arguments exit 2');
($rc, $out, $err) = upg('apply');
is($rc, 2, 'too few arguments exit 2');
($rc, $out, $err) = upg('up', '--layout=nonsense');
is($rc, 2, 'an invalid choice exits 2');
($rc, $out, $err) = upg('up', '--timeout=soon', '.');
is($rc, 2, 'an invalid duration exits 2');
($rc, $out, $err) = upg('help', 'exit-status');
like($out, qr/^  143  /m, 'help exit-status');
($rc, $out, $err) = upg('help', 'layouts');
like($out, qr/goose/, 'help layouts');
($rc, $out, $err) = upg('help', 'json');
like($out, qr/^plan: +directory, layout, plan\[\]/m, 'help json');
($rc, $out, $err) = upg('help', 'upg-0004');
like($out, qr/^UPG-0004: .*\nSQLSTATE UP004;/, 'help on an error code');
for my $shell (qw(bash zsh fish))
{
	($rc, $out, $err) = upg('completion', $shell);
	is($rc, 0, "completion $shell");
	like($out, qr/lock-timeout/, "completion $shell knows the options");
}
($rc, $out) = upg('completion', 'bash');
is(system('bash', '-n', '-c', $out), 0, 'bash accepts its completion');
{
	# what the shell would offer behind these words
	local $ENV{COMPLETION} = $out;
	my $offers = sub {
		my @words = @_;
		return join ' ', split ' ', qx(bash -c 'eval "\$COMPLETION"; COMP_WORDS=("\$@"); COMP_CWORD=\$((\$# - 1)); _upg; echo "\${COMPREPLY[@]}"' bash @{[map { "'$_'" } @words]});
	};
	is($offers->('upg', 'doc'), 'doctor', 'bash completes a command');
	is($offers->('upg', 'audit', 'ver'), 'verify', 'and one of a set');
	is($offers->('upg', 'data', 're'), 'recheck report', 'of every set');
	is($offers->('upg', 'data', 'recheck', '--lim'), '--limit=', 'and its options');
	is($offers->('upg', 'up', '--on-fail', '=', 'ro'), 'rollback', 'and their values');
}
($rc) = upg('completion', 'tcsh');
is($rc, 2, 'an unknown shell exits 2');

# no server
($rc, $out, $err) = upg('status', '-h', '/nonexistent', '-d', 'postgresql://u:geheim@/x');
is($rc, 11, 'no server exits 11');
unlike($err . $out, qr/geheim/, 'the password of a URI does not show');
($rc, $out, $err) = upg('status', '-d', 'postgresql://u:geheim@h:notaport/x');
unlike($err . $out, qr/geheim/, 'nor when the URI is invalid');
($rc, $out, $err) = upg('status', '--json', '-h', '/nonexistent');
like($out, qr/"code":"UPG-2002".*"next_actions":\[/, 'with --json the error is an object');

server_start();
database('bare', bare => 1);
($rc, $out, $err) = upg('status', '-d', 'bare');
is($rc, 1, 'a database without the extension exits 1');
like($err, qr/hint: Run "upg init"/, 'and names the command that helps');
($rc, $out, $err) = upg('init', '-d', 'bare', '--schema', 'My Schema');
is($rc, 0, 'init') or diag $err;
like($out, qr/: installed$/m, 'init installs');
($rc, $out, $err) = upg('init', '-d', 'bare');
like($out, qr/: already there$/m, 'init again changes nothing');
is(sql('bare', 'SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = \'upg\''),
	'"My Schema"', 'init used the schema');
($rc, $out, $err) = upg('status', '-d', 'bare');
is($rc, 0, 'the functions are found in that schema') or diag $err;
($rc, $out, $err) = upg('status', '-d', 'nonesuch');
is($rc, 11, 'a missing database exits 11');

# versions
sql('bare', q{UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'upg'});
($rc, $out, $err) = upg('status', '-d', 'bare');
is($rc, 1, 'another version of the install script exits 1');
like($err, qr/ALTER EXTENSION upg UPDATE TO '/, 'and gives the command that mends it');

# environment, .env and configuration file
my $work = workdir();
database('conf');
files($work, '.env' => "DATABASE_URL=postgresql:///nonesuch\n", 'migrations/1_a.sql' => 'SELECT 1;');
chdir $work;
($rc) = upg('status');
is($rc, 11, '.env gives DATABASE_URL');
files($work, '.env' => "# comment\nexport DATABASE_URL='postgresql:///conf'\n");
($rc, $out) = upg('status');
is($rc, 0, '.env with quotes and export');
like($out, qr/1 pending in "migrations"/, 'the default directory is migrations');
{
	local $ENV{PGDATABASE} = 'nonesuch';
	($rc) = upg('status');
	is($rc, 11, 'the environment wins over .env');
	($rc) = upg('status', '-d', 'conf');
	is($rc, 0, 'the command line wins over the environment');
}
files($work, 'upg.conf' => "layout = goose\n");
($rc, $out, $err) = upg('plan');
is($rc, 2, 'the configuration file sets options');
like($err, qr/holds no marker/, 'as the layout');
{
	local $ENV{UPG_LAYOUT} = 'plain';
	($rc) = upg('plan');
	is($rc, 0, 'the environment wins over the file');
}
files($work, 'upg.conf' => "layuot = goose\n");
($rc, $out, $err) = upg('plan');
is($rc, 2, 'an unrecognized setting is refused');
like($err, qr/upg\.conf:1/, 'with its line');
chdir '/';

# output that cannot be written
SKIP:
{
	skip 'no /dev/full', 2 unless -e '/dev/full';
	is(system("$UPG help > /dev/full 2> $work/err") >> 8, 1, 'a full disk is an error');
	like(slurp("$work/err"), qr/could not write the output/, 'and is said');
}
is(system("bash -c 'set -o pipefail; { sleep 1; $UPG help --markdown; } | true' 2> $work/err") >> 8,
	1, 'a closed pipe is an error');
done_testing();
