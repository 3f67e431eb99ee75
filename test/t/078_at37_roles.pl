# Roles times commands of the command line: who may is served, who may not exits 9, is
# told so, changes nothing, and stands in the server's log.  A command without a row
# here fails the test.  test/pgtap/privileges.sql is the same for SQL.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

# v viewer, o operator, p approver, a admin, u auditor, n nobody in particular; what a
# command needs, how it is called with ROLE replaced, whose exit codes count as served.
my %matrix = (
	'adopt'            => [ 'oa',    'adopt ROLE/adopt' ],
	'apply'            => [ 'oa',    'apply ROLE/ROLE_apply.sql' ],
	'audit checkpoint' => [ 'au',    'audit checkpoint' ],
	'audit export'     => [ 'u',     'audit export' ],
	'audit log'        => [ 'u',     'audit log' ],
	'audit verify'     => [ 'au',    'audit verify' ],
	'check'            => [ 'vopau', 'check ROLE/up' ],
	'data damage'      => [ 'vopau', 'data damage plain' ],
	'data declare'     => [ 'oa',    'data declare ROLE_holds --kind=true --query=SELECT(true)' ],
	'data drop'        => [ 'oa',    'data drop ROLE_holds' ],
	'data invariants'  => [ 'opau',  'data invariants' ],
	'data recheck'     => [ 'vopau', 'data recheck' ],
	'data report'      => [ 'opau',  'data report' ],
	'data verify'      => [ 'oa',    'data verify' ],
	'adopt-drift'      => [ 'vopau', 'adopt-drift x ROLE/up' ],
	'down'             => [ 'oa',    'down ROLE_down' ],
	'drift'            => [ 'vopau', 'drift' ],
	'drift --record'   => [ 'oa',    'drift --record' ],
	'expire'           => [ 'oa',    'expire 10years' ],
	'explain'          => [ 'vopau', 'explain there' ],
	'finalize'         => [ 'oa',    'finalize ROLE_kept' ],
	'history'          => [ 'vopau', 'history' ],
	'lock show'        => [ 'vopau', 'lock show' ],
	'plan'             => [ 'vopau', 'plan ROLE/up' ],
	'progress'         => [ 'vopau', 'progress' ],
	'put-back'         => [ 'oa',    'put-back there' ],
	'register'         => [ 'oa',    'register ROLE/register' ],
	'repair'           => [ 'a',     'repair there --mark=applied --reason=none', 1 ],
	'retention'        => [ 'vopau', 'retention' ],
	'show'             => [ 'vopau', 'show there' ],
	'show --down'      => [ 'opau',  'show --down there' ],
	'status'           => [ 'vopau', 'status ROLE/up' ],
	'up'               => [ 'oa',    'up ROLE/up' ],
	'up --dry-run'     => [ 'vopau', 'up --dry-run ROLE/up' ],
	'verify'           => [ 'vopau', 'verify ROLE/up', 8 ],
	'wait'             => [ 'vopau', 'wait there' ]);
# Not about the ledger's rights: doctor says itself what may not be seen (085_doctor.pl),
# init is CREATE EXTENSION (016_small_commands.pl), compare asks for SELECT on the tables
# (090_compare.pl), dump-schema to pg_dump, lint works in a database of its own; the others need no database or no right.
my %elsewhere = map { $_ => 1 } qw(init doctor compare lint new version completion help squash dump-schema);
my %roles = (v => 'viewer', o => 'operator', p => 'approver', a => 'admin', u => 'auditor', n => 'nobody');

my $server = server_start('log_line_prefix=%u ');
my $work   = workdir();
my ($rc, $out, $err) = upg('help');
my ($list) = $out =~ /^Commands:\n(.*?)\n\n/ms;
my @commands = $list =~ /^  ([a-z-]+) /mg;
cmp_ok(scalar @commands, '>=', 20, 'the overview lists the commands');
for my $command (@commands)
{
	next if $elsewhere{$command};
	($rc, $out) = upg('help', $command);
	my @verbs = $out =~ /^Commands:\n(.*?)\n\n/ms ? map { "$command $_" } $1 =~ /^  ([a-z-]+) /mg : ($command);
	is(join(' ', grep { !$matrix{$_} } @verbs), '', "$command has its row");
}

database('roles');
sql('roles', q{SELECT upg_apply('there', 'SELECT 1', 'SELECT 2'); CREATE TABLE plain (i int); GRANT SELECT ON plain TO PUBLIC});
for my $letter (sort keys %roles)
{
	my $role = "at37_$roles{$letter}";
	sql('roles', "CREATE ROLE $role LOGIN");
	sql('roles', "GRANT upg_$roles{$letter} TO $role") if $letter ne 'n';
	sql('roles', "GRANT CREATE ON SCHEMA public TO $role");
	sql('roles', "SELECT upg_apply('${role}_down', 'SELECT 1', 'SELECT 2')");
	sql('roles', "SET upg.undo = 'required'; CREATE TABLE k_$roles{$letter} (i int); SELECT upg_apply('${role}_kept', 'DROP TABLE k_$roles{$letter}')");
	files("$work/$role", "${role}_apply.sql" => 'SELECT 3;', "up/1_${role}_up.sql" => 'SELECT 4;',
		"adopt/1_${role}_adopt.sql" => 'SELECT 5;', "register/1_${role}_register.sql" => 'SELECT 6;');
}
sql('roles', 'SELECT count(*) FROM upg_verify()');
sql('roles', 'SELECT upg_drift_record()');
chdir $work;

# What no refused command may change
sub books { return sql('roles', 'SELECT (SELECT count(*) FROM upg.migrations), (SELECT count(*) FROM upg.audit_log), (SELECT string_agg(name || state, \',\' ORDER BY name) FROM upg.migrations), (SELECT count(*) FROM upg.attempts), (SELECT count(*) FROM upg.upgrades)') }

for my $verb (sort keys %matrix)
{
	my ($who, $call, $answer) = @{ $matrix{$verb} };
	for my $letter (qw(n v p u a o))
	{
		my $role    = "at37_$roles{$letter}";
		my $may     = index($who, $letter) >= 0;
		my $before  = $may ? '' : books();
		my $logged  = -s "$server/server.log";
		(my $line = $call) =~ s/ROLE/$role/g;
		($rc, $out, $err) = upg(split(/ /, $line), '-d', 'roles', '-U', $role);
		if ($may)
		{
			is($rc, $answer // 0, "$verb as $roles{$letter} is served") or diag "$out$err";
			next;
		}
		is($rc, 9, "$verb as $roles{$letter} exits 9") or diag "$out$err";
		like($err, qr/permission denied/, '... and is told so');
		is(books(), $before, '... and changes nothing');
		open(my $fh, '<', "$server/server.log") or die;
		seek $fh, $logged, 0;
		local $/;
		like(scalar <$fh>, qr/^$role ERROR:  permission denied/m, '... and stands in the log');
	}
}
chdir '/';
done_testing();
